"""Webhook endpoints: where events go, whose, and how well that works."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import Conflict, NotFound
from ..events import Event
from . import codec

DISABLE_AFTER = 3 * 24 * 60 * 60 * 1_000_000
"""Microseconds of failures without a success after which an endpoint is given up."""

_ENDPOINT = (
    "id, url, owner_id, connection_id, events, description, secret, enabled, disabled_code, "
    "failing_since, last_success_at, last_error, created_at"
)
_CHANGEABLE = frozenset({"url", "events", "description", "enabled", "secret"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where events go.

    Attributes:
        owner_id, connection_id: whose events; None for those of all.
        events: names; empty for all.
        disabled_code: why it was given up, if it was: ``failing``, ``backlog_full`` or ``gone``.
    """

    id: str
    url: str
    owner_id: str | None
    connection_id: str | None
    events: tuple[str, ...]
    description: str | None
    secret: str
    enabled: bool
    disabled_code: str | None
    failing_since: datetime | None
    last_success_at: datetime | None
    last_error: str | None
    created_at: datetime

    def wants(self, event: Event) -> bool:
        """Whether an event is for this endpoint."""
        return (
            (not self.events or event.event.value in self.events)
            and self.owner_id in (None, event.owner_id)
            and self.connection_id in (None, event.connection_id)
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one attempt; ``gone`` means that the receiver wants nothing any more."""

    ok: bool
    status: int | None
    error: str | None
    duration_ms: int
    retry_after: float | None = None
    gone: bool = False


def add(
    connection: sqlite3.Connection, endpoint: Endpoint, most: int, most_of_owner: int | None
) -> None:
    """Raises Conflict when there are ``most`` already, or ``most_of_owner`` of this owner."""
    (owned,) = connection.execute(
        "SELECT count(*) FROM webhook_endpoint WHERE owner_id = ?", (endpoint.owner_id,)
    ).fetchone()
    if most_of_owner is not None and owned >= most_of_owner:
        raise Conflict(
            f"Este dono já tem {owned} webhooks, o máximo.",
            code="quota_webhooks",
            details={"max": most_of_owner},
        )
    (count,) = connection.execute("SELECT count(*) FROM webhook_endpoint").fetchone()
    if count >= most:
        raise Conflict("Esta instalação já tem o máximo de webhooks.", code="too_many_webhooks")
    created = codec.micros(endpoint.created_at)
    connection.execute(
        "INSERT INTO webhook_endpoint (id, url, owner_id, connection_id, events, description, "
        "secret, enabled, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?)",
        (
            endpoint.id,
            endpoint.url,
            endpoint.owner_id,
            endpoint.connection_id,
            " ".join(endpoint.events),
            endpoint.description,
            endpoint.secret,
            created,
        ),
    )


def endpoints(connection: sqlite3.Connection) -> list[Endpoint]:
    """All, oldest first."""
    rows = connection.execute(
        f"SELECT {_ENDPOINT} FROM webhook_endpoint ORDER BY created_at, id"  # noqa: S608
    )
    return [_endpoint(row) for row in rows]


def listening(connection: sqlite3.Connection) -> list[Endpoint]:
    """Those that are enabled."""
    rows = connection.execute(f"SELECT {_ENDPOINT} FROM webhook_endpoint WHERE enabled")  # noqa: S608
    return [_endpoint(row) for row in rows]


def summary(connection: sqlite3.Connection) -> dict[str, int]:
    """How many there are, how many of them fail now, and how many were given up or disabled."""
    total, failing, disabled = connection.execute(
        "SELECT count(*), count(failing_since) FILTER (WHERE enabled), "
        "count(*) FILTER (WHERE NOT enabled) FROM webhook_endpoint"
    ).fetchone()
    return {"total": total, "failing": failing, "disabled": disabled}


def endpoint(connection: sqlite3.Connection, identifier: str) -> Endpoint:
    """Raises NotFound."""
    row = connection.execute(
        f"SELECT {_ENDPOINT} FROM webhook_endpoint WHERE id = ?",  # noqa: S608
        (identifier,),
    ).fetchone()
    if row is None:
        raise NotFound("Webhook não encontrado.", code="webhook_not_found")
    return _endpoint(row)


def change(connection: sqlite3.Connection, identifier: str, changes: Mapping[str, Any]) -> Endpoint:
    """Change fields by name. Enabling forgives; disabling leaves what waits waiting."""
    assert changes.keys() <= _CHANGEABLE
    values = dict(changes)
    if "events" in values:
        values["events"] = " ".join(values["events"])
    if values.get("enabled"):
        values |= {"disabled_code": None, "failing_since": None}
    if values:
        names = ", ".join(f"{name} = ?" for name in values)
        connection.execute(
            f"UPDATE webhook_endpoint SET {names} WHERE id = ?",  # noqa: S608
            [*values.values(), identifier],
        )
    return endpoint(connection, identifier)


def remove(connection: sqlite3.Connection, identifier: str) -> None:
    """Drop an endpoint with all its deliveries. Raises NotFound."""
    endpoint(connection, identifier)
    connection.execute("DELETE FROM webhook_delivery WHERE endpoint_id = ?", (identifier,))
    connection.execute("DELETE FROM webhook_endpoint WHERE id = ?", (identifier,))


def note_health(
    connection: sqlite3.Connection, identifier: str, attempt: Attempt, now: int
) -> None:
    """What an attempt says about the endpoint as a whole."""
    if attempt.ok:
        connection.execute(
            "UPDATE webhook_endpoint SET last_success_at = ?, failing_since = NULL, "
            "last_error = NULL WHERE id = ?",
            (now, identifier),
        )
        return
    connection.execute(
        "UPDATE webhook_endpoint SET failing_since = coalesce(failing_since, ?), last_error = ? "
        "WHERE id = ?",
        (now, attempt.error, identifier),
    )
    if attempt.gone:
        give_up(connection, identifier, "gone")
    else:
        connection.execute(
            "UPDATE webhook_endpoint SET enabled = 0, disabled_code = 'failing' "
            "WHERE id = ? AND enabled AND failing_since < ?",
            (identifier, now - DISABLE_AFTER),
        )


def give_up(connection: sqlite3.Connection, identifier: str, code: str) -> None:
    """Disable an endpoint, visibly. What waits for it goes on waiting, until its time is over."""
    connection.execute(
        "UPDATE webhook_endpoint SET enabled = 0, disabled_code = ? WHERE id = ? AND enabled",
        (code, identifier),
    )


def _endpoint(row: tuple[Any, ...]) -> Endpoint:
    values = list(row)
    values[4] = tuple(values[4].split())
    values[7] = bool(values[7])
    values[9] = codec.optional_moment(values[9])
    values[10] = codec.optional_moment(values[10])
    values[12] = codec.moment(values[12])
    return Endpoint(*values)
