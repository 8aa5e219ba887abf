"""What is still to be delivered to webhooks, and what became of the rest.

A delivery is written in the transaction of its event. Of the deliveries of one endpoint and chat
only the oldest pending one has a ``due``: that keeps their order, and makes the due ones easy to
find however many wait.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ..errors import Conflict, NotFound
from ..events import Event
from . import codec
from .endpoints import Attempt, Endpoint, give_up, listening, note_health
from .event_row import EVENT_COLUMNS, decode_event

DELIVERY_LIFETIME = 24 * 60 * 60 * 1_000_000
"""Microseconds for which a delivery is tried."""
MAX_BACKLOG = 200_000
"""Deliveries that may wait for one endpoint; with more it is given up."""
DELIVERED_KEPT = 3 * DELIVERY_LIFETIME
DEAD_KEPT = 14 * DELIVERY_LIFETIME
"""Microseconds for which the delivery log goes back."""

_DELIVERY = (
    "d.seq, d.endpoint_id, d.state, d.attempts, d.due, d.created_at, d.expires_at, d.updated_at, "
    f"d.status, d.error, d.duration_ms, {EVENT_COLUMNS}"
)
_LISTED = f"SELECT {_DELIVERY} FROM webhook_delivery d JOIN event ON event.seq = d.event_seq "  # noqa: S608

State = Literal["pending", "delivered", "dead"]
STATES: tuple[State, ...] = ("pending", "delivered", "dead")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one endpoint; ``status``, ``error``, ``duration_ms``: of the last attempt."""

    seq: int
    endpoint_id: str
    state: State
    attempts: int
    due: datetime | None
    created_at: datetime
    expires_at: datetime
    updated_at: datetime
    status: int | None
    error: str | None
    duration_ms: int | None
    event: Event


def enqueue(
    connection: sqlite3.Connection,
    candidates: Sequence[Endpoint],
    event: Event,
    event_seq: int,
    now: int,
) -> None:
    """Queue an event for those of ``candidates`` that want it."""
    chat = f"{event.connection_id or ''}/{event.chat or ''}"
    for one in candidates:
        if not one.wants(event):
            continue
        (waiting,) = connection.execute(
            "SELECT EXISTS (SELECT 1 FROM webhook_delivery"
            " WHERE endpoint_id = ? AND chat = ? AND state = 'pending')",
            (one.id, chat),
        ).fetchone()
        connection.execute(
            "INSERT INTO webhook_delivery (endpoint_id, event_seq, chat, state, due, attempts, "
            "created_at, expires_at, updated_at) VALUES (?, ?, ?, 'pending', ?, 0, ?, ?, ?)",
            (one.id, event_seq, chat, None if waiting else now, now, now + DELIVERY_LIFETIME, now),
        )


def due(
    connection: sqlite3.Connection,
    identifier: str,
    now: int,
    limit: int,
    busy: Collection[int],
) -> list[Delivery]:
    """Deliveries of an endpoint that are due and not ``busy``, the longest waiting first."""
    rows = connection.execute(
        f"{_LISTED}WHERE d.endpoint_id = ? AND d.due <= ? ORDER BY d.due, d.seq LIMIT ?",
        (identifier, now, limit + len(busy)),
    )
    return [_delivery(row) for row in rows if row[0] not in busy][:limit]


def next_due(connection: sqlite3.Connection, now: int) -> int | None:
    """When the next delivery of any endpoint becomes due."""
    following: int | None = None
    for one in listening(connection):
        (earliest,) = connection.execute(
            "SELECT min(due) FROM webhook_delivery WHERE endpoint_id = ? AND due > ?", (one.id, now)
        ).fetchone()
        if earliest is not None and (following is None or earliest < following):
            following = earliest
    return following


def finish(
    connection: sqlite3.Connection, seq: int, attempt: Attempt, retry_at: int | None, now: int
) -> State | None:
    """Note an attempt; its new state, or None when the delivery is not there any more.

    ``retry_at`` is when to try again; None, or a time beyond its life, makes a failure a dead
    letter.
    """
    row = connection.execute(
        "SELECT endpoint_id, chat, expires_at FROM webhook_delivery "
        "WHERE seq = ? AND state = 'pending'",
        (seq,),
    ).fetchone()
    if row is None:
        return None
    identifier, chat, expires_at = row
    state: State = "delivered"
    if not attempt.ok:
        state = "pending" if retry_at is not None and retry_at < expires_at else "dead"
    connection.execute(
        "UPDATE webhook_delivery SET state = ?, due = ?, attempts = attempts + 1, updated_at = ?, "
        "status = ?, error = ?, duration_ms = ? WHERE seq = ?",
        (
            state,
            retry_at if state == "pending" else None,
            now,
            attempt.status,
            attempt.error,
            attempt.duration_ms,
            seq,
        ),
    )
    if state != "pending":
        _promote(connection, identifier, chat, now)
    note_health(connection, identifier, attempt, now)
    return state


def _promote(connection: sqlite3.Connection, identifier: str, chat: str, now: int) -> None:
    """The next of this chat is due, unless one is already."""
    connection.execute(
        "UPDATE webhook_delivery SET due = ?1 WHERE seq = ("
        " SELECT min(seq) FROM webhook_delivery"
        " WHERE endpoint_id = ?2 AND chat = ?3 AND state = 'pending')"
        " AND NOT EXISTS (SELECT 1 FROM webhook_delivery"
        " WHERE endpoint_id = ?2 AND chat = ?3 AND state = 'pending' AND due IS NOT NULL)",
        (now, identifier, chat),
    )


def backlog(connection: sqlite3.Connection, identifier: str) -> dict[str, int]:
    """How many deliveries are in each state."""
    rows = connection.execute(
        "SELECT state, count(*) FROM webhook_delivery WHERE endpoint_id = ? GROUP BY state",
        (identifier,),
    )
    return dict(rows.fetchall())


def deliveries(
    connection: sqlite3.Connection,
    identifier: str,
    state: State | None,
    before_seq: int,
    limit: int,
) -> list[Delivery]:
    """The delivery log of an endpoint, newest first, those below ``before_seq``."""
    rows = connection.execute(
        f"{_LISTED}WHERE d.endpoint_id = ?1 AND d.seq < ?2 AND (?3 IS NULL OR d.state = ?3) "
        "ORDER BY d.seq DESC LIMIT ?4",
        (identifier, before_seq, state, limit),
    )
    return [_delivery(row) for row in rows]


def redeliver(connection: sqlite3.Connection, identifier: str, seq: int, now: int) -> None:
    """Queue a finished delivery again, for another day. Raises NotFound, Conflict."""
    row = connection.execute(
        "SELECT chat, state FROM webhook_delivery WHERE seq = ? AND endpoint_id = ?",
        (seq, identifier),
    ).fetchone()
    if row is None:
        raise NotFound("Entrega não encontrada.", code="delivery_not_found")
    if row[1] == "pending":
        raise Conflict("Esta entrega ainda está na fila.", code="delivery_pending")
    connection.execute(
        "UPDATE webhook_delivery SET state = 'pending', due = NULL, attempts = 0, expires_at = ?, "
        "updated_at = ? WHERE seq = ?",
        (now + DELIVERY_LIFETIME, now, seq),
    )
    _promote(connection, identifier, row[0], now)


def redeliver_dead(connection: sqlite3.Connection, identifier: str, limit: int, now: int) -> int:
    """Queue the oldest dead letters of an endpoint again; returns how many."""
    rows = connection.execute(
        "SELECT seq FROM webhook_delivery WHERE endpoint_id = ? AND state = 'dead' "
        "ORDER BY seq LIMIT ?",
        (identifier, limit),
    ).fetchall()
    for (seq,) in rows:
        redeliver(connection, identifier, seq, now)
    return len(rows)


def upkeep(connection: sqlite3.Connection, now: int, limit: int) -> int:
    """Bury what is too old, give up endpoints with too much waiting; returns how many rows went."""
    # An enabled endpoint gets one last try of each; a disabled one gets none.
    late = connection.execute(
        "SELECT d.seq, d.endpoint_id, d.chat FROM webhook_delivery d "
        "JOIN webhook_endpoint e ON e.id = d.endpoint_id AND NOT e.enabled "
        "WHERE d.state = 'pending' AND d.expires_at < ? ORDER BY d.seq LIMIT ?",
        (now, limit),
    ).fetchall()
    for seq, identifier, chat in late:
        connection.execute(
            "UPDATE webhook_delivery SET state = 'dead', due = NULL, updated_at = ?, "
            "error = coalesce(error, 'expired') WHERE seq = ?",
            (now, seq),
        )
        _promote(connection, identifier, chat, now)
    for identifier, waiting in connection.execute(
        "SELECT endpoint_id, count(*) FROM webhook_delivery WHERE state = 'pending' "
        "GROUP BY endpoint_id"
    ).fetchall():
        if waiting > MAX_BACKLOG:
            give_up(connection, identifier, "backlog_full")
    dropped = 0
    for state, kept in (("delivered", DELIVERED_KEPT), ("dead", DEAD_KEPT)):
        dropped += connection.execute(
            "DELETE FROM webhook_delivery WHERE seq IN (SELECT seq FROM webhook_delivery"
            " WHERE state = ? AND updated_at < ? LIMIT ?)",
            (state, now - kept, limit),
        ).rowcount
    return dropped + len(late)


def _delivery(row: tuple[Any, ...]) -> Delivery:
    seq, identifier, state, attempts, due_at, created, expires, updated, status, error, ms = row[
        :11
    ]
    return Delivery(
        seq=seq,
        endpoint_id=identifier,
        state=state,
        attempts=attempts,
        due=codec.optional_moment(due_at),
        created_at=codec.moment(created),
        expires_at=codec.moment(expires),
        updated_at=codec.moment(updated),
        status=status,
        error=error,
        duration_ms=ms,
        event=decode_event(row[11:]),
    )
