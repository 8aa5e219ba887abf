"""A stable name for a child, good across its incarnations."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Any, Generic, Protocol

import trio

from supervisors._core.errors import ChildDownError, MailboxGoneError
from supervisors._core.exits import Exit
from supervisors._core.slot import LIVE, Slot, State
from supervisors._trio.call import Call
from supervisors._trio.mailbox import Mailbox
from supervisors._trio.tree import Node
from supervisors._trio.typevars import A, Q, S_contra

MONITOR_BOUND = 1000
"""Exits that a monitor keeps for a reader that is behind; the oldest go first."""


class Home(Protocol):
    """What a reference needs of the supervisor whose child it names."""

    def slot(self, name: str) -> Slot: ...
    def box(self, name: str) -> Mailbox[Any]: ...
    def node(self, name: str) -> Node: ...
    async def wait_ready(self, name: str) -> None: ...
    async def wait_exit(self, name: str) -> Exit: ...


class Exits:
    """The exits of one child, as they come: ``async for exit in exits``. Ends when the child is
    removed or its supervisor ends."""

    def __init__(self) -> None:
        self._exits: deque[Exit] = deque(maxlen=MONITOR_BOUND)
        self._news = trio.Event()
        self._over = False

    def push(self, exit_: Exit) -> None:
        """One more."""
        self._exits.append(exit_)
        self._news.set()

    def end(self) -> None:
        """There will be no more."""
        self._over = True
        self._news.set()

    def __aiter__(self) -> AsyncIterator[Exit]:
        return self

    @trio.lowlevel.enable_ki_protection
    async def __anext__(self) -> Exit:
        await trio.lowlevel.checkpoint()
        while not self._exits:
            if self._over:
                raise StopAsyncIteration
            self._news = trio.Event()
            await self._news.wait()
        return self._exits.popleft()


class Ref(Generic[S_contra]):
    """How others reach a child. Made by ``child(name)``, ``child(spec)`` or ``find(path)``; ``S``
    is the type of the messages that it takes.

    It stays valid while the child restarts, is stopped and started, or is deleted and added again
    under the same name.
    """

    __slots__ = ("_box", "_home", "name")

    def __init__(self, home: Home, name: str) -> None:
        self._home = home
        self.name: str = name
        self._box: Mailbox[Any] | None = None

    @property
    def path(self) -> str:
        """The names from the root down. Raises like ``state``."""
        return self._home.slot(self.name).path

    @property
    def state(self) -> State:
        """Raises NoSuchChildError or SupervisorDownError when there is no such child now."""
        return self._home.slot(self.name).state

    def node(self) -> Node:
        """The child's part of ``tree()``."""
        return self._home.node(self.name)

    # ------------------------------------------------------------------ messages

    async def send(self, message: S_contra) -> None:
        """Puts a message into the child's mailbox; waits while it is full.

        The child need not be running at this moment if it comes back by itself (it is to start, or
        in its backoff): the mailbox belongs to its slot. Order is kept per sender.

        Raises ChildDownError when only a command would start it (it is stopped, done, parked), or
        when it is being stopped for good; NoSuchChildError, SupervisorDownError or MailboxGoneError
        when there is no such child (any more).
        """
        try:
            await self._open_box().send(message)
        except MailboxGoneError:
            await self._find_box().send(message)

    def send_nowait(self, message: S_contra) -> None:
        """Like ``send``; raises trio.WouldBlock when the mailbox is full."""
        try:
            self._open_box().send_nowait(message)
        except MailboxGoneError:
            self._find_box().send_nowait(message)

    async def call(self: Ref[Call[Q, A]], message: Q) -> A:
        """Sends a request and waits for the child's answer; the child sees a ``Call``.

        Raises what the child answers with ``fail``; ChildDownError at once when the child is not
        running or dies before it has answered (whether or not it had seen the request, which no
        later incarnation will see either); CallCycleError when whoever is to answer waits for the
        caller. For a deadline use a cancel scope.
        """
        slot = self._home.slot(self.name)
        if slot.state not in LIVE or not slot.comes_back:
            raise ChildDownError(f"{slot.path} is {slot.state.value}")
        answer: A = await self._home.box(self.name).call(message)
        return answer

    # ------------------------------------------------------------------ its life

    async def wait_ready(self) -> None:
        """Returns when the child is ready; at once if it is.

        Goes on waiting while it restarts. Raises ChildDownError when only a command would start it,
        and like the commands of a supervisor when there is no such child or supervisor.
        """
        await self._home.wait_ready(self.name)

    async def wait_exit(self) -> Exit:
        """The end of the present incarnation, or of the next if there is none now; the last one if
        only a command would start the child (ChildDownError if it never ran)."""
        return await self._home.wait_exit(self.name)

    @contextmanager
    def monitor(self) -> Generator[Exits, None, None]:
        """``with ref.monitor() as exits: async for exit in exits: ...``: every end of the child
        from now on. None is missed, unless the reader is more than 1000 behind: then the oldest."""
        slot = self._home.slot(self.name)
        exits = Exits()
        slot.monitors = (*slot.monitors, exits)
        try:
            yield exits
        finally:
            slot.monitors = tuple(other for other in slot.monitors if other is not exits)

    def _open_box(self) -> Mailbox[Any]:
        box = self._box or self._find_box()
        if not box.slot.comes_back and not box.closed:
            raise ChildDownError(f"{box.slot.path} is {box.slot.state.value}")
        return box

    def _find_box(self) -> Mailbox[Any]:
        box = self._home.box(self.name)
        if box is self._box:
            raise MailboxGoneError(f"{box.slot.path} no longer exists")
        self._box = box
        return box
