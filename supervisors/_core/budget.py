"""The restart budget of one supervisor: a window over the time in which its children were well."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from supervisors._core.settings import Intensity
from supervisors._core.slot import Slot


class Restarted(NamedTuple):
    """One restart: when, of whom, and how long the child had been unwell by then."""

    at: float
    slot: Slot
    sickness: float

    def age(self, now: float) -> float:
        """Seconds since, less those in which the child was not well."""
        return now - self.at - (self.slot.sickness(now) - self.sickness)


class Budget:
    """Counts restarts. Holds what is within the window, or will be if its child has hung since its
    last sign of life."""

    __slots__ = ("_intensity", "_kept", "_recent")

    def __init__(self, intensity: Intensity) -> None:
        self._intensity = intensity
        self._recent: deque[Restarted] = deque()
        self._kept: list[Restarted] = []  # older than the window by the clock

    def spend(self, slot: Slot, now: float) -> bool:
        """Records a restart. False: it is one too many within the window (whose edge belongs to
        it, as in OTP)."""
        self._recent.append(Restarted(now, slot, slot.sickness(now)))
        if len(self._recent) + len(self._kept) <= self._intensity.max_restarts:
            return True
        return self.used(now) <= self._intensity.max_restarts

    def used(self, now: float) -> int:
        """Restarts within the window that ends now."""
        window = self._intensity.window
        while self._recent and now - self._recent[0].at > window:
            self._kept.append(self._recent.popleft())
        self._kept = [
            restart
            for restart in self._kept
            if restart.age(now) - restart.slot.unproven(now) <= window
        ]
        return len(self._recent) + sum(restart.age(now) <= window for restart in self._kept)
