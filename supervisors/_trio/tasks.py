"""``TaskSupervisor``: short-lived work with results."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, TypeVarTuple

import trio

from supervisors._core.errors import ChildDownError, NoSuchChildError, SupervisorDownError
from supervisors._core.settings import Restart
from supervisors._trio.context import ChildContext
from supervisors._trio.spec import ChildSpec
from supervisors._trio.supervisor import DynamicSupervisor
from supervisors._trio.user import unprotected

R_co = TypeVar("R_co", covariant=True)
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Task(Generic[R_co]):
    """Work under way, and its result. Made by ``TaskSupervisor.start``."""

    __slots__ = ("_error", "_home", "_over", "_value", "name")

    def __init__(self, home: DynamicSupervisor, name: str) -> None:
        self.name: str = name
        self._home = home
        self._over = trio.Event()
        self._value: Any = None
        self._error: BaseException | None = None

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._over.is_set()

    async def result(self) -> R_co:
        """Waits for the end, however often and by how many; returns what the function returned, or
        raises what it raised; ChildDownError if it was stopped before."""
        await self._over.wait()
        if self._error is not None:
            raise self._error
        value: R_co = self._value
        return value

    async def stop(self) -> None:
        """Stops it and waits until it has ended."""
        try:
            await self._home.terminate_child(self.name)
        except (NoSuchChildError, SupervisorDownError):  # it has ended already, or will
            await self._over.wait()

    def give_up(self) -> None:
        """It will not get a result any more, if it has none."""
        if not self.done:
            self.settle(None, ChildDownError(f"{self.name} was stopped before it had a result"))

    def settle(self, value: Any, error: BaseException | None) -> None:
        """It has ended."""
        self._value, self._error = value, error
        self._over.set()


class TaskSupervisor(DynamicSupervisor):
    """A dynamic supervisor for functions that are called once, each in a task of its own.

    ``max_children``: bound of those under way at the same time. A task is never restarted; one that
    raises is told and logged as a crash of a child, and again to whoever asks for its result. A
    stop of the supervisor cancels those under way.
    """

    def __init__(self, *, max_children: int) -> None:
        super().__init__(max_children=max_children)
        self._numbers = itertools.count(1)

    async def start(
        self, function: Callable[[*Ts], Awaitable[R]], *args: *Ts, name: str | None = None
    ) -> Task[R]:
        """Calls ``await function(*args)`` in a task; returns once it has begun.

        ``name`` shows in paths and must be free; default: "task-" and a number. Raises like
        ``start_child`` (TooManyChildrenError, ChildExistsError, SupervisorDownError).
        """
        task: Task[R] = Task(self, name or f"task-{next(self._numbers)}")

        async def run(ctx: ChildContext[Any]) -> None:
            ctx.at_end(task.give_up)
            ctx.ready()
            try:
                value = await unprotected(function, *args)
            except Exception as error:
                task.settle(None, error)
                raise
            task.settle(value, None)

        await self.start_child(ChildSpec(task.name, run, restart=Restart.TEMPORARY))
        return task
