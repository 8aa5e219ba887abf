"""``/metrics``: the runtime's readings and the API's own, in the formats of Prometheus."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from math import isinf

import trio
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.distribution import LONG, Distribution
from runtime.metrics import METRICS, PREFIX
from runtime.readings import Reading

from .facade import Application

logger = logging.getLogger("zapvisor.http")

_READ_SECONDS = 5.0
"""A scrape must not hang on a runtime in trouble."""
_FRESH_SECONDS = 1.0
"""Readings so young are told again: /metrics needs no key, and must not be a way to burden us."""


class Metrics:
    """What the API counts itself, and how all of it is told. One for each application."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.seconds: defaultdict[str, Distribution] = defaultdict(lambda: Distribution(LONG))
        self.active = 0
        self._readings: list[Reading] = []
        self._read_at = float("-inf")

    async def exposition(self, application: Application, accept: str = "") -> tuple[bytes, str]:
        """The text that Prometheus scrapes, in the format asked for, and its content type.

        When the runtime cannot tell its figures in time, the API's own still come.
        """
        readings = [*await self._runtime(application), *self._own()]
        registry = CollectorRegistry()
        registry.register(_Snapshot(readings))
        encode, content_type = choose_encoder(accept)
        return encode(registry), content_type

    async def _runtime(self, application: Application) -> list[Reading]:
        if trio.current_time() - self._read_at < _FRESH_SECONDS:
            return self._readings
        readings: list[Reading] = []
        try:
            with trio.move_on_after(_READ_SECONDS):
                readings = await application.readings()
        except Exception:
            logger.exception("no readings for /metrics")
        else:
            self._readings, self._read_at = readings, trio.current_time()
        return readings

    def _own(self) -> Iterator[Reading]:
        for labels, count in self.requests.items():
            yield Reading("http_requests", count, labels)
        for route, distribution in self.seconds.items():
            yield Reading("http_request_seconds", distribution, (route,))
        yield Reading("http_requests_active", self.active)


class _Snapshot(Collector):
    """Readings as families, in the order of the table; what was not read is left out."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._by_name: defaultdict[str, list[Reading]] = defaultdict(list)
        for reading in readings:
            self._by_name[reading.name].append(reading)

    def collect(self) -> Iterator[Metric]:
        for name in METRICS:
            if readings := self._by_name.get(name):
                yield _family(name, readings)


def _family(name: str, readings: Sequence[Reading]) -> Metric:
    metric = METRICS[name]
    full, labels = f"{PREFIX}{name}", list(metric.labels)
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(full, metric.help, labels=labels)
        for _, value, values in readings:
            assert isinstance(value, Distribution)
            buckets = [
                ("+Inf" if isinf(bound) else str(bound), count)
                for bound, count in value.cumulative()
            ]
            histogram.add_metric(values, buckets, value.total)
        return histogram
    simple = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = simple(full, metric.help, labels=labels)
    for _, value, values in readings:
        assert not isinstance(value, Distribution)
        family.add_metric(values, float(value))
    return family


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
        self._metrics.active += 1
        try:
            await self._app(scope, receive, observed)
        finally:
            self._metrics.active -= 1
            # The template, never the path: a path may carry a phone number.
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests[route, method, status] += 1
            elapsed = trio.current_time() - began
            self._metrics.seconds[route].add(elapsed)
            logger.debug("%s %s %s %.0f ms", method, route, status, elapsed * 1000)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
