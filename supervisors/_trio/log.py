"""Logs derived from the event table."""

from __future__ import annotations

import dataclasses
import logging

import supervisors.events as events
from supervisors._core.exits import ExitKind
from supervisors._trio.system import Observer
from supervisors.events import Event

LEVELS: dict[type[Event], int] = {
    events.ChildStarting: logging.DEBUG,
    events.ChildReady: logging.INFO,
    events.ChildDraining: logging.DEBUG,
    events.ChildStopping: logging.DEBUG,
    events.ChildExited: logging.INFO,
    events.ChildRestarting: logging.WARNING,
    events.ChildWaiting: logging.DEBUG,
    events.ChildParked: logging.WARNING,
    events.ChildUnparked: logging.INFO,
    events.ChildStopped: logging.INFO,
    events.ChildDone: logging.INFO,
    events.ChildRemoved: logging.DEBUG,
    events.ChildStuck: logging.ERROR,
    events.ChildAbandoned: logging.CRITICAL,
    events.MessagesDropped: logging.WARNING,
    events.LoopBlocked: logging.WARNING,
    events.SupervisorReady: logging.INFO,
    events.SupervisorStopping: logging.INFO,
    events.SupervisorStopped: logging.INFO,
}
"""Level of each event."""

RAISED = frozenset({events.ChildExited, events.SupervisorStopping})
"""Events that are errors when they tell of a crash or an escalation."""


def log_events(logger: logging.Logger) -> Observer:
    """An observer that writes every event to ``logger``, a crash with its traceback."""

    def observe(event: Event) -> None:
        level = LEVELS[type(event)]
        if type(event) not in RAISED and not logger.isEnabledFor(level):
            return
        error: BaseException | None = None
        if isinstance(event, events.ChildExited):
            error = event.error
            if event.exit.kind in (ExitKind.CRASHED, ExitKind.ESCALATED):
                level = logging.ERROR
        elif isinstance(event, events.SupervisorStopping) and event.escalated:
            level = logging.ERROR
        if logger.isEnabledFor(level):
            logger.log(level, "%s", describe(event), exc_info=error if level >= 40 else None)

    return observe


def describe(event: Event) -> str:
    """One line: the path, the event's name, its fields."""
    parts = [event.path, type(event).__name__]
    for field in dataclasses.fields(event):
        value = getattr(event, field.name)
        if field.name in ("path", "at", "error"):
            continue
        if field.name == "where":
            parts.extend(f"\n    {line}" for line in value)
            continue
        if isinstance(event, events.ChildExited) and field.name == "exit":
            parts.append(f"{event.exit.kind.value}: {event.exit.reason}")
            if event.error is None or event.error.__traceback__ is None:
                parts.extend(f"\n    {line}" for line in event.exit.where)
        else:
            shown = f"{value:.3f}" if isinstance(value, float) else getattr(value, "value", value)
            parts.append(f"{field.name}={shown}")
    return " ".join(parts)
