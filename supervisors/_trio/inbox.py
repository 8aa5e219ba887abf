"""``Inbox``: the child's side of its mailbox."""

from __future__ import annotations

from typing import Any, Generic

import trio

from supervisors._core.errors import StaleIncarnationError
from supervisors._trio.call import is_over
from supervisors._trio.mailbox import Mailbox
from supervisors._trio.typevars import M


class Inbox(Generic[M]):
    """The child's side, valid for one incarnation: ``async for message in ctx.mailbox``.

    The loop ends when the child is told to end and has a ``drain_deadline``: at once, or after what
    waits in the mailbox, as ``drain_mailbox`` says.
    """

    __slots__ = ("_box", "_closed", "_draining")

    def __init__(self, box: Mailbox[Any]) -> None:
        self._box = box
        self._closed = False
        self._draining = False

    async def receive(self) -> M:
        """The next message. Calls that nobody waits for any more are passed over.

        Raises trio.EndOfChannel when the child is to end and the mailbox has nothing more for it,
        StaleIncarnationError when this incarnation has ended.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            message = self.receive_nowait()
        except trio.WouldBlock:
            pass
        else:
            self._box.readers.add(trio.lowlevel.current_task())
            await trio.lowlevel.cancel_shielded_checkpoint()
            return message
        while True:
            message = await self._box.receive(self)
            if not is_over(message):
                return message

    def receive_nowait(self) -> M:
        """Like ``receive``; raises trio.WouldBlock when there is nothing."""
        self._check()
        try:
            message: M = self._box.take()
        except trio.WouldBlock:
            if self._draining:
                raise trio.EndOfChannel from None
            raise
        return message

    def _check(self) -> None:
        if self._closed:
            raise self._stale()
        if self._draining and not self._box.slot.spec.drain_mailbox:
            raise trio.EndOfChannel

    def _stale(self) -> StaleIncarnationError:
        return StaleIncarnationError(f"{self._box.slot.path}: this incarnation has ended")

    def __aiter__(self) -> Inbox[M]:
        return self

    async def __anext__(self) -> M:
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None

    def drain(self) -> None:
        """The child is to end: whoever waits here for a message has had the last one."""
        self._draining = True
        self._box.wake(self, trio.EndOfChannel())

    def close(self) -> None:
        """Ends it: whoever still waits here gets StaleIncarnationError."""
        self._closed = True
        self._box.wake(self, self._stale())
