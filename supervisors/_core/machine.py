"""The decision core of one supervisor: events and commands in, actions out.

``Machine`` is fed events (``begin``, ``ready``, ``exited``, ``tick``, ``stop``) and commands
(``start``, ``terminate``, ``restart``, …), each with ``now``, and collects actions, which its shell
takes (``take``) and carries out. It never calls back.

Commands take effect at once or raise; a ``ticket`` is an opaque token that comes back in exactly
one ``Settle`` action, whatever becomes of the child.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from supervisors._core.actions import Action, Ending, EndKind, Settle
from supervisors._core.board import Board, Policy, rest_answer
from supervisors._core.errors import (
    ChildDownError,
    ChildExistsError,
    ChildStateError,
    NoSuchChildError,
    SupervisorDownError,
    TooManyChildrenError,
)
from supervisors._core.exits import Exit, Why
from supervisors._core.judgement import Judgement
from supervisors._core.plan import BATCH, Plan
from supervisors._core.settings import ChildRules, Restart
from supervisors._core.slot import AT_REST, LIVE, Slot, State, Wait
from supervisors.events import ChildUnparked


class Machine:
    """Decides for one run of one supervisor.

    ``board`` is its state: the shell reads ``slots``, ``ending``, ``started`` and ``finished``.
    """

    def __init__(self, path: str, policy: Policy, rng: random.Random) -> None:
        self.board: Board = Board(path, policy, rng)
        self._plan = Plan(self.board)
        self._judgement = Judgement(self.board, self._plan)
        self._behind = False  # a tick has left deadlines that are due

    @property
    def slots(self) -> dict[str, Slot]:
        """The children by name, in start order."""
        return self.board.slots

    @property
    def ending(self) -> Ending | None:
        """Why the supervisor ends, once it does."""
        return self.board.ending

    @property
    def finished(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.board.finished

    @property
    def started(self) -> bool:
        """Whether its own start is complete."""
        return self.board.started

    @property
    def wants_tick(self) -> bool:
        """Whether there is more to do at once than was done in one step."""
        return self._behind or (self.board.policy.keyed and self._plan.has_more)

    def due(self) -> float:
        """When to tick next; infinity if nothing has a deadline."""
        return self.board.timers.next()

    def take(self) -> list[Action]:
        """The actions decided since the last time, in order."""
        actions, self.board.actions = self.board.actions, []
        return actions

    # ------------------------------------------------------------------ events

    def begin(self, specs: Iterable[ChildRules], now: float) -> None:
        """The supervisor's own start: in order, each gated on ready; keyed ones side by side."""
        slots = [self.board.admit(spec, now) for spec in specs]
        if self.board.policy.keyed:
            self.board.unsettled.update(slots)
        self.board.queue.extend(slots)
        self._plan.advance(now, step=True)

    def ready(self, slot: Slot, now: float) -> None:
        """The live incarnation is ready. Twice, or when it is to end: no effect."""
        if slot.state is State.STARTING:
            self.board.run(slot, now)
            self._plan.advance(now)

    def hosts(self, slot: Slot, supervisor: Any) -> None:
        """The live incarnation runs a supervisor, which has deadlines of its own: none is set for
        its start, and the child's stop may take ``supervisor.stop_needs`` seconds longer."""
        slot.hosts = (*slot.hosts, supervisor)
        if slot.state is State.STARTING and slot.spec.ready_deadline is None:
            self.board.timers.disarm(slot)

    def hosts_no_more(self, slot: Slot, supervisor: Any) -> None:
        """The run of that supervisor is over, the child's goes on."""
        slot.hosts = tuple(host for host in slot.hosts if host is not supervisor)

    def exited(
        self, slot: Slot, exit_: Exit, now: float, error: BaseException | None = None
    ) -> None:
        """The live incarnation ended: exactly once per launch."""
        self._judgement.on_exit(slot, exit_, now, error)
        self._plan.advance(now)

    def tick(self, now: float) -> None:
        """Time has passed: acts on the deadlines that have come, a batch of them in one step."""
        timers = self.board.timers
        self._behind = False
        for _ in range(BATCH):
            found = timers.pop_due(now)
            if found is None:
                break
            owner, deadline = found
            if isinstance(owner, Slot):
                self._judgement.on_deadline(owner, deadline, now)
        else:
            self._behind = timers.next() <= now
        self._plan.advance(now, step=True)

    def stop(self, now: float, reason: str = "told to stop") -> None:
        """The supervisor is to end: children stop in reverse order (keyed ones side by side)."""
        self._plan.end(Ending(EndKind.STOP, reason), now)
        self._plan.advance(now, step=True)

    # ------------------------------------------------------------------ commands

    def start(self, spec: ChildRules, now: float, ticket: Any) -> Slot:
        """Adds a child at the end and starts it. If its first start fails, it is not kept."""
        self._check_up()
        if spec.name in self.slots:
            raise ChildExistsError(f"{self.board.path}/{spec.name} exists already")
        limit = self.board.policy.max_children
        if limit is not None and len(self.slots) >= limit:
            raise TooManyChildrenError(f"{self.board.path} has {limit} children already")
        slot = self.board.admit(spec, now)
        slot.first_start = State.WAITING
        slot.tickets.append((Wait.START, ticket))
        self.board.launch(slot, now)
        return slot

    def get_or_start(self, spec: ChildRules, now: float, ticket: Any) -> None:
        """Like ``start``, unless there is a child of that name: then its start is awaited (and
        commanded, if it is at rest)."""
        self._check_up()
        slot = self.slots.get(spec.name)
        if slot is None:
            self.start(spec, now, ticket)
        elif slot.state in (State.RUNNING, State.PARKED):
            self.board.actions.append(Settle(ticket, None))
        elif slot.state in (State.STOPPED, State.DONE):
            self._launch_commanded(slot, now, ticket)
        elif slot.comes_back:
            slot.tickets.append((Wait.START, ticket))
            self.board.renew(slot, now)
        else:
            raise ChildStateError(f"{slot.path} is {slot.state.value}")

    def terminate(self, name: str, now: float, ticket: Any) -> None:
        """Brings a child to rest whatever it does; it stays known, unless it is temporary."""
        slot = self._find(name)
        slot.tickets.append((Wait.STOP, ticket))
        if slot in self.board.queue:
            self.board.queue.remove(slot)
        if slot.state in (State.STARTING, State.RUNNING):
            self.board.stop(slot, Why.COMMAND, now)
        elif slot.state in LIVE:
            slot.why = Why.COMMAND
            self.board.renew(slot, now)
        elif slot.state is State.STOPPED:
            self.board.settle(slot, Wait.STOP)
        elif slot.spec.restart is Restart.TEMPORARY:
            self.board.remove(slot, now)
        else:
            self.board.stopped(slot, now)
        self._plan.advance(now)

    def restart(self, name: str, now: float, ticket: Any) -> None:
        """Starts a child that is at rest (STOPPED or DONE), or stops one that is live and starts it
        again (in its turn, if a sibling's restart takes it along). If that start fails, it is at
        rest again, unless it was taken along: then it is judged as any other."""
        slot = self._find(name)
        if slot.state in (State.STOPPED, State.DONE):
            self._launch_commanded(slot, now, ticket)
        elif slot.state in (State.STARTING, State.RUNNING):
            slot.tickets.append((Wait.START, ticket))
            self.board.stop(slot, Why.RESTART, now)
        else:
            raise ChildStateError(f"{slot.path} is {slot.state.value}")

    def retry(self, name: str, now: float, ticket: Any) -> None:
        """Ends the backoff of a child: it starts now (in its turn, if siblings start with it)."""
        slot = self._find(name)
        if slot.state is not State.BACKOFF:
            raise ChildStateError(f"{slot.path} is {slot.state.value}, not in backoff")
        slot.tickets.append((Wait.START, ticket))
        if slot in self.board.queue:
            self._plan.hurry(now)
            self._plan.advance(now)
        else:
            self.board.launch(slot, now)

    def delete(self, name: str, now: float) -> None:
        """Forgets a child that is at rest (STOPPED, DONE or PARKED)."""
        slot = self._find(name)
        if slot.state not in (State.STOPPED, State.DONE, State.PARKED):
            raise ChildStateError(f"{slot.path} is {slot.state.value}; stop it first")
        self.board.remove(slot, now)

    def unpark(self, name: str, now: float, ticket: Any) -> None:
        """A person let a parked child go on: a new incarnation, its backoff begins anew."""
        slot = self._find(name)
        if slot.state is not State.PARKED:
            raise ChildStateError(f"{slot.path} is {slot.state.value}, not parked")
        slot.ceiling = 0.0
        slot.tickets.append((Wait.START, ticket))
        self.board.actions.append(ChildUnparked(slot.path, now))
        self.board.launch(slot, now)

    def await_ready(self, name: str, ticket: Any) -> None:
        """Settles the ticket when the child is ready; at once if it is."""
        slot = self._find(name)
        if slot.state is State.RUNNING:
            self.board.actions.append(Settle(ticket, None))
        elif slot.comes_back:
            slot.tickets.append((Wait.READY, ticket))
        else:
            raise ChildDownError(f"{slot.path} is {slot.state.value}")

    def await_exit(self, name: str, ticket: Any) -> None:
        """Settles the ticket with the child's next exit; with its last one if it is at rest."""
        slot = self._find(name)
        if slot.state in AT_REST:
            self.board.actions.append(Settle(ticket, *rest_answer(slot)))
        else:
            slot.tickets.append((Wait.EXIT, ticket))

    def _launch_commanded(self, slot: Slot, now: float, ticket: Any) -> None:
        slot.first_start = State.STOPPED
        slot.tickets.append((Wait.START, ticket))
        self.board.launch(slot, now)

    def _check_up(self) -> None:
        if self.board.ending is not None:
            raise SupervisorDownError(f"{self.board.path} is stopping")

    def _find(self, name: str) -> Slot:
        self._check_up()
        slot = self.slots.get(name)
        if slot is None:
            raise NoSuchChildError(f"{self.board.path} has no child {name!r}")
        return slot
