"""``Pulse``: whether the event loop turns and the children beat, for those outside who ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from supervisors._core.exits import Why
from supervisors._trio.systemd import Notifier
from supervisors.events import (
    ChildAbandoned,
    ChildExited,
    ChildStopping,
    Event,
    SupervisorReady,
    SupervisorStopping,
)

if TYPE_CHECKING:
    from supervisors._trio.context import ChildContext


@dataclass(frozen=True, slots=True)
class Liveness:
    """Answer to "is the process alive?". ``lag``: seconds by which the loop was late last time, or
    is now. ``hung``: paths of children that missed their deadline and have not ended yet."""

    ok: bool
    lag: float
    hung: tuple[str, ...]


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
    all, which whoever asks from outside notices as well.
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

    def live(self) -> Liveness:
        """The state now; not ok while the pulse itself is not running."""
        if self._due is None:
            return Liveness(ok=False, lag=0.0, hung=tuple(self._hung))
        lag = max(self._lag, trio.current_time() - self._due)
        return Liveness(ok=lag <= self._max_lag and not self._hung, lag=lag, hung=tuple(self._hung))

    async def __call__(self, ctx: ChildContext) -> None:
        root = ctx.path.partition("/")[0]
        unsubscribe = ctx.system.subscribe(lambda event: self._on_event(event, root))
        self._lag = 0.0
        self._due = trio.current_time() + self._interval
        ctx.ready()
        try:
            while True:
                await trio.sleep_until(self._due)
                now = trio.current_time()
                self._lag = now - self._due
                self._due = now + self._interval
                self._measured(self._lag)
                ctx.beat()
                if self._armed and self._notifier.watchdog is not None and self.live().ok:
                    self._notifier.tell("WATCHDOG=1")
        finally:
            self._due = None
            self._hung.clear()
            unsubscribe()

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
