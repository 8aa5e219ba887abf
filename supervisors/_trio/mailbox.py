"""Mailboxes: bounded, owned by the slot, so they outlive the incarnations that read them.

Delivery is at most once: a message that an incarnation has taken and not finished when it crashes
is gone; messages still in the mailbox wait for the next incarnation.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, Generic

import trio

from supervisors._core.errors import (
    CallCycleError,
    ChildDownError,
    MailboxGoneError,
    StaleIncarnationError,
)

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from supervisors._core.slot import Slot

    M = TypeVar("M", default=Any)
    Q = TypeVar("Q", default=Any)
    A = TypeVar("A", default=Any)
    Q_co = TypeVar("Q_co", default=Any, covariant=True)
    A_contra = TypeVar("A_contra", default=Any, contravariant=True)
    T = TypeVar("T", default=Any)
else:  # without defaults at run time: that takes Python 3.13
    from typing import TypeVar

    M = TypeVar("M")
    Q = TypeVar("Q")
    A = TypeVar("A")
    Q_co = TypeVar("Q_co", covariant=True)
    A_contra = TypeVar("A_contra", contravariant=True)
    T = TypeVar("T")

Task = trio.lowlevel.Task


class Call(Generic[Q_co, A_contra]):
    """A request that somebody waits for; the child gets it from its mailbox.

    ``message`` is what the caller passed. The child must answer with ``reply`` or ``fail`` once;
    a later answer, and one that nobody waits for any more, has no effect.
    """

    __slots__ = ("_answered", "_box", "_error", "_scope", "_value", "message", "over")

    def __init__(self, message: Q_co, box: Mailbox[Any]) -> None:
        self.message: Q_co = message
        self.over = False
        self._box = box
        self._answered = trio.Event()
        self._value: Any = None
        self._error: BaseException | None = None
        self._scope: trio.CancelScope | None = None

    def reply(self, value: A_contra) -> None:
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

    @trio.lowlevel.enable_ki_protection
    async def _wait(self) -> Any:
        box = self._box
        try:
            box.send_nowait(self)
        except trio.WouldBlock:
            with trio.CancelScope() as self._scope:  # for when the child dies meanwhile
                await box.send(self)
            self._scope = None
        await self._answered.wait()
        if self._error is not None:
            raise self._error
        return self._value


class Waiter(Generic[T]):
    """A task that waits at a mailbox, to send ``message`` or for one."""

    __slots__ = ("error", "inbox", "message", "task")

    def __init__(self, inbox: Inbox[Any] | None, message: T | None = None) -> None:
        self.task = trio.lowlevel.current_task()
        self.inbox = inbox
        self.message = message
        self.error: BaseException | None = None

    async def wait(self, line: OrderedDict[Task, Waiter[T]]) -> None:
        """Waits in the line until somebody takes it out with ``wake``."""

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            line.pop(self.task, None)
            return trio.lowlevel.Abort.SUCCEEDED

        line[self.task] = self
        await trio.lowlevel.wait_task_rescheduled(abort)
        if self.error is not None:
            raise self.error

    def wake(self, message: T | None = None, error: BaseException | None = None) -> None:
        """Goes on, with the message or the error."""
        self.message, self.error = message, error
        trio.lowlevel.reschedule(self.task)


class Mailbox(Generic[T]):
    """The slot's side: one bounded queue and the calls that are under way.

    A call whose caller has gone leaves the queue with it, so the bound is one of messages that
    somebody still means.
    """

    __slots__ = ("_items", "_receivers", "_senders", "bound", "calls", "closed", "readers", "slot")

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.bound = slot.spec.mailbox
        self.calls: set[Call[Any, Any]] = set()
        self.readers: set[Task] = set()  # tasks of this incarnation that have received
        self._items: deque[T] = deque()
        self._senders: OrderedDict[Task, Waiter[T]] = OrderedDict()
        self._receivers: OrderedDict[Task, Waiter[T]] = OrderedDict()
        self.closed = False

    @property
    def waiting(self) -> int:
        """Messages that wait, without those whose senders wait for room."""
        return len(self._items)

    @property
    def senders_waiting(self) -> int:
        """Tasks that wait for room."""
        return len(self._senders)

    # ------------------------------------------------------------------ the senders' side

    @trio.lowlevel.enable_ki_protection
    def send_nowait(self, message: T) -> None:
        """Raises trio.WouldBlock when there is no room, MailboxGoneError."""
        if self.closed:
            raise MailboxGoneError(f"{self.slot.path} no longer exists")
        if self._receivers:
            self._receivers.popitem(last=False)[1].wake(message)
        elif len(self._items) < self.bound:
            self._items.append(message)
        else:
            raise trio.WouldBlock

    @trio.lowlevel.enable_ki_protection
    async def send(self, message: T) -> None:
        """Waits for room."""
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self.send_nowait(message)
        except trio.WouldBlock:
            await Waiter(None, message).wait(self._senders)
        else:
            await trio.lowlevel.cancel_shielded_checkpoint()

    @trio.lowlevel.enable_ki_protection
    async def call(self, message: Any) -> Any:
        """Sends a ``Call`` and waits for its answer."""
        task = trio.lowlevel.current_task()
        if _is_circle(self, task):
            raise CallCycleError(
                f"{self.slot.path} would wait for itself: whoever is to answer waits for this call"
            )
        call: Call[Any, Any] = Call(message, self)
        self.calls.add(call)
        _waiting[task] = self
        try:
            return await call._wait()
        finally:
            del _waiting[task]
            call.over = True
            self.calls.discard(call)
            self._forget(call)

    def _forget(self, call: Call[Any, Any]) -> None:
        for item in self._items:
            if item is call:
                self._items.remove(item)
                self._let_in()
                break

    def _let_in(self) -> None:
        """A sender that waits for room gets it."""
        while self._senders and len(self._items) < self.bound:
            _, sender = self._senders.popitem(last=False)
            self._items.append(sender.message)  # type: ignore[arg-type]
            sender.wake()

    # ------------------------------------------------------------------ the child's side

    def take(self) -> T:
        """The next message; raises trio.WouldBlock when there is none."""
        while self._items or self._senders:
            if self._items:
                message = self._items.popleft()
                self._let_in()
            else:  # a bound of 0
                _, sender = self._senders.popitem(last=False)
                message = sender.message  # type: ignore[assignment]
                sender.wake()
            if not (isinstance(message, Call) and message.over):
                return message
        raise trio.WouldBlock

    @trio.lowlevel.enable_ki_protection
    async def receive(self, inbox: Inbox[Any]) -> T:
        """Waits for the next message. To wait in one's own mailbox is no sign of a hang."""
        waiter: Waiter[T] = Waiter(inbox)
        self.readers.add(waiter.task)
        slot = self.slot
        incarnation = slot.incarnation
        slot.idle += 1
        try:
            await waiter.wait(self._receivers)
        finally:
            if slot.incarnation == incarnation:
                slot.idle -= 1
                slot.beat = trio.current_time()
        return waiter.message  # type: ignore[return-value]

    def wake(self, inbox: Inbox[Any], error: BaseException) -> None:
        """Raises the error in the tasks that wait through the inbox."""
        for task, waiter in list(self._receivers.items()):
            if waiter.inbox is inbox:
                del self._receivers[task]
                waiter.wake(error=error)

    # ------------------------------------------------------------------ ends

    def died(self, reason: str) -> None:
        """The incarnation ended: whoever waits for an answer of its is told so."""
        self.readers.clear()
        for call in tuple(self.calls):
            call.fail(ChildDownError(f"{self.slot.path} died before it answered: {reason}"))

    def close(self) -> int:
        """The slot is gone: senders that wait or come later get an error. Returns the number of
        messages that were in it."""
        self.closed = True
        self.died("it no longer exists")
        dropped = sum(not (isinstance(item, Call) and item.over) for item in self._items)
        self._items.clear()
        while self._senders:
            _, sender = self._senders.popitem(last=False)
            sender.wake(error=MailboxGoneError(f"{self.slot.path} no longer exists"))
        return dropped


_waiting: dict[Task, Mailbox[Any]] = {}
"""The mailbox whose answer a task waits for; an entry lives as long as the call."""


def _is_circle(box: Mailbox[Any], caller: Task) -> bool:
    """Whether nobody can ever take the caller's message from the mailbox: each task that reads it
    is the caller, or waits for a mailbox of which the same is true. A child that has not read yet,
    or has a reader that does something else, may still do it."""
    seen: set[int] = set()
    todo = [box]
    while todo:
        present = todo.pop()
        if id(present) in seen:
            continue
        seen.add(id(present))
        if not present.readers:
            return False
        for reader in present.readers:
            if reader is caller:
                continue
            further = _waiting.get(reader)
            if further is None:
                return False
            todo.append(further)
    return True


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
        self._check()
        try:
            message: M = self._box.take()
        except trio.WouldBlock:
            if self._draining:
                raise trio.EndOfChannel from None
        else:
            self._box.readers.add(trio.lowlevel.current_task())
            await trio.lowlevel.cancel_shielded_checkpoint()
            return message
        while True:
            message = await self._box.receive(self)
            if not (isinstance(message, Call) and message.over):
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
