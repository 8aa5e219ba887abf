"""Order: starts one after the other, stops in reverse, and the supervisor's own end.

A plan has three parts that are worked off in this order: children to stop (from the last to the
first, one at a time), an instant to wait for (backoff of the child that caused a group restart),
and children to start (from the first to the last, each gated on the one before). The children of a
dynamic supervisor are started and stopped side by side, ``BATCH`` of them in one step, so that ten
thousand do not hold up everybody else.
"""

from __future__ import annotations

from collections import deque

from supervisors._core.actions import Ending, EndKind, Finish, Started, Stopping
from supervisors._core.board import Board
from supervisors._core.errors import SupervisorDownError
from supervisors._core.exits import Why
from supervisors._core.settings import Restart, Strategy
from supervisors._core.slot import ENDING, LIVE, Slot, State, Wait
from supervisors.events import SupervisorReady, SupervisorStopped, SupervisorStopping

BATCH = 100
"""Children of a dynamic supervisor that are started or stopped in one step."""


class Plan:
    """What the order of the board's children allows, and does with them."""

    def __init__(self, board: Board) -> None:
        self._board = board

    @property
    def has_more(self) -> bool:
        """Of a dynamic supervisor: whether a step was cut short, so that there is more to do."""
        board = self._board
        return bool(board.stops if board.ending is not None else board.queue)

    def take_along(self, slot: Slot, due: float, now: float) -> None:
        """Plans the restart of ``slot``, not before ``due``, and of those it concerns.

        Parked and stopped siblings stay as they are; temporary ones are stopped and not started.
        """
        board = self._board
        order = list(board.slots.values())
        first = 0 if board.policy.strategy is Strategy.ONE_FOR_ALL else order.index(slot)
        again = set(board.queue)
        doomed = set(board.stops)
        for other in order[first:]:
            if other is board.gate:
                board.gate = None
            if other.state in LIVE:
                doomed.add(other)
            elif other is not slot and other.state in (State.BACKOFF, State.DONE):
                board.wait(other, now)
            if other.state not in (State.PARKED, State.STOPPED):
                again.add(other)
        board.stops = dict.fromkeys(other for other in order if other in doomed)
        board.queue = deque(other for other in order if other in again)
        hold = board.hold
        hold.until = due if hold.until is None else max(hold.until, due)
        board.timers.arm(hold, hold.until)

    def hurry(self, now: float) -> None:
        """Somebody wants the restarts that are waited for now."""
        hold = self._board.hold
        if hold.until is not None:
            hold.until = now
            self._board.timers.disarm(hold)

    def advance(self, now: float, *, step: bool = False) -> None:
        """Does whatever the plan allows now. Those of a dynamic supervisor that are to start or to
        stop side by side take a turn with each ``step``."""
        board = self._board
        if step or not board.policy.keyed:
            if board.stops:
                self._stop_next(now)
            if not board.stops and board.ending is None:
                self._start_next(now)
        if board.ending is not None:
            if not board.live and not board.finished:
                board.finished = True
                board.actions.append(SupervisorStopped(board.path, now))
                board.actions.append(Finish(board.ending))
        elif not (board.started or board.queue or board.gate or board.unsettled or board.stops):
            board.started = True
            board.actions.append(SupervisorReady(board.path, now))
            board.actions.append(Started())

    def _stop_next(self, now: float) -> None:
        board = self._board
        why = Why.GROUP if board.ending is None else Why.SHUTDOWN
        budget = BATCH
        while board.stops and budget:
            last, _ = board.stops.popitem()
            if last.state not in LIVE:
                continue
            if last.state not in ENDING:
                board.stop(last, why, now)
            if not board.policy.keyed:
                board.stops[last] = None  # until it has ended
                return
            budget -= 1

    def _start_next(self, now: float) -> None:
        board = self._board
        if board.hold.until is not None:
            if now < board.hold.until:
                return
            board.hold.until = None
            board.timers.disarm(board.hold)
        budget = BATCH
        while board.queue and board.gate is None and budget:
            slot = board.queue.popleft()
            if slot.state in (State.WAITING, State.BACKOFF):
                if board.policy.keyed:
                    budget -= 1
                else:
                    board.gate = slot
                board.launch(slot, now)

    def await_turn(self, slot: Slot, now: float) -> None:
        """Stopped for a sibling's sake: comes back in its turn, unless it is temporary."""
        if slot.spec.restart is Restart.TEMPORARY:
            self._board.remove(slot, now)
        else:
            self._board.wait(slot, now)

    def end(self, ending: Ending, now: float) -> None:
        """Begins the supervisor's stop. The first reason stands, except that an automatic end
        gives way to any other and KeyboardInterrupt and SystemExit to none."""
        board = self._board
        if board.ending is not None:
            if ending.kind is EndKind.FATAL or board.ending.kind is EndKind.AUTO:
                board.ending = ending
            return
        board.ending = ending
        board.actions.append(
            SupervisorStopping(board.path, now, ending.reason, ending.kind is EndKind.ESCALATED)
        )
        board.actions.append(Stopping())
        board.queue.clear()
        board.gate = None
        board.unsettled.clear()
        board.hold.until = None
        board.timers.disarm(board.hold)
        live: list[Slot] = []
        for slot in list(board.slots.values()):
            if slot.state in LIVE:
                live.append(slot)
            elif slot.state in (State.BACKOFF, State.WAITING, State.PARKED):
                if slot.tickets:
                    down = SupervisorDownError(f"{board.path} is stopping")
                    board.settle(slot, Wait.START, down)
                    board.settle(slot, Wait.READY, down)
                board.stopped(slot, now)
        board.stops = dict.fromkeys(live)
