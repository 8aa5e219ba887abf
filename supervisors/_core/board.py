"""The board: a supervisor's slots and its primitive moves, each with the event that tells of it."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from supervisors._core.actions import Action, Cancel, Ending, Launch, Remove, Settle
from supervisors._core.budget import Budget
from supervisors._core.events import (
    ChildDone,
    ChildParked,
    ChildReady,
    ChildRemoved,
    ChildStarting,
    ChildStopped,
    ChildStopping,
    ChildWaiting,
    Event,
)
from supervisors._core.exits import Exit, Why
from supervisors._core.settings import AutoShutdown, ChildSpec, Intensity, Strategy
from supervisors._core.slot import Slot, State
from supervisors._core.timers import Timers


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
        self.timer = 0
        self.until: float | None = None  # None: no wait


class Board:
    """State of one run of one supervisor. Slots are kept in start order."""

    def __init__(self, path: str, policy: Policy, rng: random.Random) -> None:
        self.path = path
        self.policy = policy
        self.rng = rng
        self.budget = Budget(policy.intensity)
        self.timers = Timers()
        self.slots: dict[str, Slot] = {}
        self.actions: list[Action] = []
        self.ending: Ending | None = None
        self.finished = False
        self.started = False
        self._live = 0  # incarnations still waited for
        self._queue: deque[Slot] = deque()  # to start, in order
        self._gate: Slot | None = None  # launched from the queue, not settled yet
        self._stops: dict[Slot, None] = {}  # to stop, from the end
        self._hold = Hold()
        self._unsettled: set[Slot] = set()  # keyed: first children whose start is not over

    def admit(self, spec: ChildSpec, now: float) -> Slot:
        """A new slot at the end of the order."""
        slot = Slot(spec, f"{self.path}/{spec.name}", now)
        self.slots[spec.name] = slot
        return slot

    def emit(self, event: Event) -> None:
        self.actions.append(event)

    # ------------------------------------------------------------------ moves

    def to(self, slot: Slot, state: State, now: float) -> None:
        slot.state = state
        slot.since = now
        self.timers.disarm(slot)

    def launch(self, slot: Slot, now: float) -> None:
        slot.incarnation += 1
        slot.ready_at = slot.due = None
        self._live += 1
        self.to(slot, State.STARTING, now)
        self.timers.arm(slot, now + (slot.spec.ready_deadline or 0.0))
        self.emit(ChildStarting(slot.path, now, slot.incarnation))
        self.actions.append(Launch(slot))

    def run(self, slot: Slot, now: float) -> None:
        took = now - slot.since
        self.to(slot, State.RUNNING, now)
        slot.ready_at = slot.beat = now
        slot.first_start = None
        if slot.spec.liveness is not None:
            self.timers.arm(slot, now + slot.spec.liveness)
        self.emit(ChildReady(slot.path, now, slot.incarnation, took))
        self.settle_start(slot)
        self.settled(slot)

    def cancel(self, slot: Slot, why: Why, now: float) -> None:
        self.to(slot, State.STOPPING, now)
        slot.why = why
        self.timers.arm(slot, now + (slot.spec.stop_deadline or 0.0))
        self.emit(ChildStopping(slot.path, now, slot.incarnation, why))
        self.actions.append(Cancel(slot, why))

    def park(self, slot: Slot, exit_: Exit, now: float) -> None:
        """Waits for a person. For those who wait for its start, it has started."""
        slot.first_start = None
        self.to(slot, State.PARKED, now)
        self.emit(ChildParked(slot.path, now, exit_.reason, exit_.code))
        self.settle_start(slot)
        self.settled(slot)

    def stopped(self, slot: Slot, now: float) -> None:
        """At rest until a command starts it."""
        slot.due = slot.first_start = None
        self.to(slot, State.STOPPED, now)
        self.emit(ChildStopped(slot.path, now))
        self.settle_stop(slot)
        self.settled(slot)

    def wait(self, slot: Slot, now: float) -> None:
        """A sibling's restart takes it along: not live, to be started in its turn."""
        self.to(slot, State.WAITING, now)
        self.emit(ChildWaiting(slot.path, now))

    def done(self, slot: Slot, now: float) -> None:
        """Ended for good by itself; the name stays taken."""
        self.to(slot, State.DONE, now)
        self.emit(ChildDone(slot.path, now))
        self.settled(slot)

    def remove(self, slot: Slot, now: float) -> None:
        self.to(slot, State.STOPPED, now)
        del self.slots[slot.name]
        if slot in self._queue:
            self._queue.remove(slot)
        self.emit(ChildRemoved(slot.path, now))
        self.settle_stop(slot)
        self.settled(slot)
        self.actions.append(Remove(slot))

    # ------------------------------------------------------------------ those who wait

    def settled(self, slot: Slot) -> None:
        """The slot's start is over, well or for good: the next in the queue may go."""
        if self._gate is slot:
            self._gate = None
        self._unsettled.discard(slot)

    def settle_start(
        self, slot: Slot, error: Callable[[Slot], BaseException] | None = None
    ) -> None:
        if slot.start_tickets:
            self._settle(slot.start_tickets, error(slot) if error else None)
            slot.start_tickets = ()

    def settle_stop(self, slot: Slot, error: BaseException | None = None) -> None:
        if slot.stop_tickets:
            self._settle(slot.stop_tickets, error)
            slot.stop_tickets = ()

    def _settle(self, tickets: tuple[Any, ...], error: BaseException | None) -> None:
        self.actions.extend(Settle(ticket, error) for ticket in tickets)
