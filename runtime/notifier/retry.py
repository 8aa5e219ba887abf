"""When to try again: soon at first, then ever later, never all at once. Pure."""

from __future__ import annotations

from random import Random

FIRST_SECONDS = 5.0
CAP_SECONDS = 3600.0

PAUSE_AFTER = 3
"""Failures of an endpoint in a row after which it gets one attempt at a time, with pauses."""
PAUSE_FIRST_SECONDS = 1.0
PAUSE_CAP_SECONDS = 60.0


def retry_delay(attempts: int, retry_after: float | None, random: Random) -> float:
    """Seconds from the failure of attempt number ``attempts`` (from 1) to the next one.

    ``retry_after`` is what the receiver asked for; it is granted up to ``CAP_SECONDS``.
    """
    ceiling = min(CAP_SECONDS, FIRST_SECONDS * 2.0 ** min(attempts - 1, 20))
    delay = random.uniform(ceiling / 2, ceiling)
    return max(delay, min(retry_after or 0.0, CAP_SECONDS))


def pause(failures: int) -> float:
    """Seconds to leave an endpoint alone after so many failures in a row, of whatever event."""
    if failures < PAUSE_AFTER:
        return 0.0
    return min(PAUSE_CAP_SECONDS, PAUSE_FIRST_SECONDS * 2.0 ** min(failures - PAUSE_AFTER, 20))
