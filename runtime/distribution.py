"""How long something takes, counted by upper bounds: what Prometheus calls a histogram."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

SHORT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds in seconds for what a machine does by itself."""
LONG = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
"""Bounds in seconds for what may have to wait for others."""


class Distribution:
    """Durations in seconds. Adding one costs less than a microsecond; nothing is forgotten."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float] = SHORT) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self.total += seconds

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """(upper bound, how many took at most so long), the last of them without a bound."""
        reached = 0
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            reached += count
            yield bound, reached

    @property
    def count(self) -> int:
        """How many durations there were."""
        return sum(self._counts)
