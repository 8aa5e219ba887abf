"""The figures of the running product, for the table in ``metrics``: where each comes from."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

import psutil
import trio

from supervisors import State

from .distribution import Distribution
from .errors import JournalUnavailable
from .inbound.entries import Ignored
from .journal import CommandState, JournalStatistics, gauges
from .metrics import connection_label
from .telemetry import child_label
from .whatsapp.disconnects import KNOWN_CODES
from .whatsapp.live import Status

if TYPE_CHECKING:
    from .lifecycle import Lifecycle

JOURNAL_SECONDS = 3.0
"""A scrape must not hang on a journal in trouble: without its answer the rest is told."""


class Reading(NamedTuple):
    """One series: the metric's name in the table, its labels in the table's order, its value."""

    name: str
    value: float | Distribution
    labels: tuple[str, ...] = ()


async def read(app: Lifecycle) -> list[Reading]:
    """All figures that can be had now."""
    statistics: JournalStatistics | None = None
    counted: gauges.Gauges | None = None
    with trio.move_on_after(JOURNAL_SECONDS):
        try:
            statistics = await app.journal.statistics()
            counted = await app.journal.transact(gauges.read)
        except JournalUnavailable:
            pass
    return [
        *_process(app),
        *_supervision(app),
        *_bridge(app),
        *_journal(app, statistics),
        *_supabase(app),
        *_whatsapp(app),
        *_sending(app, statistics),
        *_waiting(counted),
    ]


def _process(app: Lifecycle) -> Iterator[Reading]:
    versions = app.bridge.versions
    yield Reading(
        "build_info",
        1,
        (
            version("zapvisor"),
            platform.python_version(),
            versions.get("node", ""),
            versions.get("baileys", ""),
        ),
    )
    yield Reading("uptime_seconds", (datetime.now(UTC) - app.started_at).total_seconds())
    yield Reading("initialized", app.report.is_running())
    yield Reading("memory_bytes", psutil.Process().memory_info().rss, ("runtime",))
    yield Reading("event_loop_lag_seconds", app.loop_lag, ("runtime",))


def _supervision(app: Lifecycle) -> Iterator[Reading]:
    telemetry = app.telemetry
    for metric, counts in (
        ("child_restarts", telemetry.restarts),
        ("child_parks", telemetry.parks),
        ("child_escalations", telemetry.escalations),
        ("child_messages_dropped", telemetry.dropped),
        ("child_loop_blocks", telemetry.blocks),
    ):
        for child, count in counts.items():
            yield Reading(metric, count, (child,))
    parked = dict.fromkeys(telemetry.parks, 0)
    for node in app.report.tree().walk():
        if node.state is State.PARKED and (label := child_label(node.path)) is not None:
            parked[label] = parked.get(label, 0) + 1
    for child, count in parked.items():
        yield Reading("children_parked", count, (child,))


def _bridge(app: Lifecycle) -> Iterator[Reading]:
    yield Reading("event_loop_lag_seconds", app.bridge.lag, ("bridge",))
    facts = app.bridge.facts
    if facts is None:
        return
    yield Reading("memory_bytes", facts.rss_bytes, ("bridge",))
    yield Reading("bridge_heap_bytes", facts.heap_used_bytes)
    yield Reading("bridge_sockets", facts.sockets_created)
    yield Reading("decrypt_failures", facts.decrypt_failures)
    yield Reading("bridge_pending_events", sum(one.pending_events for one in facts.connections))
    yield Reading("unfilled_stubs", sum(one.unfilled_stubs for one in facts.connections))
    now = time.time()
    yield from _worst(
        "connection_last_frame_seconds",
        {
            one.id: now - one.last_frame_at / 1000
            for one in facts.connections
            if one.state == "open" and one.last_frame_at is not None
        },
    )


def _journal(app: Lifecycle, statistics: JournalStatistics | None) -> Iterator[Reading]:
    yield Reading("journal_available", app.journal.state.name == "available")
    yield Reading("journal_commit_seconds", app.journal.commit_seconds)
    if statistics is None:
        return
    yield Reading("journal_accepted", statistics.accepted)
    yield Reading("journal_stored", statistics.stored)
    yield Reading("journal_pending", statistics.pending)
    yield Reading("journal_dead_letters", statistics.dead - statistics.archived)
    yield Reading("journal_archived", statistics.archived)
    yield Reading("journal_oldest_pending_seconds", statistics.oldest_pending_age)
    yield Reading("journal_drain_rate", statistics.drain_rate)
    yield Reading("journal_file_bytes", statistics.file_bytes)


def _supabase(app: Lifecycle) -> Iterator[Reading]:
    yield Reading("supabase_up", app.report.is_running() and app.probe.healthy)
    yield Reading("supabase_response_seconds", app.supabase.seconds)
    for kind, count in app.supabase.errors.items():
        yield Reading("supabase_errors", count, (kind.value,))
    for table, count in app.supabase.skips.counts.items():
        yield Reading("supabase_rows_skipped", count, (table,))
    yield Reading("message_latency_seconds", app.way_in.seconds)


def _whatsapp(app: Lifecycle) -> Iterator[Reading]:
    lives = app.lives.all()
    now = datetime.now(UTC)
    for status in Status:
        count = sum(live.status is status for live in lives.values())
        yield Reading("connections", count, (status.value,))
    yield from _worst(
        "connection_last_message_seconds",
        {
            name: (now - live.last_message).total_seconds()
            for name, live in lives.items()
            if live.last_message is not None
        },
    )
    yield from _worst(
        "connection_probe_seconds",
        {
            name: live.probe_seconds
            for name, live in lives.items()
            if live.status is Status.CONNECTED and live.probe_seconds is not None
        },
    )
    yield from _worst(
        "connection_qr_seconds",
        {
            name: (now - live.qr_since).total_seconds()
            for name, live in lives.items()
            if live.qr_since is not None
        },
    )
    ended = dict.fromkeys((*KNOWN_CODES, "other"), 0)
    for code, count in app.lives.disconnects.items():
        ended[str(code) if str(code) in ended else "other"] += count
    for label, count in ended.items():
        yield Reading("disconnects", count, (label,))
    yield Reading("messages_received", app.lives.totals()["received"])
    for reason in Ignored:
        yield Reading("messages_ignored", app.lives.ignored[reason], (reason.value,))


def _sending(app: Lifecycle, statistics: JournalStatistics | None) -> Iterator[Reading]:
    for state, count in app.outbox.outcomes.items():
        yield Reading("sends", count, (state.value,))
    yield Reading("sends_expired", app.lives.totals()["expired"])
    if statistics is None:
        return
    yield Reading("outbox_queued", statistics.outbox.get(CommandState.QUEUED, 0))
    ratio = statistics.send_success_ratio()
    if ratio is not None:
        yield Reading("send_success_ratio", ratio)


def _waiting(counted: gauges.Gauges | None) -> Iterator[Reading]:
    if counted is None:
        return
    yield Reading("outbox_oldest_seconds", counted.outbox_oldest)
    for state in ("pending", "available", "failed"):
        yield Reading("media_files", counted.media_files.get(state, 0), (state,))
    for job in ("store", "upload"):
        yield Reading("media_jobs", counted.media_jobs.get(job, 0), (job,))
    yield Reading("media_oldest_seconds", counted.media_oldest)
    failing, disabled = counted.webhooks["failing"], counted.webhooks["disabled"]
    yield Reading("webhooks", counted.webhooks["total"] - failing - disabled, ("working",))
    yield Reading("webhooks", failing, ("failing",))
    yield Reading("webhooks", disabled, ("disabled",))
    for state, count in counted.deliveries.items():
        yield Reading("webhook_deliveries", count, (state,))
    yield Reading("webhook_oldest_seconds", counted.delivery_oldest)


def _worst(name: str, by_connection: Mapping[str, float]) -> Iterator[Reading]:
    """One series for each label; where two connections share one, the greater figure."""
    by_label: dict[str, float] = {}
    for connection_id, value in by_connection.items():
        label = connection_label(connection_id)
        by_label[label] = max(value, by_label.get(label, value))
    for label, value in by_label.items():
        yield Reading(name, value, (label,))
