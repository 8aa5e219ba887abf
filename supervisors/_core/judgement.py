"""What an exit or a missed deadline leads to: restart, rest, park, the end of the supervisor."""

from __future__ import annotations

from collections.abc import Callable

from supervisors._core.actions import Abandon, Ending, EndKind
from supervisors._core.errors import StartFailedError, SupervisorDownError
from supervisors._core.events import ChildAbandoned, ChildExited, ChildRestarting
from supervisors._core.exits import Exit, ExitKind, Why
from supervisors._core.plan import Plan
from supervisors._core.settings import AutoShutdown, Restart
from supervisors._core.slot import Slot, State

STALL = 1.0
"""Seconds by which a deadline may be seen late. Beyond that the event loop itself was held up."""


class Judgement(Plan):
    """The part of the machine that knows about restart types, budget, backoff and verdicts."""

    def on_exit(self, slot: Slot, exit_: Exit, now: float, error: BaseException | None) -> None:
        was, why = slot.state, slot.why
        slot.last_exit = exit_
        slot.why = None
        doomed = slot in self._stops
        self._stops.pop(slot, None)
        self.emit(ChildExited(slot.path, now, slot.incarnation, exit_, error))
        if was is not State.ABANDONED:
            self._live -= 1
        failed = start_error(exit_, error)
        if exit_.kind is ExitKind.FATAL:
            self.rest(slot, now, failed)
            self.end(Ending(EndKind.FATAL, exit_.reason, error), now)
        elif was is State.ABANDONED or self.ending is not None:
            self.rest(slot, now, failed)
        elif exit_.kind is ExitKind.ESCALATED:
            self.rest(slot, now, failed)
            self.end(Ending(EndKind.ESCALATED, f"{slot.name}: {exit_.reason}", error), now)
        elif why is Why.COMMAND:
            self.rest(slot, now, failed)
        elif exit_.kind is ExitKind.PARKED:
            self.park(slot, exit_, now)
        elif doomed:
            self.await_turn(slot, now)  # whoever waits for its start goes on waiting
        else:
            self._on_own_exit(slot, exit_, now, error)

    def _on_own_exit(
        self, slot: Slot, exit_: Exit, now: float, error: BaseException | None
    ) -> None:
        """It ended by itself or missed a deadline: restart type, budget and backoff apply."""
        normal = exit_.kind is ExitKind.NORMAL
        again = slot.spec.restart is Restart.PERMANENT or (
            slot.spec.restart is Restart.TRANSIENT and not normal
        )
        if slot.first_start is not None and (again or not normal):
            self._start_failed(slot, now, start_error(exit_, error))
        elif not again:
            self.settle_start(slot, None if normal else start_error(exit_, error))
            self._ended_for_good(slot, now)
        elif slot.spec.uses_budget and not self.budget.spend(now):
            self.rest(slot, now, start_error(exit_, error))
            limit = self.policy.intensity
            reason = (
                f"more than {limit.max_restarts} restarts in {limit.window:g} s; "
                f"the last: {slot.name}: {exit_.reason}"
            )
            self.end(Ending(EndKind.ESCALATED, reason, error), now)
        else:
            self.settle_start(slot, start_error(exit_, error))
            self._restart(slot, now)

    def _restart(self, slot: Slot, now: float) -> None:
        slot.restarts += 1
        due = slot.due = now + self._delay(slot, now)
        self.to(slot, State.BACKOFF, now)
        self.emit(ChildRestarting(slot.path, now, slot.restarts, due))
        self._unsettled.discard(slot)
        if self.policy.grouped:
            self.take_along(slot, due, now)
        elif due > now:
            self.timers.arm(slot, due)
        else:
            self.launch(slot, now)

    def _delay(self, slot: Slot, now: float) -> float:
        backoff = slot.spec.backoff
        if backoff is None:
            return 0.0
        healthy = slot.ready_at is not None and now - slot.ready_at >= backoff.reset_after
        slot.ceiling = backoff.ceiling_after(0.0 if healthy else slot.ceiling)
        return self.rng.random() * slot.ceiling

    def _start_failed(self, slot: Slot, now: float, error: Callable[[Slot], BaseException]) -> None:
        """The first attempt of a commanded start: the caller is told, nothing is retried."""
        back_to, slot.first_start = slot.first_start, None
        self.settle_start(slot, error)
        if back_to is State.STOPPED and slot.spec.restart is not Restart.TEMPORARY:
            self.stopped(slot, now)
        else:
            self.remove(slot, now)

    def _ended_for_good(self, slot: Slot, now: float) -> None:
        if self.policy.keyed or slot.spec.restart is Restart.TEMPORARY:
            self.remove(slot, now)
        else:
            self.done(slot, now)
        if slot.spec.significant and self._auto_shutdown_due():
            self.end(Ending(EndKind.AUTO, f"{slot.name} has ended"), now)

    def _auto_shutdown_due(self) -> bool:
        mode = self.policy.auto_shutdown
        if mode is AutoShutdown.ALL_SIGNIFICANT:
            return all(
                other.state in (State.DONE, State.STOPPED)
                for other in self.slots.values()
                if other.spec.significant
            )
        return mode is AutoShutdown.ANY_SIGNIFICANT

    def rest(self, slot: Slot, now: float, error: Callable[[Slot], BaseException]) -> None:
        """At rest by command, or because the supervisor ends."""
        self.settle_start(slot, error)
        if slot.spec.restart is Restart.TEMPORARY:
            self.remove(slot, now)
        else:
            self.stopped(slot, now)

    def on_deadline(self, slot: Slot, deadline: float, now: float) -> None:
        state = slot.state
        if state is State.BACKOFF:
            self.launch(slot, now)
        elif now - deadline > STALL:
            self._begin_anew(slot, now)
        elif state is State.STARTING:
            self.cancel(slot, Why.NOT_READY, now)
        elif state is State.STOPPING:
            self._abandon(slot, now)
        elif slot.spec.liveness is not None:
            due = slot.beat + slot.spec.liveness
            if due > now:
                self.timers.arm(slot, due)
            else:
                self.cancel(slot, Why.HUNG, now)

    def _begin_anew(self, slot: Slot, now: float) -> None:
        """Nothing ran for a while, so the child could not either: its deadline begins anew."""
        seconds = slot.spec.liveness
        if slot.state is State.STARTING:
            seconds = slot.spec.ready_deadline
        elif slot.state is State.STOPPING:
            seconds = slot.spec.stop_deadline
        slot.beat = now
        self.timers.arm(slot, now + (seconds or 0.0))

    def _abandon(self, slot: Slot, now: float) -> None:
        self.to(slot, State.ABANDONED, now)
        self._live -= 1
        self.emit(ChildAbandoned(slot.path, now, slot.incarnation))
        self.actions.append(Abandon(slot))
        reason = f"{slot.name} did not end within {slot.spec.stop_deadline:g} s"
        self.settle_start(slot, lambda s: StartFailedError(s.path, reason))
        self.settle_stop(slot, SupervisorDownError(f"{self.path}: {reason}"))
        self.end(Ending(EndKind.ESCALATED, reason), now)


def start_error(exit_: Exit, cause: BaseException | None) -> Callable[[Slot], BaseException]:
    """Makes the error for a caller who waits for a start that ended like this."""

    def make(slot: Slot) -> BaseException:
        failure = StartFailedError(slot.path, exit_.reason)
        failure.__cause__ = cause
        return failure

    return make
