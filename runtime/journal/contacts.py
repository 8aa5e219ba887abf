"""Who is who on a connection: the names of one customer, and what WhatsApp said of a number.

A name (``alias``) is a number in any spelling, or a LID. Messages may have been stored under one
before it was known whose it is; when that becomes known, a ``contact`` entry joins them, written in
the same transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ..phones import spellings
from . import codec
from .inbox import Prepared, accept, prepare
from .records import NewEntry


@dataclass(frozen=True, slots=True)
class Alias:
    """What is known of a name.

    Attributes:
        number: the digits under which WhatsApp knows this person; None while unknown.
        absent: WhatsApp said that nobody has this number.
        checked_at: when WhatsApp was last asked, or the person last wrote for the first time.
    """

    number: str | None
    lid: str | None
    absent: bool
    checked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Checked:
    """WhatsApp's answer about a number; ``number`` is None when nobody has it."""

    asked: str
    number: str | None
    lid: str | None


def find(connection: sqlite3.Connection, connection_id: str, alias: str) -> Alias | None:
    """What is known of this name."""
    row = connection.execute(
        "SELECT number, lid, absent, checked_at FROM contact WHERE connection_id = ? AND alias = ?",
        (connection_id, alias),
    ).fetchone()
    if row is None:
        return None
    return Alias(row[0], row[1], bool(row[2]), codec.optional_moment(row[3]))


def use(connection: sqlite3.Connection, connection_id: str, alias: str) -> None:
    """Messages are about to be stored under a name of which nobody knows whose it is."""
    connection.execute(
        "INSERT INTO contact (connection_id, alias, used) VALUES (?, ?, 1) "
        "ON CONFLICT DO UPDATE SET used = 1 WHERE number IS NULL",
        (connection_id, alias),
    )


def meet(
    connection: sqlite3.Connection,
    owner_id: str,
    connection_id: str,
    people: Iterable[tuple[str | None, str | None]],
    now: int,
) -> None:
    """Remember people as (number, LID), as WhatsApp itself names them."""
    for number, lid in people:
        if number is None:
            if lid is not None:
                use(connection, connection_id, lid)
            continue
        _learn(connection, owner_id, connection_id, number, lid, spellings(number), now)


def remember(
    connection: sqlite3.Connection,
    owner_id: str,
    connection_id: str,
    answers: Iterable[Checked],
    now: int,
) -> None:
    """Remember what WhatsApp answered about numbers."""
    for answer in answers:
        if answer.number is None:
            connection.execute(
                "INSERT INTO contact (connection_id, alias, absent, checked_at) "
                "VALUES (?1, ?2, 1, ?3) ON CONFLICT DO UPDATE SET absent = 1, checked_at = ?3, "
                "number = NULL",
                (connection_id, answer.asked, now),
            )
            continue
        names = [answer.asked, *spellings(answer.number)]
        _learn(connection, owner_id, connection_id, answer.number, answer.lid, names, now)


def forget(connection: sqlite3.Connection, connection_id: str) -> None:
    """Drop all names of a connection."""
    connection.execute("DELETE FROM contact WHERE connection_id = ?", (connection_id,))


def _learn(
    connection: sqlite3.Connection,
    owner_id: str,
    connection_id: str,
    number: str,
    lid: str | None,
    names: Iterable[str],
    now: int,
) -> None:
    aliases = list(dict.fromkeys([number, *names, *([lid] if lid else [])]))
    places = ", ".join("?" * len(aliases))
    stale = connection.execute(
        "SELECT alias FROM contact WHERE connection_id = ? AND used = 1 AND number IS NULL "  # noqa: S608
        f"AND alias <> ? AND alias IN ({places})",
        (connection_id, number, *aliases),
    ).fetchall()
    for alias in aliases:
        connection.execute(
            "INSERT INTO contact (connection_id, alias, number, lid, checked_at) "
            "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET number = ?3, "
            "lid = coalesce(?4, lid), absent = 0, used = 0, checked_at = ?5",
            (connection_id, alias, number, lid, now),
        )
    accept(connection, [_join(owner_id, connection_id, number, alias) for (alias,) in stale], now)


def _join(owner_id: str, connection_id: str, number: str, alias: str) -> Prepared:
    payload = {
        "kind": "contact",
        "owner_id": owner_id,
        "connection_id": connection_id,
        "numero_cliente": number,
        "apelido": alias,
    }
    return prepare(NewEntry(kind="contact", key=None, payload=payload))
