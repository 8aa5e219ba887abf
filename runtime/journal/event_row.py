"""An event as a row of the log, and its id."""

from __future__ import annotations

from typing import Any

from ..events import Event, EventName
from . import codec

EVENT_COLUMNS = (
    "event.seq, event.at, event.event, event.connection_id, event.owner_id, event.chat, "
    "event.data, event.happened_at"
)


def event_id(at: int, seq: int) -> str:
    """32 hexadecimal digits that sort as the log does: milliseconds, then the place in it."""
    return f"{at:012x}{seq:020x}"


def position(identifier: str) -> tuple[int, int]:
    """The reverse of `event_id`, for any text of hexadecimal digits; empty is before all."""
    padded = identifier[:32].ljust(32, "0")
    return int(padded[:12], 16), min(int(padded[12:], 16), 2**63 - 1)


def decode_event(row: tuple[Any, ...]) -> Event:
    """The event in a row of ``EVENT_COLUMNS``."""
    seq, at, event, connection_id, owner_id, chat, data, happened_at = row
    return Event(
        event=EventName(event),
        data=codec.decode(data),
        connection_id=connection_id,
        owner_id=owner_id,
        id=event_id(at, seq),
        timestamp=codec.moment(happened_at),
        chat=chat,
    )
