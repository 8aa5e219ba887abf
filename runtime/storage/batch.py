"""How much goes into the next call. Pure: it is told what happened and answers with limits."""

from __future__ import annotations

MAX_COUNT = 500
MAX_BYTES = 900_000
"""Proxies commonly refuse bodies above 1 MB."""

MIN_BYTES = 16_384
FIRST_COUNT = 100
HALF_OPEN_COUNT = 10
SLOW_SECONDS = 1.0
FAST_SECONDS = 0.25


class BatchSize:
    """Limits that follow the response time, and the search for a poison row.

    A call that fails because of one row's content is repeated with the older half of it, and so
    on: what precedes the bad row goes through in order, until the row stands alone and can be set
    aside. The number of entries among which it must be is all that has to be remembered.
    """

    def __init__(self) -> None:
        self._count = FIRST_COUNT
        self._bytes = MAX_BYTES
        self._suspects = 0

    @property
    def count(self) -> int:
        """At most so many entries."""
        if self._suspects:
            return min(self._count, max(1, self._suspects // 2))
        return self._count

    @property
    def bytes(self) -> int:
        """At most so many bytes of payload."""
        return self._bytes

    def succeeded(self, count: int, seconds: float) -> None:
        """``count`` entries were stored in ``seconds``."""
        if self._suspects:
            # One of the rest must be bad, unless it has become good meanwhile.
            self._suspects = max(0, self._suspects - count)
        elif seconds >= SLOW_SECONDS:
            self._count = max(1, count // 2)
        elif seconds <= FAST_SECONDS and count >= self._count:
            self._count = min(MAX_COUNT, self._count * 2)

    def failed(self, count: int) -> None:
        """``count`` entries did not go through, for a reason that may lie in any of them."""
        self._count = max(1, count // 2)

    def too_large(self, size: int) -> None:
        """A body with ``size`` bytes of payload was refused for its size."""
        self._bytes = max(MIN_BYTES, size // 2)
        if size <= MIN_BYTES:
            self._count = max(1, self._count // 2)

    def poisoned(self, count: int) -> None:
        """One of ``count`` entries was refused for its content."""
        self._suspects = count

    def set_aside(self) -> None:
        """The bad entry is no longer pending."""
        self._suspects = 0

    def half_open(self) -> None:
        """After an outage: try with a few first."""
        self._count = min(self._count, HALF_OPEN_COUNT)
