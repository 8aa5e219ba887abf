"""``Call``: a request that somebody waits for, and who waits for whom."""

from __future__ import annotations

from typing import Any, Generic, Protocol, cast

import trio

from supervisors._trio.typevars import A_contra, Q_co

Task = trio.lowlevel.Task


class Box(Protocol):
    """What a call needs of the mailbox it goes to."""

    readers: set[Task]

    def send_nowait(self, message: Any) -> None: ...
    async def send(self, message: Any) -> None: ...


class Call(Generic[Q_co, A_contra]):
    """A request that somebody waits for; the child gets it from its mailbox.

    ``message`` is what the caller passed. The child must answer with ``reply`` or ``fail`` once;
    a later answer, and one that nobody waits for any more, has no effect.
    """

    __slots__ = ("_answered", "_box", "_error", "_scope", "_value", "message", "over")

    def __init__(self, message: Q_co, box: Box) -> None:
        self.message: Q_co = message
        self.over: bool = False
        self._box = box
        self._answered = trio.Event()
        self._value: Any = None
        self._error: BaseException | None = None
        self._scope: trio.CancelScope | None = None

    def reply(self, value: A_contra = cast(Any, None)) -> None:  # noqa: B008  a typed None
        """Resolves the caller's ``call`` with the value; default None."""
        self._resolve(value, None)

    def fail(self, error: BaseException) -> None:
        """Raises the exception from the caller's ``call``."""
        self._resolve(None, error)

    @trio.lowlevel.enable_ki_protection
    def _resolve(self, value: Any, error: BaseException | None) -> None:
        if not self.over:
            self.over = True
            self._value, self._error = value, error
            self._answered.set()
            if self._scope is not None:
                self._scope.cancel()

    @trio.lowlevel.enable_ki_protection
    async def wait(self) -> Any:
        """Sends it and returns the answer."""
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


def is_over(message: Any) -> bool:
    """Whether it is a call that nobody waits for any more."""
    return isinstance(message, Call) and message.over


waiting: dict[Task, Box] = {}
"""The mailbox whose answer a task waits for; an entry lives as long as the call."""


def is_circle(box: Box, caller: Task) -> bool:
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
            further = waiting.get(reader)
            if further is None:
                return False
            todo.append(further)
    return True
