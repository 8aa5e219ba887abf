"""The one table of what ``/metrics`` tells; docs/metrics.md is made from it.

    .venv/bin/python -m runtime.metrics > docs/metrics.md

Where a figure comes from is in ``readings``, its format in ``http_api.metrics``. No label holds
anything of unbounded variety, a phone number or a name: `connection_label` says how.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

PREFIX = "zapvisor_"

Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of series.

    Attributes:
        name: without the prefix, and for a counter without ``_total``.
        help: one sentence.
        labels: what each holds, which is what bounds the number of its values.
    """

    name: str
    kind: Kind
    help: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def exposed(self) -> str:
        """The name to ask Prometheus for; of a histogram the stem of ``_bucket`` and others."""
        return f"{PREFIX}{self.name}" + ("_total" if self.kind == "counter" else "")


_DIGITS = re.compile(r"\d{7,}")


def connection_label(connection_id: str) -> str:
    """A connection's id, without the digits of what may be a phone number."""
    return _DIGITS.sub(lambda digits: f"***{digits[0][-4:]}", connection_id)


_CONNECTION = {"connection": "id of the connection, at most 200; long numbers masked"}
_CHILD = {"child": "path in the tree; connections are all `core/whatsapp/connections/*`"}
_PROCESS = {"process": "`runtime`, `bridge`"}

_SECTIONS: dict[str, tuple[Metric, ...]] = {
    "Process and supervision": (
        Metric(
            "build_info",
            "gauge",
            "1; the labels say what runs",
            {
                "version": "of zapvisor",
                "python": "version",
                "node": "version",
                "baileys": "version",
            },
        ),
        Metric("uptime_seconds", "gauge", "Time since the start of the process"),
        Metric("initialized", "gauge", "1 when the supervised tree runs"),
        Metric("child_restarts", "counter", "Restarts by supervision", _CHILD),
        Metric("child_parks", "counter", "Times that a child began to wait for a person", _CHILD),
        Metric(
            "child_escalations",
            "counter",
            "Times that a supervisor gave up to the one above",
            _CHILD,
        ),
        Metric(
            "child_messages_dropped",
            "counter",
            "Messages to a child that nobody will read: it went away before",
            _CHILD,
        ),
        Metric(
            "child_loop_blocks",
            "counter",
            "Times that a child kept the event loop from turning",
            _CHILD,
        ),
        Metric("children_parked", "gauge", "Children that wait for a person now", _CHILD),
        Metric(
            "event_loop_lag_seconds",
            "histogram",
            "By how much the loop was late: each second in the runtime; in the bridge the worst of "
            "each five seconds",
            _PROCESS,
        ),
        Metric("memory_bytes", "gauge", "Resident memory", _PROCESS),
        Metric("bridge_heap_bytes", "gauge", "JavaScript heap in use in the bridge"),
    ),
    "Journal": (
        Metric("journal_available", "gauge", "1 when the journal takes new work"),
        Metric(
            "journal_accepted",
            "counter",
            "Entries ever accepted: always stored + dead + archived + pending",
        ),
        Metric("journal_stored", "counter", "Entries ever stored in Supabase"),
        Metric("journal_pending", "gauge", "Entries not yet in Supabase"),
        Metric("journal_dead_letters", "gauge", "Entries that Supabase refuses for good"),
        Metric("journal_archived", "gauge", "Dead letters that an operator has put aside"),
        Metric(
            "journal_oldest_pending_seconds", "gauge", "Age of the oldest entry not yet in Supabase"
        ),
        Metric("journal_drain_rate", "gauge", "Entries stored per second over the last minute"),
        Metric(
            "journal_commit_seconds",
            "histogram",
            "From a call of the journal to its durable answer",
        ),
        Metric("journal_file_bytes", "gauge", "The journal on the disk, write-ahead log included"),
    ),
    "Supabase": (
        Metric("supabase_up", "gauge", "1 when Supabase answers, lets us in and is migrated"),
        Metric("supabase_response_seconds", "histogram", "Response time of calls, failed ones too"),
        Metric(
            "supabase_errors",
            "counter",
            "Calls that failed",
            {"class": "a word of `ErrorClass` in `runtime/storage/classify.py`"},
        ),
        Metric(
            "supabase_rows_skipped",
            "counter",
            "Rows that work left out because they cannot be read",
            {"table": "one of the four"},
        ),
        Metric(
            "message_latency_seconds",
            "histogram",
            "From a customer's message arriving from WhatsApp to its row in the table",
        ),
    ),
    "WhatsApp": (
        Metric(
            "connections",
            "gauge",
            "Connections by status",
            {"status": "as in `whatsapp_sessions.status`"},
        ),
        Metric(
            "connection_last_frame_seconds",
            "gauge",
            "Since WhatsApp last sent anything, while the socket is open",
            _CONNECTION,
        ),
        Metric(
            "connection_last_message_seconds",
            "gauge",
            "Since the last message came in; absent until one has since the start",
            _CONNECTION,
        ),
        Metric(
            "connection_probe_seconds",
            "gauge",
            "Round trip to WhatsApp, as last asked of an open connection (each 45 s)",
            _CONNECTION,
        ),
        Metric(
            "connection_qr_seconds",
            "gauge",
            "Age of the QR code that waits to be read; absent while there is none",
            _CONNECTION,
        ),
        Metric(
            "disconnects",
            "counter",
            "Sockets that ended",
            {"code": "as Baileys gives it, if it is a known one; else `other`"},
        ),
        Metric("messages_received", "counter", "Messages and calls taken from WhatsApp"),
        Metric(
            "messages_ignored",
            "counter",
            "Messages that are deliberately not for the tables",
            {
                "reason": "`status`, `newsletter`, `group`, `own_list`, `housekeeping`, "
                "`foreign_change`"
            },
        ),
        Metric("decrypt_failures", "counter", "Attempts to decrypt a message that failed"),
        Metric("unfilled_stubs", "gauge", "Messages of 14 days whose content is still owed to us"),
        Metric("bridge_sockets", "counter", "WhatsApp sockets made since the bridge's start"),
        Metric("bridge_pending_events", "gauge", "Events that the bridge holds for the runtime"),
    ),
    "Sending": (
        Metric(
            "send_success_ratio",
            "gauge",
            "Of the messages of 14 days whose fate is known, the part that WhatsApp took",
        ),
        Metric(
            "sends",
            "counter",
            "Messages that left the outbox",
            {"result": "`sent`, `failed`, `unknown`"},
        ),
        Metric("sends_expired", "counter", "Messages not sent within their time"),
        Metric("outbox_queued", "gauge", "Messages that wait for WhatsApp"),
        Metric("outbox_oldest_seconds", "gauge", "Age of the oldest of them"),
    ),
    "Files and webhooks": (
        Metric(
            "media_files",
            "gauge",
            "Files of the messages of 14 days",
            {"state": "`pending`, `available`, `failed`"},
        ),
        Metric(
            "media_jobs",
            "gauge",
            "Jobs to be done with files",
            {"task": "`store` (fetch and keep), `upload` (to WhatsApp)"},
        ),
        Metric("media_oldest_seconds", "gauge", "Age of the oldest file with a job to be done"),
        Metric(
            "webhooks", "gauge", "Webhooks by state", {"state": "`working`, `failing`, `disabled`"}
        ),
        Metric(
            "webhook_deliveries",
            "gauge",
            "Deliveries that wait, and those given up within 14 days",
            {"state": "`pending`, `dead`"},
        ),
        Metric("webhook_oldest_seconds", "gauge", "Age of the oldest delivery that waits"),
    ),
    "HTTP": (
        Metric(
            "http_requests",
            "counter",
            "Requests",
            {
                "route": "the route's template, never the path; `none` where nothing is",
                "method": "of HTTP, else `other`",
                "status": "of HTTP, or `aborted`",
            },
        ),
        Metric(
            "http_request_seconds",
            "histogram",
            "From a request's headers to the end of its answer",
            {"route": "the route's template"},
        ),
        Metric("http_requests_active", "gauge", "Requests being served"),
    ),
}

METRICS: Mapping[str, Metric] = MappingProxyType(
    {metric.name: metric for section in _SECTIONS.values() for metric in section}
)
"""By name, in the order of the documentation."""

_HEAD = """\
# Metrics

`GET /metrics` needs no key: no label holds a phone number, a name or content. It answers in
Prometheus' text format, or in OpenMetrics to those who ask for it. A figure that cannot be had just
now (the journal's while it is away, the bridge's while it restarts) is left out, never made up.
Counters begin at 0 with the process, those of the journal with its file; times are in seconds.

This page is made from the table in `runtime/metrics.py`; the alerts on it are in the
[runbook](runbook.md).
"""


def document() -> str:
    """The table as Markdown."""
    lines = [_HEAD]
    for title, metrics in _SECTIONS.items():
        lines += [f"## {title}", "", "| metric | kind | | labels |", "| --- | --- | --- | --- |"]
        for metric in metrics:
            labels = "<br>".join(f"`{name}`: {text}" for name, text in metric.labels.items())
            lines.append(f"| `{metric.exposed}` | {metric.kind} | {metric.help} | {labels} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    print(document(), end="")
