"""``Sampler``: a thread that finds out who keeps the event loop from turning.

Four times per ``blocked_after`` it asks the loop for an answer. While none comes, it looks at the
stack of the loop's thread, finds the running task in trio's tree and the child that this task
belongs to. A loop that waits for something to do answers at once; and no step of a task is touched
(an instrument would cost more than a tenth of a bare step), so a loop that turns pays for nothing
but the answers.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType, TracebackType

import trio

from supervisors._core import stacks
from supervisors._trio.run import Run
from supervisors._trio.system import logger
from supervisors.events import LoopBlocked

JOIN_LIMIT = 1.0
MAX_SAMPLES = 1000
"""Looks at one block that are kept; a longer one is told by these."""


@dataclass(frozen=True, slots=True)
class Instant:
    """On two clocks, in seconds: the machine's and the run's."""

    real: float
    run: float

    def until(self, later: Instant) -> float:
        """Seconds that have passed on both: a virtual clock stands still or jumps, and neither is
        a blocked loop."""
        return min(later.real - self.real, later.run - self.run)

    def plus(self, seconds: float) -> Instant:
        return Instant(self.real + seconds, self.run + seconds)


@dataclass(frozen=True, slots=True)
class Sample:
    path: str
    where: tuple[str, ...]
    seconds: float  # it stands for


class Sampler:
    """Watches the loop that it is entered in, from a thread of its own that ends with the block.

    root
        Path for a task that is no child's.
    alarm
        Seconds after which a block that still lasts is logged, for it may never end.
    found
        Told each time the loop turns again after it did not for ``blocked_after`` seconds or more;
        called in the loop's thread, outside of any child.
    """

    def __init__(
        self,
        root: str,
        blocked_after: float,
        alarm: float,
        found: Callable[[LoopBlocked], object],
    ) -> None:
        self._root = root
        self._blocked_after = blocked_after
        self._alarm = alarm
        self._tick = blocked_after / 4
        self._found = found
        self._clock = trio.lowlevel.current_clock()
        self._token = trio.lowlevel.current_trio_token()
        self._tasks = trio.lowlevel.current_root_task()
        self._loop = threading.get_ident()
        self._over = threading.Event()
        self._asked: Instant | None = None  # when the loop was asked what it has not answered yet
        self._samples: list[Sample] = []
        self._alarmed = False
        self._thread = threading.Thread(target=self._watch, name=f"{root} sampler", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The thread waits for nothing but this, so the loop is not held up by the join.
        self._over.set()
        self._thread.join(JOIN_LIMIT)

    def _now(self) -> Instant:
        return Instant(time.perf_counter(), self._clock.current_time())

    def _watch(self) -> None:
        last = self._now()
        while not self._over.wait(self._tick):
            now = self._now()
            passed = last.until(now)
            if self._asked is not None:
                self._sample(passed)
                self._raise_alarm(self._asked.until(now))
            else:
                self._samples = []
                self._alarmed = False
                asked = now
                if passed - self._tick >= self._blocked_after:
                    # We were held up too. A call that does not release the GIL has just come back,
                    # and its caller has not gone on yet: whoever wants the GIL comes first.
                    self._sample(passed - self._tick)
                    if self._samples:
                        asked = last.plus(self._tick)
                self._asked = asked
                try:
                    self._token.run_sync_soon(self._answer)
                except trio.RunFinishedError:
                    return
            last = now

    def _raise_alarm(self, late: float) -> None:
        if late > self._alarm and not self._alarmed and self._samples:
            self._alarmed = True
            last = self._samples[-1]
            lines = "".join(f"\n    {line}" for line in last.where)
            logger.critical(
                "the event loop has not turned for %.1f s; it is in %s%s", late, last.path, lines
            )

    def _answer(self) -> None:
        """The loop's part."""
        samples, asked, self._asked = self._samples, self._asked, None
        if asked is None or not samples or self._over.is_set():
            return
        seconds = asked.until(self._now())
        if seconds >= self._blocked_after:
            path, where = self._blame(samples)
            self._found(LoopBlocked(path, self._clock.current_time(), seconds, where))

    def _blame(self, samples: list[Sample]) -> tuple[str, tuple[str, ...]]:
        """Who was seen for more than half of the time, and where for longest."""
        shares: defaultdict[str, float] = defaultdict(float)
        for sample in samples:
            shares[sample.path] += sample.seconds
        path = max(shares, key=lambda path: shares[path])
        if shares[path] * 2 <= sum(shares.values()):
            return self._root, ()
        longest = max((s for s in samples if s.path == path), key=lambda sample: sample.seconds)
        return path, longest.where

    def _sample(self, seconds: float) -> None:
        """Notes which task runs now, if any: the loop may wait, or do trio's own work."""
        frames: list[FrameType] = []  # innermost first
        frame = sys._current_frames().get(self._loop)
        while frame is not None:
            frames.append(frame)
            frame = frame.f_back
        task = self._running_task()
        if task is None or task.coro.cr_frame not in frames:  # the loop has gone on meanwhile
            return
        own = frames[: frames.index(task.coro.cr_frame) + 1]
        where = stacks.lines((frame.f_code, frame.f_lineno) for frame in reversed(own))
        if len(self._samples) < MAX_SAMPLES:
            self._samples.append(Sample(self._child_of(task), where, seconds))

    def _running_task(self) -> trio.lowlevel.Task | None:
        waiting = [] if self._tasks is None else [self._tasks]
        while waiting:
            task = waiting.pop()
            if task.coro.cr_running:
                return task
            with suppress(RuntimeError):  # they change at this moment: the loop turns
                for nursery in tuple(task.child_nurseries):
                    waiting.extend(tuple(nursery.child_tasks))
        return None

    def _child_of(self, task: trio.lowlevel.Task) -> str:
        """The path of the innermost child that the task is, or is below of."""
        while task.coro.cr_code is not Run._child.__code__:
            if task.parent_nursery is None:
                return self._root
            task = task.parent_nursery.parent_task
        return task.name  # children's tasks are called by their paths
