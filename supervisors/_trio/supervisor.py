"""``Supervisor`` and ``DynamicSupervisor``: settings, and the commands of the live run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio

from supervisors._core.board import Policy
from supervisors._core.errors import NoSuchChildError, SupervisorDownError
from supervisors._core.machine import Machine
from supervisors._core.settings import (
    AutoShutdown,
    ChildSpec,
    Intensity,
    Strategy,
    check_budget,
)
from supervisors._core.slot import Slot
from supervisors._trio.mailbox import Mailbox
from supervisors._trio.ref import Ref
from supervisors._trio.run import Parent, Run, Ticket
from supervisors._trio.tree import Node, node


class SupervisorBase:
    """What both kinds share. The object is the ``run`` of a ``ChildSpec`` and, while it runs, the
    handle for commands from any task of the program.

    Commands take effect at the call; awaiting them only waits for the outcome, so a caller that is
    cancelled meanwhile takes nothing back. All of them raise SupervisorDownError when the
    supervisor is not running or stops meanwhile, and NoSuchChildError for an unknown name.
    """

    is_supervisor = True

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._run: Run | None = None
        self._busy = False

    async def _first_children(self) -> Sequence[ChildSpec]:
        raise NotImplementedError

    async def __call__(self, ctx: Parent) -> None:
        """Runs the supervisor as somebody's child; one object runs at one place at a time."""
        if self._busy:
            raise RuntimeError(f"{ctx.path}: this supervisor object is running already")
        self._busy = True
        try:
            specs = await self._first_children()
            self._run = run = Run(ctx, self._policy)
            await run.serve(specs)
        finally:
            self._run = None
            self._busy = False

    # ------------------------------------------------------------------ commands

    async def start_child(self, spec: ChildSpec) -> Ref:
        """Adds a child and starts it; returns when it is ready (or has parked).

        If its first start fails, it is not kept and StartFailedError is raised, whatever its
        restart type. Raises ChildExistsError, TooManyChildrenError. The child is gone when the
        supervisor restarts, unless ``initial`` returns it again.
        """
        self._check(spec)
        await self._do(lambda machine, now, ticket: machine.start(spec, now, ticket))
        return Ref(self, spec.name)

    async def terminate_child(self, name: str) -> None:
        """Stops a child in whatever state it is and waits until it is at rest.

        It stays in the tree as STOPPED and no strategy starts it again; a temporary child is
        removed.
        """
        await self._do(lambda machine, now, ticket: machine.terminate(name, now, ticket))

    async def restart_child(self, name: str) -> None:
        """Starts a child that is STOPPED or DONE; returns when it is ready (or has parked).

        Raises ChildStateError in any other state, StartFailedError when this first attempt fails
        (the child is then at rest again).
        """
        await self._do(lambda machine, now, ticket: machine.restart(name, now, ticket))

    async def unpark(self, name: str) -> None:
        """Lets a parked child go on; returns when it is ready or has parked again.

        Raises ChildStateError if it is not parked, StartFailedError if this start fails (the
        child's restart type and backoff then apply as after any crash).
        """
        await self._do(lambda machine, now, ticket: machine.unpark(name, now, ticket))

    async def delete_child(self, name: str) -> None:
        """Forgets a child that is STOPPED, DONE or PARKED, and its mailbox."""
        run = self.running()
        run.feed(lambda now: run.machine.delete(name, now))
        await trio.lowlevel.checkpoint()

    async def _do(self, command: Callable[[Machine, float, Ticket], object]) -> None:
        run = self.running()
        ticket = Ticket()
        run.feed(lambda now: command(run.machine, now, ticket))
        await ticket.wait()

    def _check(self, spec: ChildSpec) -> None:
        check_budget(spec, self._policy.intensity)
        if spec.significant and self._policy.auto_shutdown is AutoShutdown.NEVER:
            raise ValueError(f"{spec.name}: significant, but the supervisor has no auto_shutdown")

    # ------------------------------------------------------------------ looking

    def child(self, name: str) -> Ref:
        """A stable reference to the child of that name, which need not exist yet."""
        return Ref(self, name)

    def children(self) -> tuple[str, ...]:
        """The names of the children, in start order."""
        return tuple(self.running().machine.slots)

    def tree(self) -> tuple[Node, ...]:
        """A frozen picture of the children and all below them."""
        return tuple(_node(slot) for slot in self.running().machine.slots.values())

    def node(self, name: str) -> Node:
        """One child's part of ``tree()``."""
        return _node(self.slot(name))

    @property
    def is_running(self) -> bool:
        """Whether commands can be given now."""
        return self._run is not None and self._run.machine.ending is None

    # ------------------------------------------------------------------ for the library's own use

    def running(self) -> Run:
        if self._run is None:
            raise SupervisorDownError("the supervisor is not running")
        return self._run

    def slot(self, name: str) -> Slot:
        slot = self.running().machine.slots.get(name)
        if slot is None:
            raise NoSuchChildError(f"no child {name!r}")
        return slot

    def box(self, name: str) -> Mailbox:
        return self.running().box(self.slot(name))


class Supervisor(SupervisorBase):
    """Children in a fixed order.

    children
        Started in this order, each when the one before is ready (or parked, or ended for good),
        and stopped in the reverse order, one at a time. Names are unique.
    strategy
        See ``Strategy``. Default ONE_FOR_ONE.
    intensity
        See ``Intensity``. Default 3 restarts in 5 s; the next one makes the supervisor give up:
        it stops its children in order and raises EscalationError, a crash for its own parent.
    auto_shutdown
        See ``AutoShutdown``. Default NEVER. The supervisor then stops its other children in order
        and returns: a normal exit.

    A start that fails is judged like a crash: restart type, backoff and budget apply, and the
    children after it wait. A child that is added with ``start_child`` comes last in the order.
    """

    def __init__(
        self,
        children: Iterable[ChildSpec],
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity = Intensity(),  # noqa: B008  a frozen value
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
    ) -> None:
        super().__init__(Policy(strategy, intensity, auto_shutdown))
        self._children = tuple(children)
        _check_names(self._children)
        for spec in self._children:
            self._check(spec)
        if auto_shutdown is AutoShutdown.ALL_SIGNIFICANT and not any(
            spec.significant for spec in self._children
        ):
            raise ValueError("auto_shutdown on all significant children, but none is significant")

    async def _first_children(self) -> Sequence[ChildSpec]:
        return self._children


class DynamicSupervisor(SupervisorBase):
    """Children by key, without order: each on its own (one-for-one), stopped all at once.

    max_children
        Bound of the number of children known, whatever their state.
    initial
        ``async () -> list[ChildSpec]``, asked at each (re)start of the supervisor; these children
        are started together, and the supervisor is ready when each of them is ready, parked, ended
        or has failed once (a failure is then judged like any crash). Default: none.
    intensity
        See ``Intensity``. Default 3 restarts in 5 s, of all children together; children with a
        backoff use none of it.

    A child that ends for good by itself (transient after a normal exit, temporary after any) is
    removed.
    """

    def __init__(
        self,
        *,
        max_children: int,
        initial: Callable[[], Awaitable[Iterable[ChildSpec]]] | None = None,
        intensity: Intensity = Intensity(),  # noqa: B008  a frozen value
    ) -> None:
        if max_children < 1:
            raise ValueError(f"max_children must be 1 or more, got {max_children}")
        super().__init__(Policy(intensity=intensity, keyed=True, max_children=max_children))
        self._initial = initial
        self._max_children = max_children

    async def _first_children(self) -> Sequence[ChildSpec]:
        if self._initial is None:
            return ()
        specs = tuple(await self._initial())
        if len(specs) > self._max_children:
            raise ValueError(f"initial gave {len(specs)}, the bound is {self._max_children}")
        _check_names(specs)
        for spec in specs:
            self._check(spec)
        return specs


def _check_names(specs: Sequence[ChildSpec]) -> None:
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise ValueError(f"two children are called {spec.name!r}")
        seen.add(spec.name)


def _node(slot: Slot) -> Node:
    nested = slot.spec.run
    if not isinstance(nested, SupervisorBase):
        return node(slot, (), "worker")
    return node(slot, nested.tree() if nested._run is not None else (), "supervisor")
