"""``Pulse``: whether the event loop turns and the children beat, for those outside who ask."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio

from supervisors._core.exits import Why
from supervisors._trio.context import ChildContext
from supervisors._trio.run import Run
from supervisors._trio.sampler import Blocked, Sampler
from supervisors._trio.systemd import Notifier
from supervisors.events import (
    ChildAbandoned,
    ChildExited,
    ChildStopping,
    Event,
    LoopBlocked,
    SupervisorReady,
    SupervisorStopping,
)

BLOCKED_AFTER = 0.25
"""Seconds without a turn of the loop from which on ``LoopBlocked`` is told."""

WINDOW = 30.0
SHARE = 0.5
"""A child that held the loop for more than this share of the last 30 s is a blocker."""


@dataclass(frozen=True, slots=True)
class Liveness:
    """Answer to "is the process alive?". ``lag``: seconds by which the loop was late last time, or
    is now. ``hung``: paths of children that missed their deadline and have not ended yet.
    ``blockers``: paths of children that held the loop for more than half of the last 30 s."""

    ok: bool
    lag: float
    hung: tuple[str, ...]
    blockers: tuple[str, ...] = ()


class Pulse:
    """A child that measures the loop it runs in: ``ChildSpec("pulse", Pulse())``, best the first.

    interval
        Seconds between measurements. Default 1.
    max_lag
        Seconds of lateness up to which the loop counts as alive. Default 5.
    measured
        Told each lateness, in seconds. Default nobody.
    notifier
        systemd's watchdog, when ``NOTIFY_SOCKET`` is set (default). READY=1 is told when the whole
        tree is ready, STOPPING=1 when it stops. Between the two the watchdog is pinged, at half
        the interval it asks for and only while ``live().ok``: a blocked loop or a child that does
        not end lets it bite.

    An HTTP handler for liveness answers with ``live()``. If the loop is blocked it cannot answer at
    all, which whoever asks from outside notices as well. A thread of the pulse sees it too: when
    the loop does not turn for a quarter of a second it looks who runs, and the event LoopBlocked
    names that child and the frames; a block that outlasts ``max_lag`` is logged while it lasts. A
    child that blocks again and again, with turns in between, is one of ``live().blockers``. (A call
    that holds the interpreter as well, as some C extensions do, is noticed but cannot be named.)
    """

    def __init__(
        self,
        *,
        interval: float = 1.0,
        max_lag: float = 5.0,
        measured: Callable[[float], None] = lambda _lag: None,
        notifier: Notifier | None = None,
    ) -> None:
        if not (interval > 0 and max_lag > 0):
            raise ValueError("interval and max_lag must be positive")
        self._notifier = notifier or Notifier()
        if self._notifier.watchdog is not None:
            interval = min(interval, self._notifier.watchdog / 2)
        self._interval = interval
        self._max_lag = max_lag
        self._measured = measured
        self._due: float | None = None  # when the next measurement is due; None: not running
        self._lag = 0.0
        self._hung: dict[str, None] = {}
        self._armed = False
        self._blocks: deque[tuple[float, Blocked]] = deque()
        self._untold: list[Blocked] = []
        self._news = trio.Event()

    def live(self) -> Liveness:
        """The state now; not ok while the pulse itself is not running."""
        hung = tuple(self._hung)
        if self._due is None:
            return Liveness(ok=False, lag=0.0, hung=hung)
        now = trio.current_time()
        lag = max(self._lag, now - self._due)
        blockers = self._blockers(now)
        ok = lag <= self._max_lag and not hung and not blockers
        return Liveness(ok=ok, lag=lag, hung=hung, blockers=blockers)

    def _blockers(self, now: float) -> tuple[str, ...]:
        self._forget(now)
        held: dict[str, float] = {}
        for _, block in self._blocks:
            held[block.path] = held.get(block.path, 0.0) + block.seconds
        return tuple(path for path, seconds in held.items() if seconds > SHARE * WINDOW)

    def _forget(self, now: float) -> None:
        while self._blocks and self._blocks[0][0] <= now - WINDOW:
            self._blocks.popleft()

    @trio.lowlevel.enable_ki_protection
    async def __call__(self, ctx: ChildContext[Any]) -> None:
        root = ctx.path.partition("/")[0]
        unsubscribe = ctx.system.subscribe(lambda event: self._on_event(event, root))
        self._lag = 0.0
        self._due = trio.current_time() + self._interval
        sampler = Sampler(BLOCKED_AFTER, self._max_lag, Run._child.__code__, self._on_block)
        sampler.start()
        ctx.ready()
        try:
            while True:
                await self._wait(ctx, self._due, root)
                now = trio.current_time()
                self._lag = now - self._due
                self._due = now + self._interval
                self._measured(self._lag)
                ctx.beat()
                if self._armed and self._notifier.watchdog is not None and self.live().ok:
                    self._notifier.tell("WATCHDOG=1")
        finally:
            sampler.stop()
            self._due = None
            self._hung.clear()
            self._blocks.clear()
            self._untold.clear()
            unsubscribe()

    async def _wait(self, ctx: ChildContext[Any], due: float, root: str) -> None:
        """Until the next measurement; tells of blocks meanwhile."""
        with trio.move_on_at(due):
            while True:
                await self._news.wait()
                self._news = trio.Event()
                untold, self._untold = self._untold, []
                for block in untold:
                    now = trio.current_time()
                    self._forget(now)  # also when nobody asks
                    self._blocks.append((now, block))
                    path = block.path or root
                    ctx.system.publish(LoopBlocked(path, now, block.seconds, block.where))

    def _on_block(self, block: Blocked) -> None:
        self._untold.append(block)
        self._news.set()

    def _on_event(self, event: Event, root: str) -> None:
        hung = isinstance(event, ChildStopping) and event.why is Why.HUNG
        if hung or isinstance(event, ChildAbandoned):
            self._hung[event.path] = None
        elif isinstance(event, ChildExited):
            self._hung.pop(event.path, None)
        elif isinstance(event, SupervisorReady) and event.path == root:
            self._armed = True
            self._notifier.tell("READY=1")
        elif isinstance(event, SupervisorStopping) and event.path == root:
            self._armed = False
            self._notifier.tell("STOPPING=1")
