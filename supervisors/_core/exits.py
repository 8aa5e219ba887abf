"""What an incarnation's end was: one frozen record, and the judgement that makes it.

Whatever a child raises is a stranger's object: its text may raise, its notes may be anything, its
groups may be nested without end. Nothing of that keeps its end from being judged.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from types import CodeType
from typing import Any, cast

from supervisors._core import stacks
from supervisors._core.errors import Done, Escalate, LivenessError, NotReadyError, Park
from supervisors._core.settings import Classifier

MAX_REASON = 2000
MAX_CODE = 200
MAX_TOLD = 20
"""Members of an exception group that the reason tells of."""


class ExitKind(enum.Enum):
    """NORMAL: ``run`` returned. DONE: it raised ``Done``. STOPPED: it ended because it was told to.
    CRASHED: an exception (also one raised while stopping). PARKED, ESCALATED: a verdict. FATAL:
    KeyboardInterrupt or SystemExit, which pass through every supervisor."""

    NORMAL = "normal"
    DONE = "done"
    STOPPED = "stopped"
    CRASHED = "crashed"
    PARKED = "parked"
    ESCALATED = "escalated"
    FATAL = "fatal"


class Why(enum.Enum):
    """Why the supervisor stops a child."""

    COMMAND = "command"  # terminate_child
    RESTART = "restart"  # restart_child
    SHUTDOWN = "shutdown"  # the supervisor itself stops
    GROUP = "group"  # a sibling's restart takes it along
    NOT_READY = "not_ready"  # ready_deadline missed
    HUNG = "hung"  # liveness deadline missed


@dataclass(frozen=True, slots=True)
class Exit:
    """The end of one incarnation.

    ``reason`` is a sentence, ``code`` a stable word, ``where`` the frames that tell something (of
    the traceback, or of the hanging task when a deadline was missed).
    """

    kind: ExitKind
    reason: str = ""
    code: str = ""
    where: tuple[str, ...] = ()


NORMAL = Exit(ExitKind.NORMAL, "returned", "normal")
STOPPED = Exit(ExitKind.STOPPED, "stopped", "stopped")


GroupOrNone = BaseExceptionGroup[BaseException] | None


def as_group(error: Any) -> GroupOrNone:
    """The exception, if it is a group."""
    return cast(GroupOrNone, error) if isinstance(error, BaseExceptionGroup) else None


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions inside (nested) exception groups, in order; those of a group that occurs more
    than once only once."""
    found: list[BaseException] = []
    seen: set[int] = set()
    todo: list[BaseException] = [error]
    while todo:
        part = todo.pop()
        group = as_group(part)
        if group is None:
            found.append(part)
        elif id(group) not in seen:
            seen.add(id(group))
            todo.extend(reversed(group.exceptions))
    return found


def judge(
    error: BaseException | None,
    why: Why | None = None,
    classify: Classifier | None = None,
    where: tuple[str, ...] = (),
) -> Exit:
    """Turns what ``run`` did into a record. Never raises: what hides even its class is a crash.

    ``error``: what it raised, cancellation already removed (None: it returned, or was cancelled).
    ``why``: why it had been stopped, if it had been. ``where``: where it hung at that time.
    A group counts as FATAL if one member is, else as ESCALATED if one is, and as PARKED or DONE
    only if all its members are: a crash is never hidden behind a verdict.
    """
    if error is None:
        return _without_error(why, where)
    try:
        return _with_error(error, why, classify, where)
    except BaseException as failure:
        reason = f"what it raised cannot be judged: {describe(failure)}"[:MAX_REASON]
        return Exit(ExitKind.CRASHED, reason, _name(error))


def _with_error(
    error: BaseException, why: Why | None, classify: Classifier | None, where: tuple[str, ...]
) -> Exit:
    parts = leaves(error)
    fatal = next((p for p in parts if isinstance(p, KeyboardInterrupt | SystemExit)), None)
    if fatal is not None:
        return Exit(ExitKind.FATAL, describe(fatal), _name(fatal))
    verdict = _verdict(parts)
    note = ""
    if verdict is None and classify is not None:
        try:
            verdict = classify(parts[0] if len(parts) == 1 else error)
        except BaseException as failure:
            note = f"\nthe classifier itself failed: {describe(failure)}"
    if isinstance(verdict, Done):
        return Exit(ExitKind.DONE, _said(verdict, "reason", verdict, MAX_REASON), "done")
    if isinstance(verdict, Escalate | Park):
        parked = isinstance(verdict, Park)
        kind = ExitKind.PARKED if parked else ExitKind.ESCALATED
        text = _said(verdict, "reason", verdict, MAX_REASON)
        code = _said(verdict, "code", kind.value, MAX_CODE)
        return Exit(kind, text, code, () if parked else frames(error))
    reason = ("; ".join(describe(p) for p in parts[:MAX_TOLD]) + note)[:MAX_REASON]
    if why in (Why.NOT_READY, Why.HUNG):
        code = "hung" if why is Why.HUNG else "not_ready"
        missed = "no beat" if why is Why.HUNG else "not ready"
        reason = f"{missed} within its deadline, then {reason}"[:MAX_REASON]
        return Exit(ExitKind.CRASHED, reason, code, where)
    return Exit(ExitKind.CRASHED, reason, _name(parts[0]), frames(parts[0]))


def _without_error(why: Why | None, where: tuple[str, ...]) -> Exit:
    if why is None:
        return NORMAL
    if why is Why.NOT_READY:
        return Exit(ExitKind.CRASHED, "not ready within its deadline", "not_ready", where)
    if why is Why.HUNG:
        return Exit(ExitKind.CRASHED, "no beat within its deadline", "hung", where)
    return STOPPED


def missed_deadline(exit_: Exit) -> LivenessError | NotReadyError | None:
    """The exception that stands for a missed deadline when the child itself raised nothing."""
    if exit_.code == "hung":
        return LivenessError(exit_.reason)
    if exit_.code == "not_ready":
        return NotReadyError(exit_.reason)
    return None


def _verdict(parts: list[BaseException]) -> Done | Park | Escalate | None:
    for part in parts:
        if isinstance(part, Escalate):
            return part
    for kind in (Park, Done):
        if all(isinstance(part, kind) for part in parts):
            verdict = parts[0]
            assert isinstance(verdict, Park | Done)
            return verdict
    return None


def describe(error: BaseException) -> str:
    """``TypeName: text`` with the notes that were added to the exception. Never raises."""
    text = f"{_name(error)}: {_text(error)}".rstrip(": ")
    try:
        notes = [_text(note) for note in getattr(error, "__notes__", None) or ()]
    except BaseException:  # notes that cannot even be walked over
        notes = ["its notes cannot be read"]
    return "\n".join([text, *notes])[:MAX_REASON]


def _said(verdict: BaseException, word: str, otherwise: object, most: int) -> str:
    """What a verdict says. A class of its own may not have called ours, and is a verdict too."""
    try:
        value = getattr(verdict, word, otherwise)
    except BaseException:
        value = otherwise
    return _text(value, most)


def _name(error: BaseException) -> str:
    """The name of its class, as Python knows it, whatever its metaclass says."""
    name: str = type.__dict__["__name__"].__get__(type(error))
    return name[:MAX_CODE]


def _text(value: object, most: int = MAX_REASON) -> str:
    """The value's text, whatever it is: also when it is a text with methods of its own."""
    try:
        return str.__getitem__(str(value), slice(most))
    except BaseException as failure:
        return f"(its text cannot be had: {type(failure).__name__})"


def frames(error: BaseException) -> tuple[str, ...]:
    """The frames of the traceback that tell something."""
    stack: list[tuple[CodeType, int]] = []
    step = error.__traceback__
    while step is not None:
        stack.append((step.tb_frame.f_code, step.tb_lineno))
        step = step.tb_next
    return stacks.lines(stack)
