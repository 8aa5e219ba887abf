"""One child's place in its supervisor: what stays the same across its incarnations."""

from __future__ import annotations

import enum
from typing import Any

from supervisors._core.exits import Exit, Why
from supervisors._core.settings import ChildSpec


class State(enum.Enum):
    """Where a child is in its life; docs/supervision.md has the diagram.

    WAITING: its turn to start has not come. STARTING: launched, not ready. RUNNING: ready.
    STOPPING: cancelled, not gone. BACKOFF: waiting for its next restart. PARKED: waiting for a
    person. STOPPED: by command; only a command starts it again. DONE: ended for good by itself.
    ABANDONED: did not end within its stop deadline.
    """

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    BACKOFF = "backoff"
    PARKED = "parked"
    STOPPED = "stopped"
    DONE = "done"
    ABANDONED = "abandoned"


LIVE = frozenset({State.STARTING, State.RUNNING, State.STOPPING})
"""States with an incarnation that the supervisor still waits for."""


class Slot:
    """Mutable record of one child, owned by the decision core."""

    __slots__ = (
        "beat",
        "box",
        "ceiling",
        "current",
        "due",
        "first_start",
        "incarnation",
        "last_exit",
        "path",
        "ready_at",
        "restarts",
        "since",
        "spec",
        "start_tickets",
        "state",
        "stop_tickets",
        "timer",
        "why",
    )

    def __init__(self, spec: ChildSpec, path: str, now: float) -> None:
        self.spec = spec
        self.path = path
        self.state = State.WAITING
        self.since = now
        self.incarnation = 0
        self.restarts = 0
        self.last_exit: Exit | None = None
        self.ready_at: float | None = None
        self.due: float | None = None  # next restart at
        self.beat = now
        self.ceiling = 0.0  # bound of the last backoff delay; 0.0: none in a row
        self.why: Why | None = None
        self.first_start: State | None = None  # where a failed commanded start leads back to
        self.timer = 0  # number of the valid entry in the timer heap; 0: none
        self.start_tickets: tuple[Any, ...] = ()
        self.stop_tickets: tuple[Any, ...] = ()
        self.current: Any = None  # the shell's live incarnation; opaque here
        self.box: Any = None  # the shell's mailbox; opaque here

    @property
    def name(self) -> str:
        return self.spec.name
