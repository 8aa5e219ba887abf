"""A heap of deadlines with lazy removal: one valid entry per owner, bounded waste."""

from __future__ import annotations

import heapq
import math
from typing import Protocol


class Timed(Protocol):
    """Whoever owns at most one deadline at a time."""

    timer: int


class Timers:
    """Deadlines of a supervisor's children (and of the supervisor's own plan)."""

    __slots__ = ("_count", "_heap", "_live")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._count = 0
        self._live = 0

    def arm(self, owner: Timed, when: float) -> None:
        """Replaces the owner's deadline. An infinite one is none."""
        self.disarm(owner)
        if when == math.inf:
            return
        self._count += 1
        self._live += 1
        owner.timer = self._count
        heapq.heappush(self._heap, (when, self._count, owner))

    def disarm(self, owner: Timed) -> None:
        """Forgets the owner's deadline."""
        if owner.timer:
            owner.timer = 0
            self._live -= 1
            if len(self._heap) > 64 + 2 * self._live:
                self._heap = [entry for entry in self._heap if entry[2].timer == entry[1]]
                heapq.heapify(self._heap)

    def next(self) -> float:
        """The earliest valid deadline; infinity if there is none."""
        heap = self._heap
        while heap and heap[0][2].timer != heap[0][1]:
            heapq.heappop(heap)
        return heap[0][0] if heap else math.inf

    def pop_due(self, now: float) -> tuple[Timed, float] | None:
        """Takes the earliest deadline that has come (``deadline <= now``) from its owner."""
        if self.next() > now:
            return None
        deadline, _, owner = heapq.heappop(self._heap)
        owner.timer = 0
        self._live -= 1
        return owner, deadline
