"""Settings: frozen values, checked when they are constructed.

A pair of settings that contradict each other is refused with ``ValueError`` at construction, not
discovered at three in the morning.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supervisors._core.errors import Escalate, Park

WORKER_READY_DEADLINE = 30.0
WORKER_STOP_DEADLINE = 5.0
MAX_NAME = 200


class Restart(enum.Enum):
    """What an exit means for a child. ``Park`` and ``Escalate`` are honoured for all three.

    PERMANENT: it always comes back, after a crash and after a normal return.
    TRANSIENT: it comes back after a crash; a normal return is the end of its work.
    TEMPORARY: it never comes back, even when a sibling was the reason for its stop.
    """

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class Strategy(enum.Enum):
    """Who else is restarted when one child is.

    ONE_FOR_ONE: nobody. ONE_FOR_ALL: all siblings. REST_FOR_ONE: the siblings started after it.
    The others are stopped in reverse order first, then started again in order.
    """

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


class AutoShutdown(enum.Enum):
    """Whether a supervisor ends when its significant children have ended by themselves.

    NEVER (default), ANY_SIGNIFICANT: with the first of them, ALL_SIGNIFICANT: with the last.
    A stop that was commanded or caused by a sibling does not count.
    """

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


@dataclass(frozen=True, slots=True)
class Intensity:
    """Restart budget of one supervisor: at most ``max_restarts`` within ``window`` seconds.

    One restart more and the supervisor gives up. Time is monotonic. ``max_restarts=0``: any restart
    is too many. Budgets of nested supervisors multiply: with 3 and 3, a leaf may crash up to
    sixteen times before the outer one gives up.
    """

    max_restarts: int = 3
    window: float = 5.0

    def __post_init__(self) -> None:
        if self.max_restarts < 0:
            raise ValueError(f"max_restarts must be 0 or more, got {self.max_restarts}")
        if not (0 < self.window < math.inf):
            raise ValueError(f"window must be a positive number of seconds, got {self.window}")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delay before a restart, in seconds: exponential, capped, with full jitter.

    The n-th delay in a row is drawn from [0, min(cap, first * factor**n)]. The row begins anew once
    an incarnation has been ready for ``reset_after``. A stop cuts the wait short.
    """

    first: float = 1.0
    cap: float = 60.0
    factor: float = 2.0
    reset_after: float = 300.0

    def __post_init__(self) -> None:
        if not (0 < self.first < math.inf):
            raise ValueError(f"first must be a positive number of seconds, got {self.first}")
        if not (self.first <= self.cap < math.inf):
            raise ValueError(f"cap ({self.cap}) must be finite and not below first ({self.first})")
        if not (1 < self.factor < math.inf) and not (self.factor == 1 and self.cap == self.first):
            raise ValueError(f"factor {self.factor} never reaches the cap {self.cap}")
        if not (0 < self.reset_after < math.inf):
            raise ValueError(f"reset_after must be positive and finite, got {self.reset_after}")

    def ceiling_after(self, ceiling: float) -> float:
        """The bound of the next delay, given the bound of the last one (0.0: none so far)."""
        return min(self.cap, ceiling * self.factor) if ceiling else self.first


@dataclass(frozen=True)
class ChildSpec:
    """How to run one child and what to do when it ends.

    name
        Unique within its supervisor; becomes the last part of the path. No "/" and no control
        characters, at most 200 characters.
    run
        ``async def run(ctx: ChildContext) -> None``. Called once per incarnation. Must call
        ``ctx.ready()`` when it can do its work. A ``Supervisor`` or ``DynamicSupervisor`` object is
        a valid ``run``. Returning is a normal exit, ``raise Park(...)`` parks, ``raise
        Escalate(...)`` makes the supervisor give up, any other exception is a crash.
    restart
        See ``Restart``. Default PERMANENT.
    ready_deadline
        Seconds from launch to ``ctx.ready()``; missing it is a crash. Default 30 for a worker and
        no limit for a supervisor, whose children have their own. ``math.inf`` is allowed.
    stop_deadline
        Seconds from cancellation to exit. Default 5 for a worker and no limit for a supervisor. A
        child that is still there afterwards is ABANDONED and the whole tree is brought down, for
        trio cannot kill a task; see ``open_supervisor`` for the end of that road.
    backoff
        Delay before restarts. Default None: at once.
    counts_intensity
        Whether restarts use the supervisor's budget. Default: yes without backoff, no with one. No
        budget and no backoff is refused (a hot loop), and so is a budget that the backoff would
        keep from ever being exceeded (checked by the supervisor, which knows both).
    liveness
        Seconds; once ready the child must call ``ctx.beat()`` at least that often. A miss is a
        crash whose record says where the child hangs. Default None: not watched. When nothing ran
        at all (a blocked event loop, a stopped process), which shows in a deadline that is seen
        more than a second late, this and the two deadlines above begin anew: that is no child's
        fault, and seen from outside (``Pulse``).
    mailbox
        Bound of the mailbox in messages. Default 100. 0: every send waits for a receiver.
    significant
        Takes part in the supervisor's ``auto_shutdown``. Only for children that can end by
        themselves (not PERMANENT).
    classify
        ``(exception) -> Park | Escalate | None``: what a crash means; None is an ordinary crash.
        Not asked about ``Park`` and ``Escalate`` that the child raised itself. If it raises, the
        exit is a crash and the classifier's exception is attached to the record.
    """

    name: str
    run: Callable[[Any], Awaitable[None]]
    restart: Restart = Restart.PERMANENT
    ready_deadline: float | None = None
    stop_deadline: float | None = None
    backoff: Backoff | None = None
    counts_intensity: bool | None = None
    liveness: float | None = None
    mailbox: int = 100
    significant: bool = False
    classify: Callable[[BaseException], Park | Escalate | None] | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if not callable(self.run):
            raise TypeError(f"{self.name}: run must be an async callable")
        nested = bool(getattr(self.run, "is_supervisor", False))
        for field, default in (
            ("ready_deadline", WORKER_READY_DEADLINE),
            ("stop_deadline", WORKER_STOP_DEADLINE),
        ):
            value = getattr(self, field)
            if value is None:
                value = math.inf if nested else default
                object.__setattr__(self, field, value)
            if not value > 0:
                raise ValueError(f"{self.name}: {field} must be positive, got {value}")
        self._check_restart()
        if self.liveness is not None and not (0 < self.liveness < math.inf):
            raise ValueError(f"{self.name}: liveness must be positive and finite")
        if self.liveness is not None and nested:
            raise ValueError(f"{self.name}: a supervisor does not beat; watch its children")
        if self.mailbox < 0:
            raise ValueError(f"{self.name}: mailbox must be 0 or more")
        needed = float(getattr(self.run, "stop_needs", 0.0))
        if self.stop_deadline is not None and self.stop_deadline < needed:
            raise ValueError(
                f"{self.name}: stop_deadline {self.stop_deadline} is shorter than the "
                f"{needed} s that its own stop may take"
            )

    def _check_restart(self) -> None:
        if self.restart is Restart.TEMPORARY:
            if self.backoff is not None or self.counts_intensity:
                raise ValueError(f"{self.name}: a temporary child is never restarted")
        elif self.backoff is None and self.counts_intensity is False:
            raise ValueError(f"{self.name}: neither budget nor backoff would limit its restarts")
        if self.significant and self.restart is Restart.PERMANENT:
            raise ValueError(f"{self.name}: a permanent child never ends, so it is not significant")

    @property
    def uses_budget(self) -> bool:
        """``counts_intensity`` with its default filled in."""
        return self.backoff is None if self.counts_intensity is None else self.counts_intensity


def check_name(name: str) -> None:
    """Raises ValueError unless ``name`` can be one part of a path."""
    if not name or len(name) > MAX_NAME or "/" in name or not name.isprintable():
        raise ValueError(f"not a child name: {name[:MAX_NAME]!r}")


def check_budget(spec: ChildSpec, intensity: Intensity) -> None:
    """Refuses a backoff whose delays would keep the budget from ever being exceeded.

    The longest possible gaps between the first ``max_restarts + 1`` restarts must fit into the
    window; otherwise whether a crash loop is noticed would be a matter of luck.
    """
    if spec.backoff is None or not spec.uses_budget:
        return
    ceiling = spec.backoff.ceiling_after(0.0)
    total = 0.0
    for _ in range(intensity.max_restarts):
        ceiling = spec.backoff.ceiling_after(ceiling)
        total += ceiling
        if total > intensity.window:
            raise ValueError(
                f"{spec.name}: {intensity.max_restarts + 1} restarts with this backoff can take "
                f"longer than the window of {intensity.window} s, so the budget would never trip"
            )
