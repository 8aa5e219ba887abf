"""Exponential backoff with full jitter: those who failed together do not come back together."""

from __future__ import annotations

from random import Random


class Backoff:
    """How long to wait before the next try.

    Args:
        first: bound of the first delay in seconds; each further one doubles, up to ``cap``.
        random: source of the jitter.
    """

    def __init__(self, first: float, cap: float, random: Random) -> None:
        self._first = first
        self._cap = cap
        self._random = random
        self.failures = 0

    def failed(self, at_least: float | None = None) -> float:
        """Count a failure; returns the delay, never less than what the other side asked for."""
        bound = min(self._cap, self._first * 2.0 ** min(self.failures, 32))
        self.failures += 1
        return max(at_least or 0.0, self._random.uniform(0.0, bound))

    def succeeded(self) -> None:
        """Start over."""
        self.failures = 0
