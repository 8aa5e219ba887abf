"""Product events: one table of names, one bus, values that never change.

Whoever depends on an event (webhooks, the event stream) reads it from the journal's log, where it
is written with what it tells; the bus is for listeners inside the process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import trio


class EventName(StrEnum):
    """Every event that leaves the runtime."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    CONNECTION_FAILED = "connectionFailed"
    CONNECTION_WARNING = "connectionWarning"
    QR_CODE = "qrCode"
    MESSAGE_RECEIVED = "messageReceived"
    MESSAGE_SENT = "messageSent"
    MESSAGE_STATUS = "messageStatus"
    MESSAGE_CHANGED = "messageChanged"
    PRESENCE = "presence"
    SUPABASE_OFFLINE = "supabaseOffline"
    SUPABASE_ONLINE = "supabaseOnline"
    DEAD_LETTER = "deadLetter"
    CHILD_RESTARTED = "childRestarted"
    HEALTH_CHECK = "healthCheck"


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened. ``data`` is JSON-serialisable and free of secrets.

    ``id`` is given by the log, and sorts as the log does; empty for an event that is not from it.
    ``chat`` names whose order counts within the connection: a number, or None.
    """

    event: EventName
    data: Mapping[str, Any]
    connection_id: str | None = None
    owner_id: str | None = None
    id: str = ""
    timestamp: datetime = field(default_factory=lambda: datetime.now(UTC))
    chat: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What consumers get: ``event, id, timestamp, connectionId, ownerId, data``."""
        return {
            "event": self.event.value,
            "id": self.id,
            "timestamp": self.timestamp.isoformat(),
            "connectionId": self.connection_id,
            "ownerId": self.owner_id,
            "data": dict(self.data),
        }


TOLD_WITH_ITS_CAUSE = frozenset(
    {
        EventName.MESSAGE_RECEIVED,
        EventName.MESSAGE_SENT,
        EventName.MESSAGE_STATUS,
        EventName.MESSAGE_CHANGED,
        EventName.DEAD_LETTER,
    }
)
"""The journal itself writes these into the log, in the transaction of what they tell."""


class EventBus:
    """Fan-out to bounded subscribers.

    A subscriber that falls behind loses events, never holds up the message path; it is told by
    ``Subscription.missed``. What must not be lost is in the journal, not here.
    """

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def publish(
        self,
        event: EventName,
        data: Mapping[str, Any],
        *,
        connection_id: str | None = None,
        owner_id: str | None = None,
    ) -> Event:
        """Hand an event to every subscriber without waiting for any."""
        published = Event(event, data, connection_id, owner_id)
        self.tell(published)
        return published

    def tell(self, event: Event) -> None:
        """The same for an event that exists already."""
        for subscription in self._subscriptions:
            subscription._offer(event)

    @asynccontextmanager
    async def subscribe(self, capacity: int = 1000) -> AsyncIterator[Subscription]:
        """Receive the events published while the block runs, at most ``capacity`` waiting."""
        subscription = Subscription(capacity)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            subscription._close()


class Subscription:
    """An async iterator of events with a count of those it missed."""

    def __init__(self, capacity: int) -> None:
        self._send, self._receive = trio.open_memory_channel[Event](capacity)
        self.missed = 0

    def take(self, most: int) -> list[Event]:
        """What is waiting now, at most so many."""
        taken: list[Event] = []
        with suppress(trio.WouldBlock, trio.EndOfChannel, trio.ClosedResourceError):
            while len(taken) < most:
                taken.append(self._receive.receive_nowait())
        return taken

    def _offer(self, event: Event) -> None:
        try:
            self._send.send_nowait(event)
        except trio.WouldBlock:
            self.missed += 1

    def _close(self) -> None:
        self._send.close()
        self._receive.close()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        try:
            return await self._receive.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            raise StopAsyncIteration from None
