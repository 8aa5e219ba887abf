"""The one table of events: every transition of a child or supervisor is one frozen value.

| event | means | logs as |
| --- | --- | --- |
| ChildStarting | an incarnation was launched | debug |
| ChildReady | it called ``ctx.ready()`` | info |
| ChildDraining | it is to finish what it has in hand and end; ``why`` tells the reason | debug |
| ChildStopping | it was cancelled; ``why`` tells the reason | debug |
| ChildExited | it ended; exactly one per incarnation | info; crash: error |
| ChildRestarting | it will be restarted at ``due`` | warning |
| ChildWaiting | a sibling's restart takes it along: it waits for its turn to start | debug |
| ChildParked | it waits for a person | warning |
| ChildUnparked | a person let it go on | info |
| ChildStopped | it is at rest until a command starts it | info |
| ChildDone | it ended for good by itself and stays in the tree | info |
| ChildRemoved | its name is free again | debug |
| ChildStuck | it did not end within ``stop_deadline`` and is waited for | error |
| ChildAbandoned | it did not end within ``stop_deadline``: the tree comes down | critical |
| MessagesDropped | its mailbox went away with ``count`` messages in it | warning |
| LoopBlocked | it kept the event loop from turning for ``seconds`` (found by ``Pulse``) | warning |
| SupervisorReady | all its first children are ready, parked or done | info |
| SupervisorStopping | it stops; ``escalated`` when it gives up | info; escalated: error |
| SupervisorStopped | nothing of it is left | info |

``path`` names the child (or supervisor), ``at`` is the run's clock in seconds, ``incarnation``
counts from 1. Logs, metrics and status pages derive from this table and from nothing else: the
last event of a child that is named after a state tells its state (ChildExited is explained by the
next one; ChildStuck, MessagesDropped and LoopBlocked change nothing), and one of whom nothing was
told yet waits for its first turn.
"""

from __future__ import annotations

from dataclasses import dataclass

from supervisors._core.exits import Exit, Why


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""

    path: str
    at: float


@dataclass(frozen=True, slots=True)
class ChildStarting(Event):
    incarnation: int


@dataclass(frozen=True, slots=True)
class ChildReady(Event):
    incarnation: int
    took: float  # seconds from launch


@dataclass(frozen=True, slots=True)
class ChildDraining(Event):
    incarnation: int
    why: Why


@dataclass(frozen=True, slots=True)
class ChildStopping(Event):
    incarnation: int
    why: Why


@dataclass(frozen=True, slots=True)
class ChildExited(Event):
    incarnation: int
    exit: Exit
    error: BaseException | None  # what it raised, with its traceback


@dataclass(frozen=True, slots=True)
class ChildRestarting(Event):
    restarts: int  # of this child so far, this one included
    due: float


@dataclass(frozen=True, slots=True)
class ChildWaiting(Event):
    pass


@dataclass(frozen=True, slots=True)
class ChildParked(Event):
    reason: str
    code: str


@dataclass(frozen=True, slots=True)
class ChildUnparked(Event):
    pass


@dataclass(frozen=True, slots=True)
class ChildStopped(Event):
    pass


@dataclass(frozen=True, slots=True)
class ChildDone(Event):
    pass


@dataclass(frozen=True, slots=True)
class ChildRemoved(Event):
    pass


@dataclass(frozen=True, slots=True)
class ChildStuck(Event):
    incarnation: int
    where: tuple[str, ...]  # the frames in which it hangs


@dataclass(frozen=True, slots=True)
class ChildAbandoned(Event):
    incarnation: int
    where: tuple[str, ...]  # the frames in which it hangs


@dataclass(frozen=True, slots=True)
class MessagesDropped(Event):
    count: int


@dataclass(frozen=True, slots=True)
class LoopBlocked(Event):
    seconds: float
    where: tuple[str, ...]  # the frames that held the loop, as far as they were seen


@dataclass(frozen=True, slots=True)
class SupervisorReady(Event):
    pass


@dataclass(frozen=True, slots=True)
class SupervisorStopping(Event):
    reason: str
    escalated: bool


@dataclass(frozen=True, slots=True)
class SupervisorStopped(Event):
    pass
