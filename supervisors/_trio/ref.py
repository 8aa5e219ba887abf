"""A stable name for a child, good across its incarnations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from supervisors._core.errors import ChildDownError, MailboxGoneError
from supervisors._core.slot import LIVE, State

if TYPE_CHECKING:
    from supervisors._trio.mailbox import Mailbox
    from supervisors._trio.supervisor import SupervisorBase
    from supervisors._trio.tree import Node


class Ref:
    """How others reach a child. Made by ``child(name)`` or ``find(path)``.

    It stays valid while the child restarts, is stopped and started, or is deleted and added again
    under the same name.
    """

    __slots__ = ("_box", "_home", "name")

    def __init__(self, home: SupervisorBase, name: str) -> None:
        self._home = home
        self.name = name
        self._box: Mailbox | None = None

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

    async def send(self, message: Any) -> None:
        """Puts a message into the child's mailbox; waits while it is full.

        The child need not be running: the mailbox belongs to its slot. Order is kept per sender.
        Raises NoSuchChildError, SupervisorDownError or MailboxGoneError when there is no such
        child (any more).
        """
        try:
            await (self._box or self._find_box()).sender.send(message)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await self._find_box().sender.send(message)

    def send_nowait(self, message: Any) -> None:
        """Like ``send``; raises trio.WouldBlock when the mailbox is full."""
        try:
            (self._box or self._find_box()).sender.send_nowait(message)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._find_box().sender.send_nowait(message)

    async def call(self, message: Any) -> Any:
        """Sends a request and waits for the child's answer; the child sees a ``Call``.

        Raises what the child answers with ``fail``, and ChildDownError at once when the child is
        not running or dies before it has answered (whether or not it had seen the request, which
        no later incarnation will see either). For a deadline use a cancel scope.
        """
        slot = self._home.slot(self.name)
        if slot.state not in LIVE:
            raise ChildDownError(f"{slot.path} is {slot.state.value}")
        return await self._home.box(self.name).call(message)

    def _find_box(self) -> Mailbox:
        box = self._home.box(self.name)
        if box is self._box:
            raise MailboxGoneError(f"{box.path} no longer exists")
        self._box = box
        return box
