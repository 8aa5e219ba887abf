"""Settings: frozen values, checked when they are constructed.

A pair of settings that contradict each other is refused with ``ValueError`` at construction, not
discovered at three in the morning.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from supervisors._core.errors import Escalate, Park

WORKER_READY_DEADLINE = 30.0
WORKER_STOP_DEADLINE = 5.0
MAX_NAME = 200

Classifier = Callable[[BaseException], Park | Escalate | None]


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

    One restart more and the supervisor gives up. Time is monotonic, and a restart grows older only
    while its child is well (ready, and not found hung afterwards): neither a backoff nor a deadline
    that is longer than the window can keep a crash loop from being noticed. ``max_restarts=0``: any
    restart is too many. Budgets of nested supervisors multiply: with 3 and 3, a leaf may crash up
    to sixteen times before the outer one gives up.
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


class Stuck(enum.Enum):
    """What is done about a child that does not end within its ``stop_deadline``; trio cannot kill a
    task.

    ESCALATE: it is ABANDONED and the whole tree is brought down, so that the process can be
    replaced. WAIT: it is told (``ChildStuck``), whoever waits for the stop gets NotStoppedError,
    and the supervisor waits for as long as it takes; for a child that may sit in a long thread job
    and whose fate must not be that of the others.
    """

    ESCALATE = "escalate"
    WAIT = "wait"


@dataclass(frozen=True)
class ChildRules:
    """``ChildSpec`` as the decision core knows it, which never calls ``run``."""

    name: str
    run: Callable[..., Awaitable[None]]
    restart: Restart = Restart.PERMANENT
    ready_deadline: float | None = None
    stop_deadline: float | None = None
    drain_deadline: float | None = None
    drain_mailbox: bool = False
    stuck: Stuck = Stuck.ESCALATE
    backoff: Backoff | None = None
    counts_intensity: bool | None = None
    liveness: float | None = None
    mailbox: int = 100
    significant: bool = False
    classify: Classifier | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if not callable(self.run):
            raise TypeError(f"{self.name}: run must be an async callable")
        for field in ("ready_deadline", "stop_deadline", "drain_deadline"):
            value = getattr(self, field)
            if value is not None and not value > 0:
                raise ValueError(f"{self.name}: {field} must be positive, got {value}")
        self._check_restart()
        if self.liveness is not None and not (0 < self.liveness < math.inf):
            raise ValueError(f"{self.name}: liveness must be positive and finite")
        if self.liveness is not None and getattr(self.run, "is_supervisor", False):
            raise ValueError(f"{self.name}: a supervisor does not beat; watch its children")
        if self.mailbox < 0:
            raise ValueError(f"{self.name}: mailbox must be 0 or more")
        if self.drain_mailbox and self.drain_deadline is None:
            raise ValueError(f"{self.name}: drain_mailbox needs a drain_deadline")
        needed = self.stop_needs
        if self.stop_deadline is not None and self.stop_deadline < needed:
            raise ValueError(
                f"{self.name}: stop_deadline {self.stop_deadline:g} is shorter than the "
                f"{needed:g} s that its own stop may take"
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

    @property
    def ready_limit(self) -> float:
        """``ready_deadline`` with its default filled in."""
        return WORKER_READY_DEADLINE if self.ready_deadline is None else self.ready_deadline

    @property
    def stop_needs(self) -> float:
        """Seconds that its ``run`` says that a stop of it may take (0.0: nothing is said)."""
        return float(getattr(self.run, "stop_needs", 0.0))

    @property
    def stop_limit(self) -> float:
        """``stop_deadline`` with its default filled in."""
        if self.stop_deadline is not None:
            return self.stop_deadline
        if getattr(self.run, "is_supervisor", False):
            return WORKER_STOP_DEADLINE + self.stop_needs
        return max(WORKER_STOP_DEADLINE, self.stop_needs)


def check_name(name: str) -> None:
    """Raises ValueError unless ``name`` can be one part of a path."""
    if not name or len(name) > MAX_NAME or "/" in name or not name.isprintable():
        raise ValueError(f"not a child name: {name[:MAX_NAME]!r}")
