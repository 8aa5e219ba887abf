"""What is done now and then: retention, giving space back, auditing the accounts."""

from __future__ import annotations

import sqlite3

from . import deliveries, events, media, robot
from .statistics import totals

_VACUUM_PAGES = 2000

EVENTS_KEPT = 7 * 24 * 60 * 60 * 1_000_000
"""Microseconds for which the event log goes back."""


def prune(connection: sqlite3.Connection, before: int, limit: int) -> int:
    """Forget keys, chat seconds, finished commands and robot states older than ``before``.

    Pending entries and dead letters keep their keys however old they are. Returns the number of
    rows dropped, at most about ``limit`` per table; call again while it is not 0.
    """
    dropped = connection.execute(
        # seq rises with time: the search ends at the first row that is young enough.
        "DELETE FROM seen WHERE seq IN ("
        " SELECT seq FROM seen WHERE seq < coalesce("
        "  (SELECT seq FROM seen WHERE accepted_at >= ?1 ORDER BY seq LIMIT 1), 1 << 62)"
        " AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.seq = seen.seq)"
        " AND NOT EXISTS (SELECT 1 FROM dead_letter WHERE dead_letter.seq = seen.seq)"
        " ORDER BY seq LIMIT ?2)",
        (before, limit),
    ).rowcount
    dropped += connection.execute(
        "DELETE FROM chat_second WHERE (second, chat) IN"
        " (SELECT second, chat FROM chat_second WHERE second < ?1 ORDER BY second LIMIT ?2)",
        (before // 1_000_000, limit),
    ).rowcount
    dropped += connection.execute(
        "DELETE FROM command WHERE seq IN (SELECT seq FROM command"
        " WHERE state <> 'queued' AND updated_at < ?1 ORDER BY seq LIMIT ?2)",
        (before, limit),
    ).rowcount
    dropped += robot.prune(connection, before, limit)
    dropped += media.prune(connection, before, limit)
    connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
    return dropped


def prune_events(connection: sqlite3.Connection, now: int, limit: int) -> int:
    """The same for the event log and the deliveries, each with its own retention."""
    return deliveries.upkeep(connection, now, limit) + events.prune(
        connection, now - EVENTS_KEPT, limit
    )


def audit(connection: sqlite3.Connection) -> list[str]:
    """What is wrong with the accounts or the file; empty when all is well."""
    findings = [
        row[0] for row in connection.execute("PRAGMA integrity_check(10)") if row[0] != "ok"
    ]
    kept = totals(connection)
    if kept.accepted != kept.stored + kept.dead + kept.pending:
        findings.append(f"accepted is not stored + dead + pending: {kept}")
    (pending,) = connection.execute("SELECT count(*) FROM entry").fetchone()
    if pending != kept.pending:
        findings.append(f"{pending} entries are pending, the account says {kept.pending}")
    (letters,) = connection.execute("SELECT count(*) FROM dead_letter").fetchone()
    if letters + kept.archived != kept.dead:
        findings.append(
            f"{letters} dead letters and {kept.archived} archived, the account says {kept.dead}"
        )
    return findings


def touch(connection: sqlite3.Connection) -> None:
    """Write a page; SQLite leaves out a write that would change nothing."""
    connection.execute("UPDATE totals SET touches = touches + 1")
