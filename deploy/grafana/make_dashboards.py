"""Write the dashboards: ``python3 deploy/grafana/make_dashboards.py``; a test compares them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).resolve().parent / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
COLUMNS = 24

Query = tuple[str, str]
"""Expression and legend."""


@dataclass(frozen=True)
class Panel:
    """One panel; a ``stat`` shows the last value, everything else is drawn over time."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 8
    stat: bool = False
    red_from: float | None = None
    """A stat is red from here on, green below."""
    yes_no: bool = False
    """A stat of 0 and 1: no and yes, red and green."""


@dataclass(frozen=True)
class Dashboard:
    uid: str
    title: str
    panels: tuple[Panel, ...] = field(default=())


def _stat(title: str, expression: str, **more: Any) -> Panel:
    return Panel(title, ((expression, ""),), width=4, stat=True, **more)


# Event streams last for hours and files as long as their size asks: they say nothing of speed.
_CALLS = 'zapvisor_http_request_seconds_bucket{route!~".*(events|media|upload).*"}'


def _worst(counter: str) -> str:
    """The children of which it counted most in a quarter of an hour."""
    return f"topk(5, sum by (child) (increase({counter}[15m])))"


def _rate(metric: str) -> str:
    return f"rate({metric}[$__rate_interval])"


def _quantiles(metric: str, by: str = "", legend: str = "") -> tuple[Query, ...]:
    return tuple(
        (
            f"histogram_quantile({quantile}, sum by ({by}le) ({_rate(f'{metric}_bucket')}))",
            f"{legend}p{int(quantile * 100)}",
        )
        for quantile in (0.5, 0.95, 0.99)
    )


OVERVIEW = Dashboard(
    "zapvisor",
    "zapvisor",
    (
        _stat("Running", "zapvisor_initialized", yes_no=True),
        _stat("Supabase answers", "zapvisor_supabase_up", yes_no=True),
        _stat("Journal takes work", "zapvisor_journal_available", yes_no=True),
        _stat("Oldest waiting", "zapvisor_journal_oldest_pending_seconds", unit="s", red_from=300),
        _stat("Dead letters", "zapvisor_journal_dead_letters", red_from=1),
        _stat("Up for", "zapvisor_uptime_seconds", unit="s"),
        Panel(
            "Connections by status",
            (("sum by (status) (zapvisor_connections)", "{{status}}"),),
        ),
        Panel("Response time of Supabase", _quantiles("zapvisor_supabase_response_seconds"), "s"),
        Panel(
            "Waiting",
            (
                ("zapvisor_journal_pending", "for Supabase"),
                ("zapvisor_outbox_queued", "for WhatsApp"),
                ("zapvisor_bridge_pending_events", "in the bridge"),
            ),
        ),
        Panel("From WhatsApp to the table", _quantiles("zapvisor_message_latency_seconds"), "s"),
        Panel(
            "Sends",
            ((f"sum by (result) ({_rate('zapvisor_sends_total')})", "{{result}}"),),
            "ops",
        ),
        Panel(
            "Sends that WhatsApp took",
            (("zapvisor_send_success_ratio", "of 14 days"),),
            "percentunit",
        ),
        Panel(
            "Entries accepted and stored",
            (
                (f"sum({_rate('zapvisor_journal_accepted_total')})", "accepted"),
                (f"sum({_rate('zapvisor_journal_stored_total')})", "stored"),
                ("sum(zapvisor_journal_drain_rate)", "stored, over a minute"),
            ),
            "ops",
        ),
        Panel(
            "Age of the oldest",
            (
                ("zapvisor_journal_oldest_pending_seconds", "entry for Supabase"),
                ("zapvisor_outbox_oldest_seconds", "message for WhatsApp"),
                ("zapvisor_media_oldest_seconds", "file to be fetched or sent"),
                ("zapvisor_webhook_oldest_seconds", "event for a webhook"),
            ),
            "s",
        ),
        Panel(
            "Errors of Supabase by class",
            (
                (f"sum by (class) ({_rate('zapvisor_supabase_errors_total')})", "{{class}}"),
                (
                    f"sum by (table) ({_rate('zapvisor_supabase_rows_skipped_total')})",
                    "rows left out of {{table}}",
                ),
            ),
            "ops",
        ),
        Panel(
            "API calls by status",
            ((f"sum by (status) ({_rate('zapvisor_http_requests_total')})", "{{status}}"),),
            "ops",
        ),
        Panel(
            "API calls that fail (5xx)",
            (
                (
                    "instance:zapvisor_http_errors:rate5m / instance:zapvisor_http_requests:rate5m",
                    "",
                ),
            ),
            "percentunit",
        ),
        Panel(
            "Time of API calls",
            (
                (
                    f"histogram_quantile(0.5, sum by (le) ({_rate(_CALLS)}))",
                    "p50",
                ),
                ("instance:zapvisor_http_request_seconds:p95_5m", "p95"),
            ),
            "s",
        ),
    ),
)

INSIDE = Dashboard(
    "zapvisor-inside",
    "zapvisor: inside",
    (
        _stat("Escalations", "sum(zapvisor_child_escalations_total)", red_from=1),
        _stat("Unfilled stubs", "sum(zapvisor_unfilled_stubs)"),
        _stat("Sends expired", "sum(zapvisor_sends_expired_total)", red_from=1),
        _stat("Archived dead letters", "sum(zapvisor_journal_archived)"),
        _stat("Journal on the disk", "sum(zapvisor_journal_file_bytes)", unit="bytes"),
        _stat("API calls being served", "sum(zapvisor_http_requests_active)"),
        Panel(
            "Last frame from WhatsApp",
            (("zapvisor_connection_last_frame_seconds", "{{connection}}"),),
            "s",
        ),
        Panel(
            "Last message",
            (("zapvisor_connection_last_message_seconds", "{{connection}}"),),
            "s",
        ),
        Panel(
            "Round trip to WhatsApp",
            (("zapvisor_connection_probe_seconds", "{{connection}}"),),
            "s",
        ),
        Panel("Age of QR codes", (("zapvisor_connection_qr_seconds", "{{connection}}"),), "s"),
        Panel(
            "Sockets that ended, by code",
            (("sum by (code) (increase(zapvisor_disconnects_total[15m]))", "{{code}}"),),
        ),
        Panel(
            "Messages received, those not decrypted, and those left out",
            (
                (f"sum({_rate('zapvisor_messages_received_total')})", "received"),
                (f"sum({_rate('zapvisor_decrypt_failures_total')})", "not decrypted"),
                (
                    f"sum by (reason) ({_rate('zapvisor_messages_ignored_total')})",
                    "left out: {{reason}}",
                ),
            ),
            "ops",
        ),
        Panel(
            "Restarts by child (15 minutes)",
            (("sum by (child) (increase(zapvisor_child_restarts_total[15m])) > 0", "{{child}}"),),
        ),
        Panel(
            "Parked now, and parked in 15 minutes",
            (
                ("sum by (child) (zapvisor_children_parked) > 0", "{{child}} now"),
                ("sum by (child) (increase(zapvisor_child_parks_total[15m])) > 0", "{{child}}"),
            ),
        ),
        Panel(
            "Loop held up, and messages nobody will read (15 minutes)",
            (
                (_worst("zapvisor_child_loop_blocks_total"), "{{child}} held it up"),
                (_worst("zapvisor_child_messages_dropped_total"), "{{child}} dropped"),
            ),
        ),
        Panel("Calls of the journal", _quantiles("zapvisor_journal_commit_seconds"), "s"),
        Panel(
            "Lateness of the event loops",
            (("instance:zapvisor_event_loop_lag_seconds:p99_5m", "{{process}} p99"),),
            "s",
        ),
        Panel(
            "Memory",
            (
                ("zapvisor_memory_bytes", "{{process}}"),
                ("zapvisor_bridge_heap_bytes", "heap of the bridge"),
            ),
            "bytes",
        ),
        Panel(
            "WhatsApp sockets made",
            (("increase(zapvisor_bridge_sockets_total[15m])", "in 15 minutes"),),
        ),
        Panel(
            "Files of messages",
            (
                ("sum by (state) (zapvisor_media_files)", "{{state}}"),
                ("sum by (task) (zapvisor_media_jobs)", "to {{task}}"),
            ),
        ),
        Panel(
            "Webhooks",
            (
                ("sum by (state) (zapvisor_webhooks)", "{{state}}"),
                ("sum by (state) (zapvisor_webhook_deliveries)", "deliveries: {{state}}"),
            ),
        ),
        Panel(
            "What runs",
            (("zapvisor_build_info", "{{version}}, Baileys {{baileys}}, Node {{node}}"),),
        ),
    ),
)

DASHBOARDS = (OVERVIEW, INSIDE)


def render(dashboard: Dashboard) -> str:
    """A dashboard as Grafana's JSON, its panels laid out from left to right."""
    panels, x, y = [], 0, 0
    for number, panel in enumerate(dashboard.panels, start=1):
        height = 4 if panel.stat else 8
        panels.append(_panel(number, panel, {"x": x, "y": y, "w": panel.width, "h": height}))
        x += panel.width
        if x >= COLUMNS:
            x, y = 0, y + height
    model = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["zapvisor"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": []},
        "panels": panels,
    }
    return json.dumps(model, indent=2) + "\n"


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0}
    options: dict[str, Any] = {
        "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom"},
        "tooltip": {"mode": "multi"},
    }
    if panel.stat:
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "background"}
        colours = ("red", "green") if panel.yes_no else ("green", "red")
        limit = 1.0 if panel.yes_no else panel.red_from
        steps = [{"color": colours[0] if limit is not None else "blue", "value": None}]
        if limit is not None:
            steps.append({"color": colours[1], "value": limit})
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    if panel.yes_no:
        texts = {"0": {"text": "no"}, "1": {"text": "yes"}}
        defaults["mappings"] = [{"type": "value", "options": texts}]
    return {
        "id": number,
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": expression, "legendFormat": legend}
            for index, (expression, legend) in enumerate(panel.queries)
        ],
        "options": options,
    }


if __name__ == "__main__":
    for each in DASHBOARDS:
        (DIRECTORY / f"{each.uid}.json").write_text(render(each), encoding="utf-8")
