"""``Root``: the handle of a running tree."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import trio

from supervisors._core.errors import NoSuchChildError
from supervisors._core.slot import State
from supervisors._trio.base import SupervisorBase
from supervisors._trio.ref import Ref
from supervisors._trio.spec import ChildSpec
from supervisors._trio.system import Observer, System
from supervisors._trio.tree import Node, wall
from supervisors._trio.typevars import M


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

    def host(self, supervisor: Any) -> None:
        """See ``ChildContext.host``: a root runs nothing else."""

    def unhost(self, supervisor: Any) -> None:
        """See ``ChildContext.unhost``."""

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Calls ``observer(event)`` at every event from now on; returns the way to end that."""
        return self.system.subscribe(observer)

    async def start_child(self, spec: ChildSpec[M]) -> Ref[M]:
        """``SupervisorBase.start_child`` of the root supervisor."""
        return await self.supervisor.start_child(spec)

    async def terminate_child(self, name: str) -> None:
        """``SupervisorBase.terminate_child``; a subtree stops in reverse order."""
        home, name = self._locate(name)
        await home.terminate_child(name)

    async def restart_child(self, name: str) -> None:
        """``SupervisorBase.restart_child``; a subtree starts in order."""
        home, name = self._locate(name)
        await home.restart_child(name)

    async def retry_now(self, name: str) -> None:
        """``SupervisorBase.retry_now``."""
        home, name = self._locate(name)
        await home.retry_now(name)

    async def delete_child(self, name: str) -> None:
        """``SupervisorBase.delete_child``."""
        home, name = self._locate(name)
        await home.delete_child(name)

    async def unpark(self, name: str) -> None:
        """``SupervisorBase.unpark``."""
        home, name = self._locate(name)
        await home.unpark(name)

    def child(self, name: str) -> Ref[Any]:
        """``SupervisorBase.child`` of the root supervisor."""
        return self.supervisor.child(name)

    def find(self, name: str) -> Ref[Any]:
        """A reference to an existing child anywhere in the tree. Raises NoSuchChildError."""
        return Ref(*self._locate(name))

    def _locate(self, name: str) -> tuple[SupervisorBase, str]:
        """The supervisor of that child, and its name there."""
        parts = name.split("/")
        if len(parts) > 1 and parts.pop(0) != self.path:
            raise NoSuchChildError(f"no child {name!r}")
        home = self.supervisor
        for part, following in pairwise(parts):
            hosts: tuple[SupervisorBase, ...] = home.slot(part).hosts
            below = [host for host in hosts if host.is_running and following in host.children()]
            if not below:
                raise NoSuchChildError(f"no child {name!r}")
            home = below[0]
        home.slot(parts[-1])
        return home, parts[-1]

    def tree(self) -> Node:
        """A frozen picture of the whole tree."""
        run = self.supervisor.present
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
            next_restart_at=None,
            mailbox=None,
            children=self.supervisor.nodes(),
            wall=wall(),
        )
