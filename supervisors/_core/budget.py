"""The restart budget of one supervisor: a window over monotonic time."""

from __future__ import annotations

from collections import deque

from supervisors._core.settings import Intensity


class Budget:
    """Counts restarts; holds at most ``max_restarts + 1`` instants."""

    __slots__ = ("_intensity", "_restarts")

    def __init__(self, intensity: Intensity) -> None:
        self._intensity = intensity
        self._restarts: deque[float] = deque()

    def spend(self, now: float) -> bool:
        """Records a restart. False: it is one too many within the window (whose edge belongs to
        it, as in OTP)."""
        restarts = self._restarts
        restarts.append(now)
        threshold = now - self._intensity.window
        while restarts[0] < threshold:
            restarts.popleft()
        return len(restarts) <= self._intensity.max_restarts

    def used(self, now: float) -> int:
        """Restarts within the window that ends now."""
        threshold = now - self._intensity.window
        return sum(1 for instant in self._restarts if instant >= threshold)
