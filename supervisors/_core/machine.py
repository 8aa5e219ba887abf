"""The decision core of one supervisor: events and commands in, actions out.

``Machine`` is fed events (``begin``, ``ready``, ``exited``, ``tick``, ``stop``) and commands
(``start``, ``terminate``, ``restart``, ``delete``, ``unpark``), each with ``now``, and collects
actions in ``self.actions``, which its shell takes and carries out. It never calls back.

Commands take effect at once or raise; a ``ticket`` is an opaque token that comes back in a
``Settle`` action when the commanded start or stop is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from supervisors._core.actions import Ending, EndKind
from supervisors._core.errors import (
    ChildExistsError,
    ChildStateError,
    NoSuchChildError,
    SupervisorDownError,
    TooManyChildrenError,
)
from supervisors._core.events import ChildUnparked
from supervisors._core.exits import Exit, Why
from supervisors._core.judgement import Judgement
from supervisors._core.settings import ChildSpec, Restart
from supervisors._core.slot import Slot, State


class Machine(Judgement):
    """Decides for one run of one supervisor."""

    # ------------------------------------------------------------------ events

    def begin(self, specs: Iterable[ChildSpec], now: float) -> None:
        """The supervisor's own start: in order, each gated on ready; keyed ones all at once."""
        slots = [self.admit(spec, now) for spec in specs]
        if self.policy.keyed:
            self._unsettled.update(slots)
            for slot in slots:
                self.launch(slot, now)
        else:
            self._queue.extend(slots)
        self.advance(now)

    def ready(self, slot: Slot, now: float) -> None:
        """The live incarnation is ready. Twice, or when it is stopping: no effect."""
        if slot.state is State.STARTING:
            self.run(slot, now)
            self.advance(now)

    def exited(
        self, slot: Slot, exit_: Exit, now: float, error: BaseException | None = None
    ) -> None:
        """The live incarnation ended: exactly once per launch."""
        self.on_exit(slot, exit_, now, error)
        self.advance(now)

    def tick(self, now: float) -> None:
        """Time has passed: acts on every deadline that has come."""
        while (found := self.timers.pop_due(now)) is not None:
            owner, deadline = found
            if isinstance(owner, Slot):
                self.on_deadline(owner, deadline, now)
        self.advance(now)

    def stop(self, now: float, reason: str = "told to stop") -> None:
        """The supervisor is to end: children stop in reverse order (keyed ones all at once)."""
        self.end(Ending(EndKind.STOP, reason), now)
        self.advance(now)

    # ------------------------------------------------------------------ commands

    def start(self, spec: ChildSpec, now: float, ticket: Any) -> Slot:
        """Adds a child at the end and starts it. If its first start fails, it is not kept."""
        self._check_up()
        if spec.name in self.slots:
            raise ChildExistsError(f"{self.path}/{spec.name} exists already")
        limit = self.policy.max_children
        if limit is not None and len(self.slots) >= limit:
            raise TooManyChildrenError(f"{self.path} has {limit} children already")
        slot = self.admit(spec, now)
        slot.first_start = State.WAITING
        slot.start_tickets += (ticket,)
        self.launch(slot, now)
        return slot

    def terminate(self, name: str, now: float, ticket: Any) -> None:
        """Brings a child to rest whatever it does; it stays known, unless it is temporary."""
        slot = self._find(name)
        slot.stop_tickets += (ticket,)
        if slot in self._queue:
            self._queue.remove(slot)
        if slot.state in (State.STARTING, State.RUNNING):
            self.cancel(slot, Why.COMMAND, now)
        elif slot.state is State.STOPPING:
            slot.why = Why.COMMAND
        elif slot.state is State.STOPPED:
            self.settle_stop(slot)
        elif slot.spec.restart is Restart.TEMPORARY:
            self.remove(slot, now)
        else:
            self.stopped(slot, now)
        self.advance(now)

    def restart(self, name: str, now: float, ticket: Any) -> None:
        """Starts a child that is at rest (STOPPED or DONE). If that fails, it is at rest again."""
        slot = self._find(name)
        if slot.state not in (State.STOPPED, State.DONE):
            raise ChildStateError(f"{slot.path} is {slot.state.value}, not stopped")
        slot.first_start = State.STOPPED
        slot.start_tickets += (ticket,)
        self.launch(slot, now)

    def delete(self, name: str, now: float) -> None:
        """Forgets a child that is at rest (STOPPED, DONE or PARKED)."""
        slot = self._find(name)
        if slot.state not in (State.STOPPED, State.DONE, State.PARKED):
            raise ChildStateError(f"{slot.path} is {slot.state.value}; stop it first")
        self.remove(slot, now)

    def unpark(self, name: str, now: float, ticket: Any) -> None:
        """A person let a parked child go on: a new incarnation, its backoff begins anew."""
        slot = self._find(name)
        if slot.state is not State.PARKED:
            raise ChildStateError(f"{slot.path} is {slot.state.value}, not parked")
        slot.ceiling = 0.0
        slot.start_tickets += (ticket,)
        self.emit(ChildUnparked(slot.path, now))
        self.launch(slot, now)

    def _check_up(self) -> None:
        if self.ending is not None:
            raise SupervisorDownError(f"{self.path} is stopping")

    def _find(self, name: str) -> Slot:
        self._check_up()
        slot = self.slots.get(name)
        if slot is None:
            raise NoSuchChildError(f"{self.path} has no child {name!r}")
        return slot
