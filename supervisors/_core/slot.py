"""One child's place in its supervisor: what stays the same across its incarnations."""

from __future__ import annotations

import enum
from typing import Any

from supervisors._core.exits import Exit, Why
from supervisors._core.settings import ChildRules


class State(enum.Enum):
    """Where a child is in its life; the documentation has the diagram.

    WAITING: its turn to start has not come. STARTING: launched, not ready. RUNNING: ready.
    DRAINING: told to end, finishes what it has in hand. STOPPING: cancelled, not gone. BACKOFF:
    waiting for its next restart. PARKED: waiting for a person. STOPPED: by command; only a command
    starts it again. DONE: ended for good by itself. ABANDONED: did not end within its stop
    deadline.
    """

    WAITING = "waiting"
    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPING = "stopping"
    BACKOFF = "backoff"
    PARKED = "parked"
    STOPPED = "stopped"
    DONE = "done"
    ABANDONED = "abandoned"


LIVE = (State.STARTING, State.RUNNING, State.DRAINING, State.STOPPING)
"""States with an incarnation that the supervisor still waits for."""

ENDING = (State.DRAINING, State.STOPPING)
"""States of a child that was told to end."""

AT_REST = (State.STOPPED, State.DONE, State.PARKED, State.ABANDONED)
"""States that the supervisor does not end by itself."""

SICK = (State.STARTING, State.BACKOFF, State.WAITING, State.STOPPING, State.DRAINING)
"""States in which a restart grows no older (see ``Intensity``)."""


class Wait(enum.Enum):
    """What a ticket waits for: a start, a stop, the next time the child is ready, its next end."""

    START = "start"
    STOP = "stop"
    READY = "ready"
    EXIT = "exit"


class Slot:
    """Mutable record of one child, owned by the decision core."""

    __slots__ = (
        "beat",
        "box",
        "ceiling",
        "current",
        "due",
        "first_start",
        "graced",
        "hosts",
        "idle",
        "incarnation",
        "last_exit",
        "monitors",
        "path",
        "ready_at",
        "restarts",
        "sick",
        "sick_since",
        "since",
        "spec",
        "state",
        "tickets",
        "timer",
        "why",
    )

    def __init__(self, spec: ChildRules, path: str, now: float) -> None:
        self.spec: ChildRules = spec
        self.path: str = path
        self.state: State = State.WAITING
        self.since: float = now
        self.incarnation: int = 0
        self.restarts: int = 0
        self.last_exit: Exit | None = None
        self.ready_at: float | None = None
        self.due: float | None = None  # next restart at
        self.beat: float = now
        self.idle: int = 0  # tasks of the child that legitimately wait
        self.ceiling: float = 0.0  # bound of the last backoff delay; 0.0: none in a row
        self.why: Why | None = None
        self.graced: bool = False  # this deadline has begun anew once, for nothing ran meanwhile
        self.first_start: State | None = None  # where a failed commanded start leads back to
        self.sick: float = 0.0  # seconds spent not well, up to sick_since
        self.sick_since: float | None = now
        self.timer: int = 0  # number of the valid entry in the timer heap; 0: none
        self.tickets: list[tuple[Wait, Any]] = []
        self.hosts: tuple[Any, ...] = ()  # supervisors that run inside the live incarnation
        self.current: Any = None  # the shell's live incarnation; opaque here
        self.box: Any = None  # the shell's mailbox; opaque here
        self.monitors: tuple[Any, ...] = ()  # the shell's; opaque here

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def comes_back(self) -> bool:
        """Whether there is an incarnation, or will be one without a command."""
        if self.state in ENDING:
            return self.why not in (Why.COMMAND, Why.SHUTDOWN)
        return self.state not in AT_REST

    def unproven(self, now: float) -> float:
        """Seconds since its last sign of life, while it has to give some: should it be found hung,
        it was not well in these."""
        watched = self.state is State.RUNNING and self.spec.liveness is not None
        return now - self.beat if watched and not self.idle else 0.0

    def sickness(self, now: float) -> float:
        """Seconds spent not well until now."""
        return self.sick if self.sick_since is None else self.sick + (now - self.sick_since)
