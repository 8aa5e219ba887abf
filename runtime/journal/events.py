"""The event log: what happened, for those who may have to be told later.

An event that belongs to a change is written in the transaction of that change; so there is none
without the other. Each gets its place here, and a delivery for every webhook that wants it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ..events import Event
from . import codec, deliveries, endpoints
from .event_row import EVENT_COLUMNS, decode_event, event_id, position

MAX_EVENTS = 200_000
"""Older ones go, unless a webhook still has to hear of them."""


def append(connection: sqlite3.Connection, events: Sequence[Event], now: int) -> int:
    """Write events in this order; returns how many."""
    if not events:
        return 0
    wanting = endpoints.listening(connection)
    (last,) = connection.execute("SELECT coalesce(max(at), 0) FROM event").fetchone()
    # Never back, whatever the clock does: the order by time is the order of the log.
    at = max(last, now // 1000)
    for event in events:
        seq = connection.execute(
            "INSERT INTO event (at, event, connection_id, owner_id, chat, data, happened_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                at,
                event.event.value,
                event.connection_id,
                event.owner_id,
                event.chat,
                codec.encode_optional(event.data),
                codec.micros(event.timestamp),
            ),
        ).lastrowid
        assert seq is not None
        deliveries.enqueue(connection, wanting, event, seq, now)
    return len(events)


def read(connection: sqlite3.Connection, after: str, limit: int) -> list[Event]:
    """The events behind ``after`` (an id; empty: from the oldest), in order."""
    rows = connection.execute(
        f"SELECT {EVENT_COLUMNS} FROM event WHERE (at, seq) > (?, ?) "  # noqa: S608
        "ORDER BY at, seq LIMIT ?",
        (*position(after), limit),
    )
    return [decode_event(row) for row in rows]


def before_last(connection: sqlite3.Connection, count: int) -> str:
    """The id behind which there are the last ``count`` events; empty when there are no more."""
    row = connection.execute(
        "SELECT at, seq FROM event ORDER BY at DESC, seq DESC LIMIT 1 OFFSET ?", (count,)
    ).fetchone()
    return "" if row is None else event_id(*row)


def prune(connection: sqlite3.Connection, before: int, limit: int) -> int:
    """Drop events that happened before ``before`` or are too many, with no delivery left."""
    (newest,) = connection.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()
    aged = connection.execute(
        "SELECT seq FROM event WHERE at < ? ORDER BY at DESC, seq DESC LIMIT 1", (before // 1000,)
    ).fetchone()
    return connection.execute(
        "DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE seq <= ?"
        " AND NOT EXISTS (SELECT 1 FROM webhook_delivery d WHERE d.event_seq = event.seq)"
        " ORDER BY seq LIMIT ?)",
        (max(newest - MAX_EVENTS, 0 if aged is None else aged[0]), limit),
    ).rowcount
