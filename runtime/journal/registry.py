"""The connections that the runtime keeps, remembered across restarts."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from ..errors import Conflict, NotFound
from . import codec, contacts, outbox
from .records import Connection

_NAMES = tuple(field.name for field in fields(Connection))
_COLUMNS = ", ".join(_NAMES)
_TIMES = frozenset({"created_at", "last_seen"})
_CHANGEABLE = frozenset(_NAMES) - {"id", "owner_id", "created_at"}


def register(connection: sqlite3.Connection, new: Connection) -> None:
    """Raises Conflict(code="connection_exists")."""
    if find(connection, new.id) is not None:
        raise Conflict("Já existe uma conexão com esse id.", code="connection_exists")
    values = [_stored(getattr(new, name)) for name in _NAMES]
    places = ", ".join("?" * len(_NAMES))
    connection.execute(
        f"INSERT INTO connection ({_COLUMNS}) VALUES ({places})",  # noqa: S608
        values,
    )


def listed(connection: sqlite3.Connection) -> list[Connection]:
    """All, in the order of their creation."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM connection ORDER BY created_at, id"  # noqa: S608
    )
    return [_connection(row) for row in rows]


def find(connection: sqlite3.Connection, connection_id: str) -> Connection | None:
    """The connection of this id."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM connection WHERE id = ?",  # noqa: S608
        (connection_id,),
    ).fetchone()
    return None if row is None else _connection(row)


def update(
    connection: sqlite3.Connection, connection_id: str, changes: Mapping[str, Any]
) -> Connection:
    """Raises NotFound, and TypeError for a field that cannot change."""
    if unknown := changes.keys() - _CHANGEABLE:
        raise TypeError(f"a connection cannot change its {', '.join(sorted(unknown))}")
    if changes:
        assignments = ", ".join(f"{name} = ?" for name in changes)
        connection.execute(
            f"UPDATE connection SET {assignments} WHERE id = ?",  # noqa: S608
            [*(_stored(value) for value in changes.values()), connection_id],
        )
    changed = find(connection, connection_id)
    if changed is None:
        raise NotFound("Conexão não encontrada.", code="connection_not_found")
    return changed


def forget(connection: sqlite3.Connection, connection_id: str, now: int) -> None:
    """Drop it; what it received stays, what it had not sent fails. Unknown ids are no error."""
    outbox.fail_queued(connection, connection_id, "connection_deleted", now)
    contacts.forget(connection, connection_id)
    connection.execute("DELETE FROM connection WHERE id = ?", (connection_id,))


def _stored(value: Any) -> Any:
    if isinstance(value, Mapping):
        return codec.encode(value)
    return codec.micros(value) if isinstance(value, datetime) else value


def _connection(row: tuple[Any, ...]) -> Connection:
    values = dict(zip(_NAMES, row, strict=True))
    for name in _TIMES:
        values[name] = codec.optional_moment(values[name])
    values["options"] = codec.decode(values["options"])
    return Connection(**values)
