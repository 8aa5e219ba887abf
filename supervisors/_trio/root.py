"""``open_supervisor``: the root of a tree, held open by an ``async with`` block."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

import trio

from supervisors._core.errors import EscalationError, NoSuchChildError, SupervisionError
from supervisors._core.exits import leaves
from supervisors._core.settings import ChildSpec, check_name
from supervisors._core.slot import State
from supervisors._trio.ref import Ref
from supervisors._trio.supervisor import SupervisorBase
from supervisors._trio.system import Observer, System, logger
from supervisors._trio.tree import Node, utc

CONSEQUENCES = (trio.Cancelled, SupervisionError)

EXIT_STOP_OVERRUN = 70
"""Exit code of the process when a stop takes longer than ``stop_limit``."""


class Root:
    """The handle of a running tree.

    Where a ``name`` is taken, the name of a direct child or a path from the root
    ("root/storage/writer") is meant. Errors are those of ``SupervisorBase``.
    """

    def __init__(self, supervisor: SupervisorBase, name: str, system: System) -> None:
        self.path = name
        self.system = system
        self.supervisor = supervisor
        self._since = trio.current_time()
        self._ready = trio.Event()

    def ready(self) -> None:
        """Called by the root supervisor when its start is complete."""
        self._ready.set()

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Calls ``observer(event)`` at every event from now on; returns the way to end that."""
        return self.system.subscribe(observer)

    async def start_child(self, spec: ChildSpec) -> Ref:
        """``SupervisorBase.start_child`` of the root supervisor."""
        return await self.supervisor.start_child(spec)

    async def terminate_child(self, name: str) -> None:
        """``SupervisorBase.terminate_child``; a subtree stops in reverse order."""
        ref = self.find(name)
        await ref._home.terminate_child(ref.name)

    async def restart_child(self, name: str) -> None:
        """``SupervisorBase.restart_child``; a subtree starts in order."""
        ref = self.find(name)
        await ref._home.restart_child(ref.name)

    async def delete_child(self, name: str) -> None:
        """``SupervisorBase.delete_child``."""
        ref = self.find(name)
        await ref._home.delete_child(ref.name)

    async def unpark(self, name: str) -> None:
        """``SupervisorBase.unpark``."""
        ref = self.find(name)
        await ref._home.unpark(ref.name)

    def child(self, name: str) -> Ref:
        """``SupervisorBase.child`` of the root supervisor."""
        return self.supervisor.child(name)

    def find(self, name: str) -> Ref:
        """A reference to an existing child anywhere in the tree. Raises NoSuchChildError."""
        parts = name.split("/")
        if len(parts) > 1 and parts.pop(0) != self.path:
            raise NoSuchChildError(f"no child {name!r}")
        home = self.supervisor
        for part in parts[:-1]:
            below = home.slot(part).spec.run
            if not isinstance(below, SupervisorBase):
                raise NoSuchChildError(f"no child {name!r}")
            home = below
        home.slot(parts[-1])
        return Ref(home, parts[-1])

    def tree(self) -> Node:
        """A frozen picture of the whole tree."""
        run = self.supervisor._run
        if run is None:
            state = State.STOPPED
        elif run.machine.ending is not None:
            state = State.STOPPING
        else:
            state = State.RUNNING if run.machine.started else State.STARTING
        return Node(
            name=self.path,
            path=self.path,
            kind="supervisor",
            state=state,
            incarnation=1,
            restarts=0,
            last_exit=None,
            since=self._since,
            since_utc=utc(self._since),
            next_restart_at=None,
            next_restart_utc=None,
            mailbox=None,
            children=() if run is None else self.supervisor.tree(),
        )


class _Opened(AbstractAsyncContextManager[Root]):
    """See ``open_supervisor``. Written out, for a generator may not hold a nursery open."""

    def __init__(
        self,
        supervisor: SupervisorBase,
        name: str,
        stop_limit: float,
        observers: Iterable[Observer],
        rng: random.Random,
        overrun: Callable[[int], object],
    ) -> None:
        self._supervisor = supervisor
        self._name = name
        self._stop_limit = stop_limit
        self._observers = observers
        self._rng = rng
        self._overrun = overrun
        self._error: BaseException | None = None
        self._abandoned: list[str] = []

    async def __aenter__(self) -> Root:
        system = System(
            self._rng,
            self._observers,
            on_stopping=self._on_stopping,
            on_abandoned=self._on_abandoned,
        )
        self._root = Root(self._supervisor, self._name, system)
        self._scope = trio.CancelScope(shield=True)
        self._body = trio.CancelScope()
        self._stopping = trio.Event()
        self._finished = trio.Event()
        self._closed = trio.Event()
        self._nursery_manager = trio.open_nursery()
        nursery = await self._nursery_manager.__aenter__()
        nursery.start_soon(self._serve, name=self._name)
        nursery.start_soon(self._guard, name=f"{self._name} stop guard")
        try:
            await self._root._ready.wait()
        except BaseException:
            await self._close()
            raise
        if self._error is not None:
            await self._close()
            raise self._error
        self._body.__enter__()
        return self._root

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        left = exc
        try:
            if self._body.__exit__(exc_type, exc, traceback):
                left = None
        except BaseException as rest:  # the body's error without our cancellation
            left = rest
        await self._close()
        if self._error is None:
            if left is not None and left is not exc:
                raise left
            return left is None
        # A command that failed because the tree went down is no second story.
        if left is None or all(isinstance(part, CONSEQUENCES) for part in leaves(left)):
            raise self._error
        raise BaseExceptionGroup("the block and its supervisor failed", [left, self._error])

    async def _serve(self) -> None:
        try:
            with self._scope:
                await self._supervisor(self._root)
        except GeneratorExit:
            raise
        except BaseException as error:
            self._error = error
        self._finished.set()
        self._root._ready.set()
        self._bring_down()

    async def _close(self) -> None:
        """Stops the tree in order; bounded by ``_guard``."""
        interrupt: KeyboardInterrupt | None = None
        self._bring_down()
        with trio.CancelScope(shield=True):
            while not self._finished.is_set():
                self._scope.cancel(reason=f"{self._name}: stop")
                try:
                    await self._finished.wait()
                except KeyboardInterrupt as error:  # the stop under way is all that can be done
                    interrupt = error
        self._closed.set()
        await self._nursery_manager.__aexit__(None, None, None)
        if self._error is None and self._abandoned:
            self._error = EscalationError(self._name, f"{self._abandoned[0]} did not end in time")
        if self._error is None:
            self._error = interrupt

    def _bring_down(self) -> None:
        self._stopping.set()
        self._body.cancel(reason=f"{self._name} is stopping")

    def _on_stopping(self, path: str) -> None:
        if path == self._name:
            self._bring_down()

    def _on_abandoned(self, path: str) -> None:
        """A task that does not end cannot be killed: the tree comes down, then the process."""
        self._abandoned.append(path)
        self._scope.cancel(reason=f"{path} did not end within its stop deadline")

    async def _guard(self) -> None:
        """Ends the process if the stop, once begun, takes longer than ``stop_limit``."""
        with trio.CancelScope(shield=True):
            await self._stopping.wait()
            with trio.move_on_after(self._stop_limit):
                await self._closed.wait()
            if not self._closed.is_set():
                logger.critical(
                    "%s did not stop within %g s (still there: %s): exit code %d",
                    self._name,
                    self._stop_limit,
                    ", ".join(self._abandoned) or "unknown",
                    EXIT_STOP_OVERRUN,
                )
                self._overrun(EXIT_STOP_OVERRUN)


def open_supervisor(
    supervisor: SupervisorBase,
    *,
    name: str = "root",
    stop_limit: float = 60.0,
    observers: Iterable[Observer] = (),
    rng: random.Random | None = None,
    overrun: Callable[[int], object] = os._exit,
) -> AbstractAsyncContextManager[Root]:
    """Runs a tree for the length of an ``async with`` block, whose target is a ``Root``.

    The block is entered when the tree has started. Leaving it, however that comes about, stops the
    tree in reverse order. If the supervisor gives up, the block is cancelled and EscalationError
    comes out of it: alone, if the block raised nothing but errors of this library, which are
    consequences; otherwise in a group with the block's own error. KeyboardInterrupt and SystemExit
    of a child come out as they are. If the supervisor ends by auto_shutdown, the block is cancelled
    and left without an error.

    name
        First part of all paths.
    stop_limit
        Seconds that a whole stop may take, from its beginning to the last task's end. A child that
        outlives its own stop deadline brings the tree down, and if it is still there after
        ``stop_limit`` the process ends with code 70 (``EXIT_STOP_OVERRUN``) on the spot: trio
        cannot kill a task, so whatever must survive that has to be crash-safe.
    observers
        See ``Root.subscribe``; these see the very first event too.
    rng
        Source of jitter. Default: a fresh ``random.Random``.
    overrun
        Called with the exit code instead of ``os._exit``; for tests.
    """
    check_name(name)
    if not stop_limit > 0:
        raise ValueError(f"stop_limit must be positive, got {stop_limit}")
    rng = rng or random.Random()  # noqa: S311  jitter, not a secret
    return _Opened(supervisor, name, stop_limit, observers, rng, overrun)
