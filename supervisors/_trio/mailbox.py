"""Mailboxes: bounded, owned by the slot, so they outlive the incarnations that read them.

Delivery is at most once: a message that an incarnation has taken and not finished when it crashes
is gone; messages still in the mailbox wait for the next incarnation.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any, Generic

import trio

from supervisors._core.errors import CallCycleError, ChildDownError, MailboxGoneError
from supervisors._core.slot import Slot
from supervisors._trio.call import Call, Task, is_circle, is_over, waiting
from supervisors._trio.typevars import T


class Waiter(Generic[T]):
    """A task that waits at a mailbox, to send ``message`` or for one."""

    __slots__ = ("error", "inbox", "message", "task")

    def __init__(self, inbox: object, message: T | None = None) -> None:
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
        self.slot: Slot = slot
        self.bound: int = slot.spec.mailbox
        self.calls: set[Call[Any, Any]] = set()
        self.readers: set[Task] = set()  # tasks of this incarnation that have received
        self._items: deque[T] = deque()
        self._senders: OrderedDict[Task, Waiter[T]] = OrderedDict()
        self._receivers: OrderedDict[Task, Waiter[T]] = OrderedDict()
        self.closed: bool = False

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
        if is_circle(self, task):
            raise CallCycleError(
                f"{self.slot.path} would wait for itself: whoever is to answer waits for this call"
            )
        call: Call[Any, Any] = Call(message, self)
        self.calls.add(call)
        waiting[task] = self
        try:
            return await call.wait()
        finally:
            del waiting[task]
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

    @trio.lowlevel.enable_ki_protection
    def take(self) -> T:
        """The next message; raises trio.WouldBlock when there is none."""
        while self._items or self._senders:
            message: T
            if self._items:
                message = self._items.popleft()
                self._let_in()
            else:  # a bound of 0
                _, sender = self._senders.popitem(last=False)
                message = sender.message  # type: ignore[assignment]
                sender.wake()
            if not is_over(message):
                return message
        raise trio.WouldBlock

    @trio.lowlevel.enable_ki_protection
    async def receive(self, inbox: object) -> T:
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

    def wake(self, inbox: object, error: BaseException) -> None:
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
        dropped = sum(not is_over(item) for item in self._items)
        self._items.clear()
        while self._senders:
            _, sender = self._senders.popitem(last=False)
            sender.wake(error=MailboxGoneError(f"{self.slot.path} no longer exists"))
        return dropped
