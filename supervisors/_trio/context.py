"""What a child is given: ``ChildContext``, valid for one incarnation."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Generic, Protocol

import trio

from supervisors._core.errors import StaleIncarnationError
from supervisors._core.slot import ENDING, Slot
from supervisors._trio.inbox import Inbox
from supervisors._trio.mailbox import Mailbox
from supervisors._trio.ref import Ref
from supervisors._trio.system import System
from supervisors._trio.typevars import M


class Supervising(Protocol):
    """What a context needs of the run that it is part of."""

    @property
    def system(self) -> System: ...
    def ready(self, slot: Slot) -> None: ...
    def host(self, slot: Slot, supervisor: Any) -> None: ...
    def unhost(self, slot: Slot, supervisor: Any) -> None: ...
    def box(self, slot: Slot) -> Mailbox[Any]: ...
    def ref(self, slot: Slot) -> Ref[Any]: ...


class ChildContext(Generic[M]):
    """The argument of a child's ``run``. ``M`` is the type of its messages.

    Every method raises StaleIncarnationError once the incarnation has ended: a task that outlived
    its child by mistake can neither report nor take messages in its successor's name.
    """

    __slots__ = (
        "_endings",
        "_inbox",
        "_over",
        "_run",
        "_scope",
        "_slot",
        "_stopping",
        "_where",
        "incarnation",
        "task",
    )

    def __init__(self, slot: Slot, run: Supervising) -> None:
        self.incarnation: int = slot.incarnation
        self._slot = slot
        self._run = run
        self._scope = trio.CancelScope(shield=True)
        self._stopping: trio.Event | None = None
        self.task: trio.lowlevel.Task | None = None
        self._inbox: Inbox[M] | None = None
        self._where: tuple[str, ...] = ()
        self._endings: tuple[Callable[[], None], ...] = ()
        self._over = False

    @property
    def name(self) -> str:
        """The child's name within its supervisor."""
        return self._slot.spec.name

    @property
    def path(self) -> str:
        """The names from the root down, joined by "/"; the same for every incarnation."""
        return self._slot.path

    @property
    def system(self) -> System:
        """What the whole tree shares."""
        return self._run.system

    def ready(self) -> None:
        """The child can do its work: siblings after it may start, whoever waits for its start is
        told, liveness is watched from now on. Further calls have no effect."""
        if self._over:
            self._check()
        self._run.ready(self._slot)

    def beat(self) -> None:
        """The loop that does the work is alive. Call it from that loop, not from a helper task."""
        if self._over:
            self._check()
        self._slot.beat = trio.current_time()

    @contextmanager
    def idle(self) -> Generator[None, None, None]:
        """``with ctx.idle(): await next_request()``: a wait that may take as long as it likes is
        not a hang. (To wait in the own mailbox needs no such mark.) As long as one of the child's
        tasks is idle, none of them is watched."""
        self._check()
        slot = self._slot
        slot.idle += 1
        try:
            yield
        finally:
            if not self._over:
                slot.idle -= 1
                slot.beat = trio.current_time()

    @property
    def stopping(self) -> trio.Event:
        """Set when the child is told to end. With a ``drain_deadline`` it then has that time to
        finish what it has in hand and return; without one it is being cancelled already. Set also
        when the incarnation has ended: who waits for it must not wait for ever."""
        if self._stopping is None:
            self._check()
            self._stopping = trio.Event()
            if self._slot.state in ENDING:
                self._stopping.set()
        return self._stopping

    @property
    def mailbox(self) -> Inbox[M]:
        """The messages sent to this child: ``async for message in ctx.mailbox``."""
        if self._inbox is None:
            self._check()
            self._inbox = Inbox(self._run.box(self._slot))
            if self._slot.state in ENDING:
                self._inbox.drain()
        return self._inbox

    @property
    def ref(self) -> Ref[M]:
        """A reference to this child, to give to others."""
        return self._run.ref(self._slot)

    # ------------------------------------------------------------------ for the library's own use

    def host(self, supervisor: Any) -> None:
        """A supervisor is run with this context: it is seen in the tree, and has its own time."""
        self._check()
        self._run.host(self._slot, supervisor)

    def unhost(self, supervisor: Any) -> None:
        """That supervisor's run is over."""
        if not self._over:
            self._run.unhost(self._slot, supervisor)

    def at_end(self, action: Callable[[], None]) -> None:
        """Calls ``action`` when this incarnation has ended."""
        self._check()
        self._endings = (*self._endings, action)

    def drain(self) -> None:
        """It is to end by itself."""
        self.stopping.set()
        if self._inbox is not None:
            self._inbox.drain()

    def _check(self) -> None:
        if self._over:
            raise StaleIncarnationError(f"{self.path}: incarnation {self.incarnation} has ended")

    def close(self) -> None:
        """This incarnation has ended."""
        self._over = True
        self.task = None
        if self._stopping is not None:
            self._stopping.set()
        if self._inbox is not None:
            self._inbox.close()
        for action in self._endings:
            action()
