"""What the decision core asks of its shell; between these it hands out events, to be told."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, NamedTuple

from supervisors._core.exits import Exit, Why
from supervisors._core.slot import Slot
from supervisors.events import Event


class Launch(NamedTuple):
    """Start a new incarnation of the slot."""

    slot: Slot


class Drain(NamedTuple):
    """Tell the slot's live incarnation that it is to end."""

    slot: Slot
    why: Why


class Cancel(NamedTuple):
    """Cancel the slot's live incarnation."""

    slot: Slot
    why: Why


class Stuck(NamedTuple):
    """The slot's incarnation did not end in time; say where it hangs, and go on waiting."""

    slot: Slot
    at: float
    incarnation: int


class Abandon(NamedTuple):
    """The slot's incarnation did not end in time; say where it hangs: the whole tree has to come
    down."""

    slot: Slot
    at: float
    incarnation: int


class Remove(NamedTuple):
    """The slot is gone for good; release what the shell keeps for it."""

    slot: Slot


class Settle(NamedTuple):
    """Tell a waiting caller how its command ended (error None: well), or which exit it awaited."""

    ticket: Any
    error: BaseException | None
    exit: Exit | None = None


class Started(NamedTuple):
    """The supervisor's own start is complete."""


class Stopping(NamedTuple):
    """The supervisor's own stop has begun."""


class Finish(NamedTuple):
    """Nothing is left to wait for: ``run`` ends as ``ending`` says."""

    ending: Ending


Action = (
    Launch
    | Drain
    | Cancel
    | Stuck
    | Abandon
    | Remove
    | Settle
    | Started
    | Stopping
    | Finish
    | Event
)


class EndKind(enum.Enum):
    """STOP: told to. AUTO: auto_shutdown. ESCALATED: gave up. FATAL: Ctrl-C or SystemExit."""

    STOP = "stop"
    AUTO = "auto_shutdown"
    ESCALATED = "escalated"
    FATAL = "fatal"


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the supervisor ends; ``error`` is the triggering exception, if there was one."""

    kind: EndKind
    reason: str
    error: BaseException | None = None
