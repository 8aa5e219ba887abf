"""``open_supervisor``: a tree, held open by an ``async with`` block."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

import trio

from supervisors._core.errors import (
    EscalationError,
    NotStoppedError,
    StopError,
    SupervisionError,
)
from supervisors._core.exits import describe, leaves
from supervisors._core.settings import check_name
from supervisors._trio.base import SupervisorBase
from supervisors._trio.leftovers import describe as describe_leftovers
from supervisors._trio.log import log_events
from supervisors._trio.root import Root
from supervisors._trio.system import News, Observer, System, logger

CONSEQUENCES = (trio.Cancelled, SupervisionError)

STOP_MARGIN = 5.0
"""Seconds that the default ``stop_limit`` leaves beyond the sum of the deadlines."""

ABANDONED_GRACE = 1.0
"""Seconds that an abandoned child has after everything else has ended."""

MAX_CRASHED = 100
"""Crashes during a stop that its StopError holds; every one is logged."""

Overrun = Callable[[NotStoppedError, "BaseException | None"], object]


class _Opened(AbstractAsyncContextManager[Root], News):
    """See ``open_supervisor``. Written out, for a generator may not hold a nursery open."""

    def __init__(
        self,
        supervisor: SupervisorBase,
        name: str,
        stop_limit: float | None,
        observers: Iterable[Observer],
        rng: random.Random,
        overrun: Overrun | None,
    ) -> None:
        self._supervisor = supervisor
        self._name = name
        self._stop_limit = stop_limit
        self._observers = observers
        self._rng = rng
        self._overrun = overrun
        self._error: BaseException | None = None
        self._cause: BaseException | None = None  # why the tree was stopped, if by an error
        self._abandoned: list[NotStoppedError] = []
        self._late: NotStoppedError | None = None
        self._left_alone = False  # only abandoned children are still there
        self._patience: trio.CancelScope | None = None
        self._crashed: list[Exception] = []

    @trio.lowlevel.enable_ki_protection
    async def __aenter__(self) -> Root:
        system = System(self._rng, self._observers, self)
        self._root = Root(self._supervisor, self._name, system)
        self._scope = trio.CancelScope(shield=True)
        self._body = trio.CancelScope()
        self._stopping = trio.Event()
        self._finished = trio.Event()
        self._nursery_manager = trio.open_nursery()
        nursery = await self._nursery_manager.__aenter__()
        nursery.start_soon(self._serve, name=self._name)
        nursery.start_soon(self._guard, name=f"{self._name} stop guard")
        try:
            await self._root._ready.wait()
        except BaseException as error:
            self._cause = error
            await self._close()
            raise
        if self._error is not None:
            await self._close()
            raise self._error
        self._body.__enter__()
        return self._root

    @trio.lowlevel.enable_ki_protection
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        left = exc
        try:
            if self._body.__exit__(exc_type, exc, traceback):
                left = None
        except BaseException as rest:  # the body's error without our cancellation
            left = rest
        self._cause = self._cause or left
        await self._close()
        if self._error is None:
            if left is not None and left is not exc:
                raise left
            return left is None
        # A command that failed because the tree went down is no second story.
        if left is None or all(isinstance(part, CONSEQUENCES) for part in leaves(left)):
            raise self._error
        if isinstance(left, KeyboardInterrupt | SystemExit):
            left.add_note(f"its supervisor failed too: {describe(self._error)}")
            raise left
        raise BaseExceptionGroup("the block and its supervisor failed", [left, self._error])

    @trio.lowlevel.enable_ki_protection
    async def _serve(self) -> None:
        try:
            with self._scope:
                await self._supervisor(self._root)
        except BaseException as error:
            if isinstance(error, GeneratorExit) and not trio.lowlevel.in_trio_task():
                raise
            self._error = error
            self._cause = self._cause or error
        self._finished.set()
        self._root._ready.set()
        self._bring_down()

    @trio.lowlevel.enable_ki_protection
    async def _close(self) -> None:
        """Stops the tree in order; bounded by ``_guard``."""
        interrupt: KeyboardInterrupt | None = None
        self._bring_down()
        with trio.CancelScope(shield=True):
            while not self._finished.is_set():
                self._scope.cancel(reason=f"{self._name}: stop")
                try:
                    await self._finished.wait()
                except KeyboardInterrupt as error:  # the stop under way is all that can be done
                    interrupt = error
        await self._nursery_manager.__aexit__(None, None, None)
        if self._abandoned and not isinstance(self._error, KeyboardInterrupt | SystemExit):
            late = self._abandoned[0]
            if not isinstance(self._error, EscalationError | NotStoppedError):
                self._error = EscalationError(self._name, f"{late.path} did not end in time")
                self._error.__cause__ = late
        self._error = self._error or self._late
        if self._error is None and self._crashed:
            self._error = StopError(
                f"{self._name}: children crashed when they were stopped", self._crashed
            )
        if self._error is None:
            self._error = interrupt

    def _bring_down(self) -> None:
        self._stopping.set()
        self._body.cancel(reason=f"{self._name} is stopping")

    # ------------------------------------------------------------------ news of the tree

    def stopping(self, path: str) -> None:
        if path == self._name:
            self._bring_down()

    def over(self, path: str) -> None:
        """What is still there now is what was abandoned: nothing else is worth waiting for."""
        if path == self._name and self._abandoned:
            self._left_alone = True
            if self._patience is not None:
                self._patience.deadline = trio.current_time() + ABANDONED_GRACE

    def abandoned(self, path: str, where: tuple[str, ...]) -> None:
        """A task that does not end cannot be killed: the tree comes down."""
        self._abandoned.append(NotStoppedError(path, "did not end within its deadline", where))
        self._scope.cancel(reason=f"{path} did not end within its stop deadline")

    def crashed_at_stop(self, path: str, error: BaseException) -> None:
        if len(self._crashed) == MAX_CRASHED or not self._stopping.is_set():
            return
        if not isinstance(error, EscalationError):
            if not isinstance(error, Exception):
                error = RuntimeError(f"{path}: {describe(error)}").with_traceback(
                    error.__traceback__
                )
            self._crashed.append(error)

    def failed(self, error: BaseException) -> None:
        self._error = self._error or error
        self._cause = self._cause or error
        self._scope.cancel(reason=f"{self._name}: an observer ended the program")

    # ------------------------------------------------------------------ the end of all patience

    @trio.lowlevel.enable_ki_protection
    async def _guard(self) -> None:
        """Says what did not stop, and where it hangs, when a stop takes longer than it may."""
        with trio.CancelScope(shield=True):
            await self._stopping.wait()
            limit = self._stop_limit
            if limit is None:
                limit = self._supervisor.stop_needs + STOP_MARGIN
            if self._left_alone:
                limit = ABANDONED_GRACE
            with trio.move_on_after(limit) as self._patience:
                await self._finished.wait()
            if not self._finished.is_set():
                self._overran()

    def _overran(self) -> None:
        there = describe_leftovers(self._supervisor)
        self._late = error = NotStoppedError(
            self._name, "did not stop in time; still there:", there
        )
        if self._overrun is not None:
            self._overrun(error, self._cause)
        else:
            logger.critical("%s; waiting for it", error)


def open_supervisor(
    supervisor: SupervisorBase,
    *,
    name: str = "root",
    stop_limit: float | None = None,
    observers: Iterable[Observer] = (),
    rng: random.Random | None = None,
    logger: logging.Logger | None = logger,
    overrun: Overrun | None = None,
) -> AbstractAsyncContextManager[Root]:
    """Runs a tree for the length of an ``async with`` block, whose target is a ``Root``.

    The block is entered when the tree has started. Leaving it, however that comes about, stops the
    tree in reverse order. If the supervisor gives up, the block is cancelled and EscalationError
    comes out of it: alone, if the block raised nothing but errors of this library, which are
    consequences; otherwise in a group with the block's own error. KeyboardInterrupt and SystemExit,
    of a child or of the block, come out as they are. If the supervisor ends by auto_shutdown, the
    block is cancelled and left without an error. Children that crash when they are told to stop
    come out as a StopError.

    name
        First part of all paths.
    stop_limit
        Seconds that the stop of the whole tree may take. Default: what the deadlines of the
        children that it then has allow, and 5 more. A limit that is shorter than the deadlines of
        its children is refused.
    observers
        See ``Root.subscribe``; these see the very first event too.
    rng
        Source of jitter. Default: a fresh ``random.Random``.
    logger
        Every event is logged there (see ``log_events``). Default: the logger "supervisors". None:
        nowhere.
    overrun
        Called as ``overrun(NotStoppedError, first cause or None)`` when the stop takes longer than
        ``stop_limit``. trio cannot kill a task, so the choice is to wait or to end the process.
        Default None: what did not stop, and where it hangs, is logged as critical and waited for;
        once it has ended after all, NotStoppedError comes out of the block. ``hard_exit``: the
        process ends with code 70.
    """
    check_name(name)
    if stop_limit is not None:
        needs = supervisor.stop_needs
        if not stop_limit > 0:
            raise ValueError(f"stop_limit must be positive, got {stop_limit}")
        if stop_limit < needs and math.isfinite(needs):
            raise ValueError(
                f"stop_limit {stop_limit:g} is shorter than the {needs:g} s that the deadlines of "
                f"the children allow"
            )
    if logger is not None:
        observers = (log_events(logger), *observers)
    rng = rng or random.Random()  # noqa: S311  jitter, not a secret
    return _Opened(supervisor, name, stop_limit, observers, rng, overrun)
