"""How fast messages may go out. Pure but for the random jitter."""

from __future__ import annotations

from collections import deque
from random import Random

from ..options import Pacing

MINUTE = 60.0


class Pace:
    """Remembers when messages of one connection went out; times in seconds of one clock."""

    def __init__(self, random: Random | None = None) -> None:
        self._random = random or Random()  # noqa: S311 - jitter
        self._times: deque[float] = deque()
        self._pause_until = 0.0

    def wait(self, pacing: Pacing | None, now: float) -> float:
        """Seconds until the next message may go; 0 when it may go now."""
        if pacing is None:
            return 0.0
        wait = self._pause_until - now
        if pacing.per_minute is not None:
            while self._times and self._times[0] <= now - MINUTE:
                self._times.popleft()
            if len(self._times) >= pacing.per_minute:
                wait = max(wait, self._times[-pacing.per_minute] + MINUTE - now)
        return max(0.0, wait)

    def went(self, pacing: Pacing | None, now: float) -> None:
        """A message went out at ``now``."""
        if pacing is None:
            self._times.clear()
            return
        jitter = self._random.uniform(0, pacing.jitter_ms / 1000)
        self._pause_until = now + pacing.min_interval_ms / 1000 + jitter
        self._times.append(now)
        while len(self._times) > (pacing.per_minute or 1):
            self._times.popleft()
