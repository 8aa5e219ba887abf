"""What keeps the event loop from turning: a thread that asks it, and looks when no answer comes."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import CodeType, FrameType
from typing import NamedTuple

import trio

from supervisors._core import stacks

logger = logging.getLogger("supervisors")

ASK_EVERY = 0.1
"""Seconds between two questions."""

LOOK_EVERY = 0.02
"""Seconds between two looks at what runs, while no answer comes."""

MAX_LOOKS = 50
JOIN_WAIT = 1.0


class Blocked(NamedTuple):
    """The loop did not turn for ``seconds``. ``path``: the child that ran in most of the looks;
    empty if it was none, or nothing could be seen (a call that held the interpreter as well)."""

    seconds: float
    path: str
    where: tuple[str, ...]


class Look(NamedTuple):
    """What was seen once: the child that ran (empty: none), and where it was."""

    path: str
    where: tuple[str, ...]


class Sampler:
    """Runs between ``start`` and ``stop``, both called in the loop's thread.

    patience
        Seconds without an answer from which on the loop counts as blocked.
    alarm
        Seconds after which a block that still lasts is logged, for it may never end.
    child
        The code object of the coroutine that runs a child, whose task's name is the child's path.
    found
        Called in the loop's thread after each block. May not raise.
    """

    def __init__(
        self, patience: float, alarm: float, child: CodeType, found: Callable[[Blocked], None]
    ) -> None:
        self._patience = patience
        self._alarm = alarm
        self._child = child
        self._found = found
        self._quit = threading.Event()
        self._answered = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pulse", daemon=True)

    def start(self) -> None:
        """Begins to ask."""
        root = trio.lowlevel.current_root_task()
        assert root is not None
        self._root = root
        self._token = trio.lowlevel.current_trio_token()
        self._loop = threading.get_ident()
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread; it waits for nothing but these two events."""
        self._quit.set()
        self._answered.set()
        self._thread.join(JOIN_WAIT)

    def _watch(self) -> None:
        try:
            while not self._quit.wait(ASK_EVERY):
                asked = time.perf_counter()
                self._answered.clear()
                self._token.run_sync_soon(self._answered.set)
                if self._quit.is_set() or self._answered.wait(self._patience):
                    continue
                looks = self._look(asked)
                blocked = _sum_up(time.perf_counter() - asked, looks)
                if not self._quit.is_set():
                    self._token.run_sync_soon(self._found, blocked)
        except trio.RunFinishedError:
            pass

    def _look(self, asked: float) -> list[Look]:
        """Who runs, looked at again and again until the answer comes."""
        looks: list[Look] = []
        alarmed = False
        while True:
            stack = list(_stack(sys._current_frames().get(self._loop)))
            if len(looks) < MAX_LOOKS:
                looks.append(self._whose(stack))
            late = time.perf_counter() - asked
            if late > self._alarm and not alarmed:
                alarmed = True
                lines = "".join(f"\n    {line}" for line in looks[-1].where)
                logger.critical("the event loop has not turned for %.1f s; it is in%s", late, lines)
            if self._answered.wait(LOOK_EVERY):
                return looks

    def _whose(self, stack: list[tuple[FrameType, int]]) -> Look:
        """The child that runs, and its part of the stack."""
        depths = {id(frame): depth for depth, (frame, _) in enumerate(stack)}
        for frame, path in self._tasks():
            if id(frame) in depths:
                return Look(path, _lines(stack[: depths[id(frame)] + 1]))
        return Look("", _lines(stack))

    def _tasks(self) -> Iterator[tuple[FrameType, str]]:
        """The outermost frame of each task below a child's, and the path of that child.

        The loop's thread stands still, but it may stand between two changes of a task's children:
        then they are as many as could be copied.
        """
        todo = [(self._root, "")]
        while todo:
            task, path = todo.pop()
            coroutine = task.coro
            if getattr(coroutine, "cr_code", None) is self._child:
                path = task.name
            frame = getattr(coroutine, "cr_frame", None)
            if path and frame is not None:
                yield frame, path
            with suppress(RuntimeError):
                for nursery in tuple(task.child_nurseries):
                    todo += [(below, path) for below in tuple(nursery.child_tasks)]


def _sum_up(seconds: float, looks: list[Look]) -> Blocked:
    if not looks:
        return Blocked(seconds, "", ())
    path = Counter(look.path for look in looks).most_common(1)[0][0]
    return Blocked(seconds, path, next(look.where for look in looks if look.path == path))


def _stack(frame: FrameType | None) -> Iterator[tuple[FrameType, int]]:
    """The frame and those around it, the innermost first, each with its line at this moment."""
    while frame is not None:
        yield frame, frame.f_lineno
        frame = frame.f_back


def _lines(stack: list[tuple[FrameType, int]]) -> tuple[str, ...]:
    return stacks.lines((frame.f_code, line) for frame, line in reversed(stack))
