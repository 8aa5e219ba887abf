"""What an exit or a missed deadline leads to: restart, rest, park, the end of the supervisor."""

from __future__ import annotations

from supervisors._core.actions import Abandon, Ending, EndKind, Stuck
from supervisors._core.board import Board
from supervisors._core.errors import NotStoppedError, StartFailedError, SupervisorDownError
from supervisors._core.exits import Exit, ExitKind, Why
from supervisors._core.plan import Plan
from supervisors._core.settings import AutoShutdown, Restart
from supervisors._core.settings import Stuck as Policy
from supervisors._core.slot import Slot, State, Wait
from supervisors.events import ChildExited, ChildRestarting

STALL = 1.0
"""Seconds by which a deadline may be seen late. Beyond that the event loop itself was held up."""

OVER = (ExitKind.NORMAL, ExitKind.DONE)
"""Ends that are no failure."""


class Judgement:
    """The part of the machine that knows about restart types, budget, backoff and verdicts."""

    def __init__(self, board: Board, plan: Plan) -> None:
        self._board = board
        self._plan = plan

    # ------------------------------------------------------------------ exits

    def on_exit(self, slot: Slot, exit_: Exit, now: float, error: BaseException | None) -> None:
        board = self._board
        was, why = slot.state, slot.why
        slot.last_exit = exit_
        slot.why = None
        slot.hosts = ()
        doomed = slot in board.stops
        board.stops.pop(slot, None)
        board.actions.append(ChildExited(slot.path, now, slot.incarnation, exit_, error))
        board.settle(slot, Wait.EXIT, None, exit_)
        if was is not State.ABANDONED:
            board.live -= 1
        if exit_.kind is ExitKind.FATAL:
            self._rest(slot, now, exit_, error)
            self._plan.end(Ending(EndKind.FATAL, exit_.reason, error), now)
        elif was is State.ABANDONED or board.ending is not None:
            self._rest(slot, now, exit_, error)
        elif exit_.kind is ExitKind.ESCALATED:
            self._rest(slot, now, exit_, error)
            self._plan.end(Ending(EndKind.ESCALATED, f"{slot.name}: {exit_.reason}", error), now)
        elif why is Why.COMMAND:
            self._rest(slot, now, exit_, error)
        elif exit_.kind is ExitKind.PARKED:
            board.park(slot, exit_, now)
        elif doomed:  # also by a command: those before it are not there yet
            self._plan.await_turn(slot, now)  # whoever waits for its start goes on waiting
        elif why is Why.RESTART:
            slot.first_start = State.STOPPED
            board.launch(slot, now)
        else:
            self._on_own_exit(slot, exit_, now, error)

    def _on_own_exit(
        self, slot: Slot, exit_: Exit, now: float, error: BaseException | None
    ) -> None:
        """It ended by itself or missed a deadline: restart type, budget and backoff apply."""
        board = self._board
        well = exit_.kind in OVER
        again = exit_.kind is not ExitKind.DONE and (
            slot.spec.restart is Restart.PERMANENT
            or (slot.spec.restart is Restart.TRANSIENT and not well)
        )
        if slot.first_start is not None and (again or not well):
            self._start_failed(slot, now, exit_, error)
        elif not again:
            if well:
                board.settle(slot, Wait.START)
            else:
                self._tell_starters(slot, exit_, error)
            self._ended_for_good(slot, now)
        elif slot.spec.uses_budget and not board.budget.spend(slot, now):
            self._rest(slot, now, exit_, error)
            limit = board.policy.intensity
            reason = (
                f"more than {limit.max_restarts} restarts in {limit.window:g} s; "
                f"the last: {slot.name}: {exit_.reason}"
            )
            self._plan.end(Ending(EndKind.ESCALATED, reason, error), now)
        else:
            self._tell_starters(slot, exit_, error)
            self._restart(slot, now)

    def _restart(self, slot: Slot, now: float) -> None:
        board = self._board
        slot.restarts += 1
        due = slot.due = now + self._delay(slot, now)
        board.to(slot, State.BACKOFF, now)
        board.actions.append(ChildRestarting(slot.path, now, slot.restarts, due))
        board.unsettled.discard(slot)
        if board.policy.grouped:
            self._plan.take_along(slot, due, now)
        elif due > now:
            board.timers.arm(slot, due)
        else:
            board.launch(slot, now)

    def _delay(self, slot: Slot, now: float) -> float:
        backoff = slot.spec.backoff
        if backoff is None:
            return 0.0
        healthy = slot.ready_at is not None and now - slot.ready_at >= backoff.reset_after
        slot.ceiling = backoff.ceiling_after(0.0 if healthy else slot.ceiling)
        return self._board.rng.random() * slot.ceiling

    def _start_failed(
        self, slot: Slot, now: float, exit_: Exit, error: BaseException | None
    ) -> None:
        """The first attempt of a commanded start: the caller is told, nothing is retried."""
        back_to, slot.first_start = slot.first_start, None
        self._tell_starters(slot, exit_, error)
        if back_to is State.STOPPED and slot.spec.restart is not Restart.TEMPORARY:
            self._board.stopped(slot, now)
        else:
            self._board.remove(slot, now)

    def _ended_for_good(self, slot: Slot, now: float) -> None:
        board = self._board
        if board.policy.keyed or slot.spec.restart is Restart.TEMPORARY:
            board.remove(slot, now)
        else:
            board.done(slot, now)
        if slot.spec.significant and self._auto_shutdown_due():
            self._plan.end(Ending(EndKind.AUTO, f"{slot.name} has ended"), now)

    def _auto_shutdown_due(self) -> bool:
        mode = self._board.policy.auto_shutdown
        if mode is AutoShutdown.ALL_SIGNIFICANT:
            return all(
                other.state in (State.DONE, State.STOPPED)
                for other in self._board.slots.values()
                if other.spec.significant
            )
        return mode is AutoShutdown.ANY_SIGNIFICANT

    def _rest(self, slot: Slot, now: float, exit_: Exit, error: BaseException | None) -> None:
        """At rest by command, or because the supervisor ends."""
        self._tell_starters(slot, exit_, error)
        if slot.spec.restart is Restart.TEMPORARY:
            self._board.remove(slot, now)
        else:
            self._board.stopped(slot, now)

    def _tell_starters(self, slot: Slot, exit_: Exit, cause: BaseException | None) -> None:
        """Whoever waits for a start that ended like this."""
        if slot.tickets:
            failure = StartFailedError(slot.path, exit_.reason)
            failure.__cause__ = cause
            self._board.settle(slot, Wait.START, failure)

    # ------------------------------------------------------------------ deadlines

    def on_deadline(self, slot: Slot, deadline: float, now: float) -> None:
        board, state = self._board, slot.state
        if state is State.BACKOFF:
            board.launch(slot, now)
        elif now - deadline > STALL and not slot.graced:
            self._begin_anew(slot, now)
        elif state is State.STARTING:
            board.cancel(slot, Why.NOT_READY, now)
        elif state is State.DRAINING:
            board.cancel(slot, slot.why or Why.COMMAND, now)
        elif state is State.STOPPING:
            self._not_stopped(slot, now)
        elif slot.spec.liveness is not None:
            self._look_for_life(slot, slot.spec.liveness, now)

    def _look_for_life(self, slot: Slot, limit: float, now: float) -> None:
        if slot.idle:
            slot.beat = now
        due = slot.beat + limit
        if due > now:
            slot.graced = False
            self._board.timers.arm(slot, due)
        else:
            self._board.cancel(slot, Why.HUNG, now)

    def _begin_anew(self, slot: Slot, now: float) -> None:
        """Nothing ran for a while, so the child could not either: its deadline begins anew, once.

        A child that itself keeps the loop from turning does not get away with that again.
        """
        seconds = {
            State.STARTING: slot.spec.ready_limit,
            State.DRAINING: slot.spec.drain_deadline,
            State.STOPPING: self._board.stop_limit(slot),
        }.get(slot.state, slot.spec.liveness)
        slot.graced = True
        self._board.timers.arm(slot, now + (seconds or 0.0))

    def _not_stopped(self, slot: Slot, now: float) -> None:
        board = self._board
        limit = board.stop_limit(slot)
        reason = f"{slot.name} did not end within {limit:g} s"
        if slot.spec.stuck is Policy.WAIT or any(host.may_wait for host in slot.hosts):
            board.actions.append(Stuck(slot, now, slot.incarnation))
            board.settle(slot, Wait.STOP, NotStoppedError(slot.path, "has not ended in time"))
            board.settle(slot, Wait.START, StartFailedError(slot.path, "it has not ended in time"))
            return
        board.to(slot, State.ABANDONED, now)
        board.live -= 1
        board.actions.append(Abandon(slot, now, slot.incarnation))
        board.settle(slot, Wait.START, StartFailedError(slot.path, reason))
        board.settle_all(slot, SupervisorDownError(f"{board.path}: {reason}"))
        self._plan.end(Ending(EndKind.ESCALATED, reason), now)
