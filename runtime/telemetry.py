"""Supervision events, told to people: each transition is a log record, each restart an event."""

from __future__ import annotations

import logging

from supervisors import ChildRestarting, Event, log_events

from .events import EventBus, EventName

_log = log_events(logging.getLogger("zapvisor.supervision"))


class Telemetry:
    """An observer of the tree."""

    def __init__(self, events: EventBus) -> None:
        self._events = events

    def __call__(self, event: Event) -> None:
        """Log a transition; publish it when it is a restart."""
        _log(event)
        if isinstance(event, ChildRestarting):
            self._events.publish(
                EventName.CHILD_RESTARTED, {"path": event.path, "restarts": event.restarts}
            )
