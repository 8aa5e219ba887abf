"""``Delays``: a backoff for what a child tries again itself."""

from __future__ import annotations

import random

from supervisors._core.settings import Backoff


class Delays:
    """How long to wait after each failure of a row, for failures that are expected.

    A database that is away or a line that drops is no crash: the child waits and tries again, and
    uses nobody's budget. The rule is that of its restarts; ``reset_after`` is for the child to
    apply, by ``reset``.

    backoff
        First bound, cap and factor.
    rng
        Source of jitter. Default: a fresh ``random.Random``.
    """

    __slots__ = ("_backoff", "_ceiling", "_rng", "failures")

    def __init__(self, backoff: Backoff, rng: random.Random | None = None) -> None:
        self._backoff = backoff
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._ceiling = 0.0
        self.failures: int = 0

    def next(self, at_least: float = 0.0) -> float:
        """Count a failure; seconds to wait, never below what the other side asked for."""
        self.failures += 1
        self._ceiling = self._backoff.ceiling_after(self._ceiling)
        return max(at_least, self._rng.random() * self._ceiling)

    def reset(self) -> None:
        """It worked: the next failure is the first of a new row."""
        self.failures = 0
        self._ceiling = 0.0
