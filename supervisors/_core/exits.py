"""What an incarnation's end was: one frozen record, and the judgement that makes it."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from supervisors._core.errors import (
    Escalate,
    LivenessError,
    NotReadyError,
    Park,
)

MAX_REASON = 2000
MAX_FRAMES = 8


class ExitKind(enum.Enum):
    """NORMAL: ``run`` returned. STOPPED: it ended because it was told to. CRASHED: an exception
    (also one raised while stopping). PARKED, ESCALATED: a verdict. FATAL: KeyboardInterrupt or
    SystemExit, which pass through every supervisor."""

    NORMAL = "normal"
    STOPPED = "stopped"
    CRASHED = "crashed"
    PARKED = "parked"
    ESCALATED = "escalated"
    FATAL = "fatal"


class Why(enum.Enum):
    """Why the supervisor cancelled a child."""

    COMMAND = "command"  # terminate_child
    SHUTDOWN = "shutdown"  # the supervisor itself stops
    GROUP = "group"  # a sibling's restart takes it along
    NOT_READY = "not_ready"  # ready_deadline missed
    HUNG = "hung"  # liveness deadline missed


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of one incarnation.

    ``reason`` is a sentence, ``code`` a stable word, ``where`` the innermost frames (of the
    traceback, or of the hanging task when a deadline was missed).
    """

    kind: ExitKind
    reason: str = ""
    code: str = ""
    where: tuple[str, ...] = ()


NORMAL = Exit(ExitKind.NORMAL, "returned", "normal")
STOPPED = Exit(ExitKind.STOPPED, "stopped", "stopped")

Classifier = Callable[[BaseException], Park | Escalate | None]


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions inside (nested) exception groups, in order."""
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from leaves(part)
    else:
        yield error


def judge(
    error: BaseException | None,
    why: Why | None = None,
    classify: Classifier | None = None,
    where: tuple[str, ...] = (),
) -> Exit:
    """Turns what ``run`` did into a record.

    ``error``: what it raised, cancellation already removed (None: it returned, or was cancelled).
    ``why``: why it had been cancelled, if it had been. ``where``: where it hung at that time.
    A group counts as FATAL if one member is, else as ESCALATED if one is, and as PARKED only if
    all its members are: a crash is never hidden behind a verdict.
    """
    if error is None:
        if why is None:
            return NORMAL
        if why is Why.NOT_READY:
            return Exit(ExitKind.CRASHED, "not ready within its deadline", "not_ready", where)
        if why is Why.HUNG:
            return Exit(ExitKind.CRASHED, "no beat within its deadline", "hung", where)
        return STOPPED
    parts = list(leaves(error))
    fatal = next((p for p in parts if isinstance(p, KeyboardInterrupt | SystemExit)), None)
    if fatal is not None:
        return Exit(ExitKind.FATAL, describe(fatal), type(fatal).__name__)
    verdict = _verdict(parts)
    if verdict is None and classify is not None:
        subject = parts[0] if len(parts) == 1 else error
        try:
            verdict = classify(subject)
        except BaseException as failure:
            error.add_note(f"the classifier itself failed: {describe(failure)}")
    if isinstance(verdict, Escalate):
        return Exit(ExitKind.ESCALATED, verdict.reason, verdict.code, frames(error))
    if isinstance(verdict, Park):
        return Exit(ExitKind.PARKED, verdict.reason, verdict.code)
    reason = "; ".join(describe(p) for p in parts)[:MAX_REASON]
    if why in (Why.NOT_READY, Why.HUNG):
        code = "hung" if why is Why.HUNG else "not_ready"
        missed = "no beat" if why is Why.HUNG else "not ready"
        reason = f"{missed} within its deadline, then {reason}"
        return Exit(ExitKind.CRASHED, reason, code, where)
    return Exit(ExitKind.CRASHED, reason, type(parts[0]).__name__, frames(parts[0]))


def missed_deadline(exit_: Exit) -> LivenessError | NotReadyError | None:
    """The exception that stands for a missed deadline when the child itself raised nothing."""
    if exit_.code == "hung":
        return LivenessError(exit_.reason)
    if exit_.code == "not_ready":
        return NotReadyError(exit_.reason)
    return None


def _verdict(parts: list[BaseException]) -> Park | Escalate | None:
    for part in parts:
        if isinstance(part, Escalate):
            return part
    parks = [part for part in parts if isinstance(part, Park)]
    return parks[0] if parks and len(parks) == len(parts) else None


def describe(error: BaseException) -> str:
    """``TypeName: text`` with the notes that were added to the exception."""
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    return "\n".join([text, *getattr(error, "__notes__", ())])[:MAX_REASON]


def frames(error: BaseException) -> tuple[str, ...]:
    """The innermost frames of the traceback, outermost first, as ``file:line in function``."""
    lines: deque[str] = deque(maxlen=MAX_FRAMES)
    step = error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        lines.append(f"{code.co_filename}:{step.tb_lineno} in {code.co_name}")
        step = step.tb_next
    return tuple(lines)
