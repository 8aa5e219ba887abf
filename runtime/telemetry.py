"""Supervision events, told to people: each transition is a log record, each restart an event, and
what an operator counts is counted.
"""

from __future__ import annotations

import logging
from collections import Counter

from supervisors import (
    ChildParked,
    ChildRestarting,
    ChildStarting,
    Event,
    LoopBlocked,
    MessagesDropped,
    SupervisorReady,
    SupervisorStopping,
    log_events,
)

from .events import EventBus, EventName
from .tree import CONNECTIONS, SELF_TESTS

_log = log_events(logging.getLogger("zapvisor.supervision"))


class Telemetry:
    """An observer of the tree.

    Attributes:
        restarts, parks: since the start, by child (see `child_label`); 0 for those without.
        escalations: the same for supervisors that gave up.
        dropped: messages in mailboxes that went away, by child.
        blocks: times that a child kept the event loop from turning.
    """

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self.restarts: Counter[str] = Counter()
        self.parks: Counter[str] = Counter()
        self.escalations: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.blocks: Counter[str] = Counter()

    def __call__(self, event: Event) -> None:
        """Log a transition, count it, and publish it when it is a restart."""
        _log(event)
        self._count(event)
        if isinstance(event, ChildRestarting):
            self._events.publish(
                EventName.CHILD_RESTARTED, {"path": event.path, "restarts": event.restarts}
            )

    def _count(self, event: Event) -> None:
        child = child_label(event.path)
        if child is None:
            return
        match event:
            case ChildStarting():
                self.restarts[child] += 0
                self.parks[child] += 0
                self.dropped[child] += 0
                self.blocks[child] += 0
            case ChildRestarting():
                self.restarts[child] += 1
            case ChildParked():
                self.parks[child] += 1
            case MessagesDropped():
                self.dropped[child] += event.count
            case LoopBlocked():
                self.blocks[child] += 1
            case SupervisorReady():
                self.escalations[child] += 0
            case SupervisorStopping(escalated=True):
                self.escalations[child] += 1


def child_label(path: str) -> str | None:
    """What a child is called among the metrics: its path below the root, ``.`` for that itself.

    All connections are one. None for what the self-test makes crash on purpose.
    """
    name = path.partition("/")[2] or "."
    if name.startswith(f"{SELF_TESTS}/"):
        return None
    if name.startswith(f"{CONNECTIONS}/"):
        return f"{CONNECTIONS}/*"
    return name
