"""``SupervisorBase``: what both kinds of supervisor share, the commands above all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import trio

from supervisors._core.board import Policy
from supervisors._core.errors import NoSuchChildError, SupervisorDownError
from supervisors._core.exits import Exit
from supervisors._core.machine import Machine
from supervisors._core.settings import AutoShutdown, Stuck
from supervisors._core.slot import Slot
from supervisors._trio.mailbox import Mailbox
from supervisors._trio.parent import Parent
from supervisors._trio.ref import Ref
from supervisors._trio.run import Run
from supervisors._trio.spec import ChildSpec
from supervisors._trio.ticket import Command, Ticket
from supervisors._trio.tree import Node, node, wall
from supervisors._trio.typevars import M


class SupervisorBase:
    """What both kinds share. The object is the ``run`` of a ``ChildSpec`` and, while it runs, the
    handle for commands from any task of the program.

    Commands take effect at the call (when very many are given at once: in their turn); awaiting
    them only waits for the outcome, so a caller that is cancelled meanwhile takes nothing back.
    Each of them ends, whatever becomes of the child or the tree: all raise SupervisorDownError when
    the supervisor is not running or stops meanwhile, and NoSuchChildError for an unknown name.
    """

    is_supervisor = True

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._run: Run | None = None
        self._busy = False

    async def _first_children(self) -> Sequence[ChildSpec[Any]]:
        raise NotImplementedError

    @trio.lowlevel.enable_ki_protection
    async def __call__(self, ctx: Parent) -> None:
        """Runs the supervisor as somebody's child; one object runs at one place at a time.

        A worker may do that in its own ``run``: open a resource, then ``await supervisor(ctx)``.
        """
        if self._busy:
            raise RuntimeError(f"{ctx.path}: this supervisor object is running already")
        self._busy = True
        try:
            ctx.host(self)
            specs = await self._first_children()
            self._run = run = Run(ctx, self._policy, self)
            await run.serve(specs)
        finally:
            self._run = None
            self._busy = False
            ctx.unhost(self)

    # ------------------------------------------------------------------ commands

    async def start_child(self, spec: ChildSpec[M]) -> Ref[M]:
        """Adds a child and starts it; returns when it is ready (or has parked, or returned).

        If its first start fails, it is not kept and StartFailedError is raised, whatever its
        restart type. Raises ChildExistsError, TooManyChildrenError. The child is gone when the
        supervisor restarts, unless ``initial`` returns it again.
        """
        self._check(spec)
        await self._do(lambda machine, now, ticket: machine.start(spec, now, ticket))
        return Ref(self, spec.name)

    async def get_or_start(self, spec: ChildSpec[M]) -> Ref[M]:
        """Like ``start_child``, unless there is a child of that name: then that one is meant, is
        started if it is at rest, and its start awaited (one that has parked has started). The spec
        it was added with stays valid.

        Raises ChildStateError while it is being stopped for good.
        """
        self._check(spec)
        await self._do(lambda machine, now, ticket: machine.get_or_start(spec, now, ticket))
        return Ref(self, spec.name)

    async def terminate_child(self, name: str) -> None:
        """Stops a child in whatever state it is and waits until it is at rest.

        It stays in the tree as STOPPED and no strategy starts it again; a temporary child is
        removed. Raises NotStoppedError when it does not end and is ``Stuck.WAIT``.
        """
        await self._do(lambda machine, now, ticket: machine.terminate(name, now, ticket))

    async def restart_child(self, name: str) -> None:
        """Starts a child that is STOPPED or DONE, or stops one that is STARTING or RUNNING and
        starts it again; returns when it is ready (or has parked).

        Raises ChildStateError in any other state, StartFailedError when this first attempt fails
        (the child is then at rest). Uses no restart budget.
        """
        await self._do(lambda machine, now, ticket: machine.restart(name, now, ticket))

    async def retry_now(self, name: str) -> None:
        """Ends the wait of a child that is in BACKOFF; returns when it is ready (or has parked).

        Raises ChildStateError if it is not, StartFailedError if this start fails (the child's
        restart type and backoff then apply as after any crash).
        """
        await self._do(lambda machine, now, ticket: machine.retry(name, now, ticket))

    async def unpark(self, name: str) -> None:
        """Lets a parked child go on; returns when it is ready or has parked again.

        Raises ChildStateError if it is not parked, StartFailedError if this start fails (the
        child's restart type and backoff then apply as after any crash).
        """
        await self._do(lambda machine, now, ticket: machine.unpark(name, now, ticket))

    async def delete_child(self, name: str) -> None:
        """Forgets a child that is STOPPED, DONE or PARKED, and its mailbox."""

        def delete(machine: Machine, now: float, ticket: Ticket) -> None:
            machine.delete(name, now)
            ticket.settle(None)

        await self._do(delete)

    async def wait_ready(self, name: str) -> None:
        """See ``Ref.wait_ready``."""
        await self._do(lambda machine, _now, ticket: machine.await_ready(name, ticket))

    async def wait_exit(self, name: str) -> Exit:
        """See ``Ref.wait_exit``."""
        found = await self._do(lambda machine, _now, ticket: machine.await_exit(name, ticket))
        assert found is not None
        return found

    @trio.lowlevel.enable_ki_protection
    async def _do(self, command: Command) -> Exit | None:
        return await self.running().command(command).wait()

    def _check(self, spec: ChildSpec[Any]) -> None:
        if spec.significant and self._policy.auto_shutdown is AutoShutdown.NEVER:
            raise ValueError(f"{spec.name}: significant, but the supervisor has no auto_shutdown")

    # ------------------------------------------------------------------ looking

    @overload
    def child(self, child: ChildSpec[M]) -> Ref[M]: ...
    @overload
    def child(self, child: str) -> Ref[Any]: ...
    def child(self, child: str | ChildSpec[Any]) -> Ref[Any]:
        """A stable reference to the child of that name, which need not exist yet. Asked for by its
        spec it knows the type of the messages."""
        return Ref(self, child if isinstance(child, str) else child.name)

    def children(self) -> tuple[str, ...]:
        """The names of the children, in start order."""
        return tuple(self.running().machine.slots)

    def tree(self) -> tuple[Node, ...]:
        """A frozen picture of the children and all below them."""
        self.running()
        return self.nodes()

    def node(self, name: str) -> Node:
        """One child's part of ``tree()``."""
        return node(self.slot(name), wall())

    @property
    def is_running(self) -> bool:
        """Whether commands can be given now."""
        return self._run is not None and self._run.machine.ending is None

    # ------------------------------------------------------------------ stopping

    @property
    def stop_needs(self) -> float:
        """Seconds that a stop may take: what the deadlines of the present children allow."""
        if self._run is None:
            return self._most([self._stop_of(spec) for spec in self._specs()])
        board = self._run.machine.board
        slots = board.slots.values()
        return self._most(
            [(slot.spec.drain_deadline or 0.0) + board.stop_limit(slot) for slot in slots]
        )

    @property
    def may_wait(self) -> bool:
        """Whether a child that does not end would be waited for without end (``Stuck.WAIT``)."""
        if self._run is None:
            return any(spec.stuck is Stuck.WAIT for spec in self._specs())
        return any(
            slot.spec.stuck is Stuck.WAIT or any(host.may_wait for host in slot.hosts)
            for slot in self._run.machine.slots.values()
        )

    def _specs(self) -> Sequence[ChildSpec[Any]]:
        return ()

    @staticmethod
    def _stop_of(spec: ChildSpec[Any]) -> float:
        return (spec.drain_deadline or 0.0) + spec.stop_limit

    def _most(self, seconds: Sequence[float]) -> float:
        return max(seconds, default=0.0) if self._policy.keyed else sum(seconds)

    # ------------------------------------------------------------------ for the library's own use

    @property
    def present(self) -> Run | None:
        """The present run, if there is one."""
        return self._run

    def running(self) -> Run:
        """The present run. Raises SupervisorDownError."""
        if self._run is None:
            raise SupervisorDownError("the supervisor is not running")
        return self._run

    def nodes(self) -> tuple[Node, ...]:
        """``tree()``, and nothing while it is not running."""
        if self._run is None:
            return ()
        zero = wall()
        return tuple([node(slot, zero) for slot in self._run.machine.slots.values()])

    def slot(self, name: str) -> Slot:
        """The child's slot. Raises NoSuchChildError, SupervisorDownError."""
        slot = self.running().machine.slots.get(name)
        if slot is None:
            raise NoSuchChildError(f"no child {name!r}")
        return slot

    def box(self, name: str) -> Mailbox[Any]:
        """The child's mailbox."""
        return self.running().box(self.slot(name))
