"""Supervision events, told to people: each transition becomes a log record, each restart an event.

The levels are those of the table in ``supervisors._core.events``.
"""

from __future__ import annotations

import logging
from dataclasses import fields
from typing import Any

import supervisors

from .events import EventBus, EventName

logger = logging.getLogger("zapvisor.supervision")

_LEVELS: dict[type[supervisors.Event], int] = {
    supervisors.ChildStarting: logging.DEBUG,
    supervisors.ChildReady: logging.INFO,
    supervisors.ChildStopping: logging.DEBUG,
    supervisors.ChildExited: logging.INFO,
    supervisors.ChildRestarting: logging.WARNING,
    supervisors.ChildParked: logging.WARNING,
    supervisors.ChildUnparked: logging.INFO,
    supervisors.ChildStopped: logging.INFO,
    supervisors.ChildDone: logging.INFO,
    supervisors.ChildRemoved: logging.DEBUG,
    supervisors.ChildAbandoned: logging.CRITICAL,
    supervisors.SupervisorReady: logging.INFO,
    supervisors.SupervisorStopping: logging.INFO,
    supervisors.SupervisorStopped: logging.INFO,
}


class Telemetry:
    """An observer of the tree."""

    def __init__(self, events: EventBus) -> None:
        self._events = events

    def __call__(self, event: supervisors.Event) -> None:
        """Log a transition; publish it when it is a restart."""
        logger.log(
            _level(event),
            type(event).__name__,
            extra=_facts(event),
            exc_info=_error(event),
        )
        if isinstance(event, supervisors.ChildRestarting):
            self._events.publish(
                EventName.CHILD_RESTARTED, {"path": event.path, "restarts": event.restarts}
            )


def _is_crash(event: supervisors.Event) -> bool:
    return (
        isinstance(event, supervisors.ChildExited)
        and event.exit.kind is supervisors.ExitKind.CRASHED
    )


def _level(event: supervisors.Event) -> int:
    if _is_crash(event) or (isinstance(event, supervisors.SupervisorStopping) and event.escalated):
        return logging.ERROR
    return _LEVELS[type(event)]


def _facts(event: supervisors.Event) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for field in fields(event):
        value = getattr(event, field.name)
        if field.name in ("at", "due", "error"):
            continue
        if isinstance(value, supervisors.Exit):
            facts |= {"kind": value.kind.value, "reason": value.reason, "code": value.code}
        elif isinstance(value, supervisors.Why):
            facts[field.name] = value.value
        else:
            facts[field.name] = value
    return facts


def _error(event: supervisors.Event) -> BaseException | None:
    """The exception of a crash, for its stack."""
    return event.error if isinstance(event, supervisors.ChildExited) and _is_crash(event) else None
