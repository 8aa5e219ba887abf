"""The board: a supervisor's slots and their moves, each with the event that tells of it.

Every ticket (somebody who waits) belongs to a slot until it is settled, and each move settles those
whom it answers. A slot that comes to rest answers all of them, so none can be forgotten.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from supervisors._core.actions import Action, Cancel, Drain, Ending, Launch, Remove, Settle
from supervisors._core.budget import Budget
from supervisors._core.errors import ChildDownError, StartFailedError
from supervisors._core.exits import Exit, Why
from supervisors._core.settings import (
    WORKER_STOP_DEADLINE,
    AutoShutdown,
    ChildRules,
    Intensity,
    Strategy,
)
from supervisors._core.slot import SICK, Slot, State, Wait
from supervisors._core.timers import Timers
from supervisors.events import (
    ChildDone,
    ChildDraining,
    ChildParked,
    ChildReady,
    ChildRemoved,
    ChildStarting,
    ChildStopped,
    ChildStopping,
    ChildWaiting,
)


@dataclass(frozen=True, slots=True)
class Policy:
    """A supervisor's settings. ``keyed``: a dynamic supervisor, whose children have no order."""

    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: Intensity = field(default_factory=Intensity)
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    keyed: bool = False
    max_children: int | None = None

    @property
    def grouped(self) -> bool:
        """Whether a restart concerns siblings too."""
        return self.strategy is not Strategy.ONE_FOR_ONE


class Hold:
    """Owner of the one deadline that a group restart waits for."""

    __slots__ = ("timer", "until")

    def __init__(self) -> None:
        self.timer: int = 0
        self.until: float | None = None  # None: no wait


class Board:
    """State of one run of one supervisor. Slots are kept in start order."""

    def __init__(self, path: str, policy: Policy, rng: random.Random) -> None:
        self.path: str = path
        self.policy = policy
        self.rng = rng
        self.budget: Budget = Budget(policy.intensity)
        self.timers: Timers = Timers()
        self.slots: dict[str, Slot] = {}
        self.actions: list[Action] = []
        self.ending: Ending | None = None
        self.finished: bool = False
        self.started: bool = False
        self.live: int = 0  # incarnations still waited for
        self.queue: deque[Slot] = deque()  # to start, in order
        self.gate: Slot | None = None  # launched from the queue, not settled yet
        self.stops: dict[Slot, None] = {}  # to stop, from the end
        self.hold: Hold = Hold()
        self.unsettled: set[Slot] = set()  # keyed: first children whose start is not over

    def admit(self, spec: ChildRules, now: float) -> Slot:
        """A new slot at the end of the order."""
        slot = Slot(spec, f"{self.path}/{spec.name}", now)
        self.slots[spec.name] = slot
        return slot

    # ------------------------------------------------------------------ moves

    def to(self, slot: Slot, state: State, now: float) -> None:
        if slot.sick_since is not None:
            slot.sick += now - slot.sick_since
        slot.sick_since = now if state in SICK else None
        slot.state = state
        slot.since = now
        slot.graced = False
        self.timers.disarm(slot)

    def launch(self, slot: Slot, now: float) -> None:
        slot.incarnation += 1
        slot.ready_at = slot.due = None
        slot.idle = 0
        slot.hosts = ()
        self.live += 1
        self.to(slot, State.STARTING, now)
        self.timers.arm(slot, now + slot.spec.ready_limit)
        self.actions.append(ChildStarting(slot.path, now, slot.incarnation))
        self.actions.append(Launch(slot))

    def run(self, slot: Slot, now: float) -> None:
        took = now - slot.since
        self.to(slot, State.RUNNING, now)
        slot.ready_at = slot.beat = now
        slot.first_start = None
        if slot.spec.liveness is not None:
            self.timers.arm(slot, now + slot.spec.liveness)
        self.actions.append(ChildReady(slot.path, now, slot.incarnation, took))
        if slot.tickets:
            self.settle(slot, Wait.START)
            self.settle(slot, Wait.READY)
        self.settled(slot)

    def stop(self, slot: Slot, why: Why, now: float) -> None:
        """Tells a live child to end: drained first, if it is ready and has a time for that."""
        limit = slot.spec.drain_deadline
        if slot.state is not State.RUNNING or limit is None:
            self.cancel(slot, why, now)
            return
        self.to(slot, State.DRAINING, now)
        slot.why = why
        self.timers.arm(slot, now + limit)
        self.actions.append(ChildDraining(slot.path, now, slot.incarnation, why))
        self.actions.append(Drain(slot, why))

    def cancel(self, slot: Slot, why: Why, now: float) -> None:
        self.to(slot, State.STOPPING, now)
        if why is Why.HUNG:
            slot.sick_since = slot.beat  # as far as anybody knows
        slot.why = why
        self.timers.arm(slot, now + self.stop_limit(slot))
        self.actions.append(ChildStopping(slot.path, now, slot.incarnation, why))
        self.actions.append(Cancel(slot, why))

    def renew(self, slot: Slot, now: float) -> None:
        """Somebody new waits for a stop. If its deadline is over (``Stuck.WAIT``), it has as long
        again: nobody waits without an answer."""
        if slot.state is State.STOPPING and not slot.timer:
            self.timers.arm(slot, now + self.stop_limit(slot))

    def stop_limit(self, slot: Slot) -> float:
        """Seconds from cancellation to exit. Without a deadline of its own, a child that runs
        supervisors inside has their time too."""
        if slot.spec.stop_deadline is not None or not slot.hosts:
            return slot.spec.stop_limit
        return WORKER_STOP_DEADLINE + sum(float(host.stop_needs) for host in slot.hosts)

    def park(self, slot: Slot, exit_: Exit, now: float) -> None:
        """Waits for a person. For those who wait for its start, it has started."""
        slot.first_start = None
        self.to(slot, State.PARKED, now)
        self.actions.append(ChildParked(slot.path, now, exit_.reason, exit_.code))
        self.settle(slot, Wait.START)
        self._at_rest(slot)

    def stopped(self, slot: Slot, now: float) -> None:
        """At rest until a command starts it."""
        slot.due = slot.first_start = None
        self.to(slot, State.STOPPED, now)
        self.actions.append(ChildStopped(slot.path, now))
        self._at_rest(slot)

    def wait(self, slot: Slot, now: float) -> None:
        """A sibling's restart takes it along: not live, to be started in its turn."""
        self.to(slot, State.WAITING, now)
        self.actions.append(ChildWaiting(slot.path, now))

    def done(self, slot: Slot, now: float) -> None:
        """Ended for good by itself; the name stays taken."""
        slot.first_start = None
        self.to(slot, State.DONE, now)
        self.actions.append(ChildDone(slot.path, now))
        self._at_rest(slot)

    def remove(self, slot: Slot, now: float) -> None:
        self.to(slot, State.STOPPED, now)
        del self.slots[slot.name]
        if slot in self.queue:
            self.queue.remove(slot)
        self.actions.append(ChildRemoved(slot.path, now))
        self._at_rest(slot)
        self.actions.append(Remove(slot))

    # ------------------------------------------------------------------ those who wait

    def settled(self, slot: Slot) -> None:
        """The slot's start is over, well or for good: the next in the queue may go."""
        if self.gate is slot:
            self.gate = None
        self.unsettled.discard(slot)

    def settle(
        self, slot: Slot, wait: Wait, error: BaseException | None = None, exit_: Exit | None = None
    ) -> None:
        """Answers those who wait for this."""
        if slot.tickets:
            told = [ticket for kind, ticket in slot.tickets if kind is wait]
            slot.tickets = [entry for entry in slot.tickets if entry[0] is not wait]
            self.actions.extend(Settle(ticket, error, exit_) for ticket in told)

    def settle_all(self, slot: Slot, error: BaseException) -> None:
        """Answers everybody who still waits with the error."""
        for wait in Wait:
            self.settle(slot, wait, error)

    def _at_rest(self, slot: Slot) -> None:
        self.settled(slot)
        if not slot.tickets:
            return
        self.settle(slot, Wait.STOP)
        self.settle(slot, Wait.EXIT, *rest_answer(slot))
        self.settle(slot, Wait.START, StartFailedError(slot.path, "it was stopped meanwhile"))
        self.settle(slot, Wait.READY, ChildDownError(f"{slot.path} is {slot.state.value}"))


def rest_answer(slot: Slot) -> tuple[BaseException | None, Exit | None]:
    """What somebody is told who awaits the end of a child that is at rest."""
    if slot.last_exit is None:
        return ChildDownError(f"{slot.path} is {slot.state.value} and never ran"), None
    return None, slot.last_exit
