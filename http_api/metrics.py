"""Prometheus metrics: the API's own, and a first set from the runtime's statistics.

Labels are route templates, methods, statuses and connection states, never ids: an operator may
have used a phone number as a connection id.
"""

from __future__ import annotations

import logging
from collections import Counter as Tally
from collections.abc import Iterator, Mapping
from typing import Any

import trio
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .facade import Application

logger = logging.getLogger("zapvisor.http")

_STATS_SECONDS = 5.0  # a scrape must not hang on a runtime in trouble

# name → (help, path into Application.stats())
_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "journal_pending": ("Entries not yet in Supabase", ("queue", "pending")),
    "journal_oldest_pending_seconds": (
        "Age of the oldest entry not yet in Supabase",
        ("queue", "oldestPendingSeconds"),
    ),
    "journal_dead_letters": ("Entries that Supabase refuses for good", ("queue", "deadLetters")),
    "journal_archived": ("Dead letters moved to an archive file", ("queue", "archived")),
    "journal_drain_rate": ("Rows per second over the last minute", ("queue", "drainRate")),
    "media_pending": ("Files of messages still to be fetched", ("media", "pending")),
    "media_failed": ("Files of messages that could not be had", ("media", "failed")),
    "webhooks_failing": ("Webhooks whose last delivery failed", ("webhooks", "failing")),
    "webhooks_disabled": ("Webhooks that are given up or switched off", ("webhooks", "disabled")),
    "send_success_ratio": (
        "Of the messages whose fate is known, the part that WhatsApp took",
        ("sendSuccessRate",),
    ),
    "supabase_up": ("1 when Supabase answers", ("supabaseConnected",)),
    "initialized": ("1 when the supervised tree runs", ("isInitialized",)),
}
_COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "journal_accepted": ("Entries ever accepted", ("queue", "accepted")),
    "journal_stored": ("Entries ever stored in Supabase", ("queue", "stored")),
}
_QUANTILES = {"p50Ms": "0.5", "p95Ms": "0.95", "p99Ms": "0.99"}


class Metrics:
    """One registry per application, so that two in one process do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "zapvisor_http_requests",
            "Requests by route, method and status",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "zapvisor_http_request_seconds",
            "Time from the request's headers to the end of the answer",
            ["route"],
            registry=self._registry,
        )
        self.active = Gauge(
            "zapvisor_http_requests_active", "Requests being served", registry=self._registry
        )

    async def exposition(self, application: Application) -> tuple[bytes, str]:
        """The text that Prometheus scrapes, and its content type.

        When the runtime cannot tell its statistics in time, the API's own metrics still come.
        """
        stats: Mapping[str, Any] = {}
        try:
            with trio.move_on_after(_STATS_SECONDS):
                stats = await application.stats()
        except Exception:
            logger.exception("no statistics for /metrics")
        snapshot = CollectorRegistry()
        snapshot.register(_Snapshot(stats))
        return generate_latest(self._registry) + generate_latest(snapshot), CONTENT_TYPE_LATEST


class _Snapshot(Collector):
    """``Application.stats()`` as metrics; what is missing there is left out here."""

    def __init__(self, stats: Mapping[str, Any]) -> None:
        self._stats = stats

    def collect(self) -> Iterator[Metric]:
        stats = self._stats
        for name, (text, path) in _GAUGES.items():
            if (value := _number(stats, *path)) is not None:
                yield GaugeMetricFamily(f"zapvisor_{name}", text, value=value)
        for name, (text, path) in _COUNTERS.items():
            if (value := _number(stats, *path)) is not None:
                yield CounterMetricFamily(f"zapvisor_{name}", text, value=value)
        if (uptime := _number(stats, "uptime")) is not None:
            yield GaugeMetricFamily(
                "zapvisor_uptime_seconds", "Time since the start", value=uptime / 1000
            )
        yield self._connections()
        yield self._response_times()
        yield GaugeMetricFamily(
            "zapvisor_child_restarts",
            "Restarts of all children of the supervision tree that exist now",
            value=_restarts(stats.get("tree")),
        )

    def _connections(self) -> Metric:
        family = GaugeMetricFamily(
            "zapvisor_connections", "WhatsApp connections by status", labels=["status"]
        )
        connections = self._stats.get("connections")
        states = Tally(
            str(connection.get("status", "unknown"))
            for connection in (connections if isinstance(connections, list) else [])
        )
        for state, count in sorted(states.items()):
            family.add_metric([state], count)
        return family

    def _response_times(self) -> Metric:
        family = GaugeMetricFamily(
            "zapvisor_supabase_response_seconds",
            "Response time of Supabase over the last calls",
            labels=["quantile"],
        )
        for key, quantile in _QUANTILES.items():
            value = _number(self._stats, "supabase", key)
            if value is not None:
                family.add_metric([quantile], value / 1000)
        return family


def _number(value: Any, *path: str) -> float | None:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) else None


def _restarts(node: Any) -> int:
    """The sum of ``restarts`` over a tree snapshot."""
    if isinstance(node, Mapping):
        own = node.get("restarts")
        children = node.get("children")
        return (own if isinstance(own, int) else 0) + _restarts(children)
    if isinstance(node, list | tuple):
        return sum(_restarts(child) for child in node)
    return 0


class RequestMetrics:
    """ASGI middleware: counts and times every request under its route's template."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = "aborted"

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        began = trio.current_time()
        with self._metrics.active.track_inprogress():
            try:
                await self._app(scope, receive, observed)
            finally:
                # The template, never the path: a path may carry a phone number.
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self._metrics.requests.labels(route, method, status).inc()
                elapsed = trio.current_time() - began
                self._metrics.seconds.labels(route).observe(elapsed)
                logger.debug("%s %s %s %.0f ms", method, route, status, elapsed * 1000)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
