"""Order: starts one after the other, stops in reverse, and the supervisor's own end.

A plan has three parts that are worked off in this order: children to stop (from the last to the
first, one at a time), an instant to wait for (backoff of the child that caused a group restart),
and children to start (from the first to the last, each gated on the one before).
"""

from __future__ import annotations

from collections import deque

from supervisors._core.actions import Ending, EndKind, Finish, Started, Stopping
from supervisors._core.board import Board
from supervisors._core.errors import SupervisorDownError
from supervisors._core.events import SupervisorReady, SupervisorStopped, SupervisorStopping
from supervisors._core.exits import Why
from supervisors._core.settings import Restart, Strategy
from supervisors._core.slot import LIVE, Slot, State


class Plan(Board):
    """The part of the machine that knows about order."""

    def take_along(self, slot: Slot, due: float, now: float) -> None:
        """Plans the restart of ``slot``, not before ``due``, and of those it concerns.

        Parked and stopped siblings stay as they are; temporary ones are stopped and not started.
        """
        order = list(self.slots.values())
        first = 0 if self.policy.strategy is Strategy.ONE_FOR_ALL else order.index(slot)
        again = set(self._queue)
        doomed = set(self._stops)
        for other in order[first:]:
            if other is self._gate:
                self._gate = None
            if other.state in LIVE:
                doomed.add(other)
            elif other is not slot and other.state in (State.BACKOFF, State.DONE):
                self.wait(other, now)
            if other.state not in (State.PARKED, State.STOPPED):
                again.add(other)
        self._stops = dict.fromkeys(other for other in order if other in doomed)
        self._queue = deque(other for other in order if other in again)
        self._hold.until = due if self._hold.until is None else max(self._hold.until, due)
        self.timers.arm(self._hold, self._hold.until)

    def advance(self, now: float) -> None:
        """Does whatever the plan allows now."""
        if self._stops:
            self._stop_next(now)
        if not self._stops and self.ending is None:
            self._start_next(now)
        if self.ending is not None:
            if not self._live and not self.finished:
                self.finished = True
                self.emit(SupervisorStopped(self.path, now))
                self.actions.append(Finish(self.ending))
        elif not (self.started or self._queue or self._gate or self._unsettled or self._stops):
            self.started = True
            self.emit(SupervisorReady(self.path, now))
            self.actions.append(Started())

    def _stop_next(self, now: float) -> None:
        while self._stops:
            last = next(reversed(self._stops))
            if last.state not in LIVE:
                del self._stops[last]
                continue
            if last.state is not State.STOPPING:
                self.cancel(last, Why.GROUP if self.ending is None else Why.SHUTDOWN, now)
            return

    def _start_next(self, now: float) -> None:
        if self._hold.until is not None:
            if now < self._hold.until:
                return
            self._hold.until = None
            self.timers.disarm(self._hold)
        while self._queue and self._gate is None:
            slot = self._queue.popleft()
            if slot.state in (State.WAITING, State.BACKOFF):
                self._gate = slot
                self.launch(slot, now)

    def await_turn(self, slot: Slot, now: float) -> None:
        """Stopped for a sibling's sake: comes back in its turn, unless it is temporary."""
        if slot.spec.restart is Restart.TEMPORARY:
            self.remove(slot, now)
        else:
            self.wait(slot, now)

    def end(self, ending: Ending, now: float) -> None:
        """Begins the supervisor's stop. The first reason stands, except that an automatic end
        gives way to any other and KeyboardInterrupt and SystemExit to none."""
        if self.ending is not None:
            if ending.kind is EndKind.FATAL or self.ending.kind is EndKind.AUTO:
                self.ending = ending
            return
        self.ending = ending
        self.emit(
            SupervisorStopping(self.path, now, ending.reason, ending.kind is EndKind.ESCALATED)
        )
        self.actions.append(Stopping())
        self._queue.clear()
        self._gate = None
        self._unsettled.clear()
        self._hold.until = None
        self.timers.disarm(self._hold)
        live = []
        for slot in self.slots.values():
            if slot.state in LIVE:
                live.append(slot)
            elif slot.state in (State.BACKOFF, State.WAITING, State.PARKED):
                self.settle_start(slot, self._down)
                self.stopped(slot, now)
        self._stops = {} if self.policy.keyed else dict.fromkeys(live)
        if self.policy.keyed:
            for slot in live:
                if slot.state is not State.STOPPING:
                    self.cancel(slot, Why.SHUTDOWN, now)

    def _down(self, _slot: Slot) -> BaseException:
        return SupervisorDownError(f"{self.path} is stopping")
