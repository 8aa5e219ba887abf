"""Mailboxes: bounded, owned by the slot, so they outlive the incarnations that read them.

Delivery is at most once: a message that an incarnation has taken and not finished when it crashes
is gone; messages still in the mailbox wait for the next incarnation.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import trio

from supervisors._core.errors import ChildDownError, MailboxGoneError, StaleIncarnationError


class Call:
    """A request that somebody waits for; the child gets it from its mailbox.

    ``message`` is what the caller passed. The child must answer with ``reply`` or ``fail`` once;
    a later answer, and one that nobody waits for any more, has no effect.
    """

    __slots__ = ("_answered", "_error", "_scope", "_value", "message", "over")

    def __init__(self, message: Any) -> None:
        self.message = message
        self.over = False
        self._answered = trio.Event()
        self._value: Any = None
        self._error: BaseException | None = None
        self._scope: trio.CancelScope | None = None

    def reply(self, value: Any = None) -> None:
        """Resolves the caller's ``call`` with the value."""
        self._resolve(value, None)

    def fail(self, error: BaseException) -> None:
        """Raises the exception from the caller's ``call``."""
        self._resolve(None, error)

    def _resolve(self, value: Any, error: BaseException | None) -> None:
        if not self.over:
            self.over = True
            self._value, self._error = value, error
            self._answered.set()
            if self._scope is not None:
                self._scope.cancel()

    async def _wait(self, channel: trio.MemorySendChannel[Any]) -> Any:
        try:
            try:
                channel.send_nowait(self)
            except trio.WouldBlock:
                with trio.CancelScope() as self._scope:
                    await channel.send(self)
                self._scope = None
            await self._answered.wait()
        finally:
            self.over = True
        if self._error is not None:
            raise self._error
        return self._value


class Mailbox:
    """The slot's side: one bounded channel and the calls that are under way."""

    __slots__ = ("calls", "path", "receiver", "sender")

    def __init__(self, path: str, bound: int) -> None:
        self.path = path
        self.sender, self.receiver = trio.open_memory_channel[Any](bound)
        self.calls: set[Call] = set()

    async def call(self, message: Any) -> Any:
        call = Call(message)
        self.calls.add(call)
        try:
            return await call._wait(self.sender)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise MailboxGoneError(f"{self.path} no longer exists") from error
        finally:
            self.calls.discard(call)

    def died(self, reason: str) -> None:
        """The incarnation ended: whoever waits for an answer of its is told so."""
        for call in tuple(self.calls):
            call.fail(ChildDownError(f"{self.path} died before it answered: {reason}"))

    def close(self) -> None:
        """The slot is gone: senders that wait or come later get an error."""
        self.sender.close()
        self.receiver.close()


class Inbox:
    """The child's side, valid for one incarnation: ``async for message in ctx.mailbox``."""

    __slots__ = ("_channel", "_path")

    def __init__(self, box: Mailbox) -> None:
        self._path = box.path
        self._channel = box.receiver.clone()

    async def receive(self) -> Any:
        """The next message. Calls that nobody waits for any more are passed over.

        Raises StaleIncarnationError when this incarnation has ended.
        """
        while True:
            try:
                message = await self._channel.receive()
            except trio.ClosedResourceError:
                raise self._stale() from None
            if type(message) is not Call or not message.over:
                return message

    def receive_nowait(self) -> Any:
        """Like ``receive``; raises trio.WouldBlock when there is nothing."""
        while True:
            try:
                message = self._channel.receive_nowait()
            except trio.ClosedResourceError:
                raise self._stale() from None
            if type(message) is not Call or not message.over:
                return message

    def _stale(self) -> StaleIncarnationError:
        return StaleIncarnationError(f"{self._path}: this incarnation has ended")

    def __aiter__(self) -> Inbox:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Any]:
        return self.receive()

    def close(self) -> None:
        """Ends it: whoever still waits here gets StaleIncarnationError."""
        self._channel.close()
