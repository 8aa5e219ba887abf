"""Files of messages: what is known of each, and what is still to be done with it.

A file from WhatsApp has one task, ``store``: fetch it, put it into the store, tell its row. A file
of ours has two that do not wait for each other: ``store``, and ``upload`` to WhatsApp, before which
its message is not sent. The file is written in the transaction that accepts its message.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from . import codec
from .records import Media, MediaTask, NewMedia

_COLUMNS = (
    "row_id, owner_id, connection_id, message_id, incoming, kind, mimetype, file_name, size, "
    "sha256, source, state, code, reason"
)
_MEDIA = ", ".join(f"m.{name}" for name in _COLUMNS.split(", "))

TaskName = Literal["store", "upload"]


@dataclass(frozen=True, slots=True)
class PreparedMedia:
    """A NewMedia as it will be stored."""

    media: NewMedia
    source: str


def prepare(media: NewMedia | None) -> PreparedMedia | None:
    """Encode; TypeError when the source holds something that is not JSON."""
    return None if media is None else PreparedMedia(media, codec.encode(media.source))


def insert(connection: sqlite3.Connection, prepared: PreparedMedia, now: int) -> None:
    """Remember a file and its tasks, due at once; a row has one file."""
    media = prepared.media
    connection.execute(
        "INSERT OR IGNORE INTO media VALUES "
        "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', NULL, NULL, ?, ?)",
        (
            media.row_id,
            media.owner_id,
            media.connection_id,
            media.message_id,
            media.incoming,
            media.kind,
            media.mimetype,
            media.file_name,
            media.size,
            media.sha256,
            prepared.source,
            now,
            now,
        ),
    )
    for name in ("store",) if media.incoming else ("store", "upload"):
        connection.execute(
            "INSERT OR IGNORE INTO media_task VALUES (?, ?, 0, ?, ?)",
            (media.row_id, name, now, codec.micros(media.expires_at)),
        )


def find(connection: sqlite3.Connection, row_id: str) -> Media | None:
    """The file of this row."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM media WHERE row_id = ?",  # noqa: S608
        (row_id,),
    ).fetchone()
    return None if row is None else _media(row)


def due(
    connection: sqlite3.Connection,
    now: int,
    limit: int,
    busy: Collection[str],
    crowded: Collection[str] = (),
) -> tuple[list[MediaTask], int | None]:
    """What is to be done by now, the longest due first, and when the next after that is due.

    Connections in ``busy`` and owners in ``crowded`` are left out: they have enough under way.
    """
    places, owners = ", ".join("?" * len(busy)), ", ".join("?" * len(crowded))
    rows = connection.execute(
        f"SELECT t.name, t.attempts, t.expires_at, {_MEDIA} "  # noqa: S608
        "FROM media_task t JOIN media m USING (row_id) "
        f"WHERE t.due <= ? AND m.connection_id NOT IN ({places}) "
        f"AND m.owner_id NOT IN ({owners}) ORDER BY t.due LIMIT ?",
        (now, *busy, *crowded, limit),
    ).fetchall()
    (later,) = connection.execute(
        "SELECT min(due) FROM media_task WHERE due > ?", (now,)
    ).fetchone()
    tasks = [
        MediaTask(_media(row[3:]), name=row[0], attempts=row[1], expires_at=codec.moment(row[2]))
        for row in rows
    ]
    return tasks, later


def note(connection: sqlite3.Connection, row_id: str, changes: Mapping[str, Any], now: int) -> None:
    """Change facts about a file, by column."""
    stored = {
        name: codec.encode(value) if name == "source" else value for name, value in changes.items()
    }
    assignments = ", ".join(f"{name} = ?" for name in stored)
    connection.execute(
        f"UPDATE media SET {assignments}, updated_at = ? WHERE row_id = ?",  # noqa: S608
        (*stored.values(), now, row_id),
    )


def postpone(
    connection: sqlite3.Connection, row_id: str, name: TaskName, due_at: int, code: str, reason: str
) -> None:
    """Try again later, and say why meanwhile."""
    connection.execute(
        "UPDATE media_task SET due = ?, attempts = attempts + 1 WHERE row_id = ? AND name = ?",
        (due_at, row_id, name),
    )
    connection.execute(
        "UPDATE media SET code = ?, reason = ? WHERE row_id = ? AND state = 'pending'",
        (code, reason, row_id),
    )


def finish(connection: sqlite3.Connection, row_id: str, name: TaskName) -> bool:
    """A task is done, or given up; returns whether the file has no other task left."""
    connection.execute(
        "UPDATE media_task SET due = NULL WHERE row_id = ? AND name = ?", (row_id, name)
    )
    (left,) = connection.execute(
        "SELECT count(*) FROM media_task WHERE row_id = ? AND due IS NOT NULL", (row_id,)
    ).fetchone()
    return bool(left == 0)


def uploaded(
    connection: sqlite3.Connection, media: Media, content: Mapping[str, Any], now: int
) -> bool:
    """WhatsApp has the file: its message may go out with this content; returns as `finish`."""
    connection.execute(
        "UPDATE command SET content = ? WHERE connection_id = ? AND message_id = ? "
        "AND state = 'queued'",
        (codec.encode(content), media.connection_id, media.message_id),
    )
    return finish(connection, media.row_id, "upload")


def remember_upload(
    connection: sqlite3.Connection, fingerprint: str, upload: str, now: int
) -> None:
    """Keep what an upload gave, for the same file in other messages."""
    connection.execute(
        "INSERT OR REPLACE INTO media_upload VALUES (?, ?, ?)", (fingerprint, upload, now)
    )


def earlier_upload(connection: sqlite3.Connection, fingerprint: str, since: int) -> str | None:
    """What an upload of the same file gave, if it is no older than ``since``."""
    row = connection.execute(
        "SELECT upload FROM media_upload WHERE fingerprint = ? AND at >= ?", (fingerprint, since)
    ).fetchone()
    return None if row is None else row[0]


def retry(connection: sqlite3.Connection, row_id: str, expires_at: int, now: int) -> bool:
    """Begin again with a file that failed; False when it did not fail."""
    changed = connection.execute(
        "UPDATE media SET state = 'pending', code = NULL, reason = NULL, updated_at = ? "
        "WHERE row_id = ? AND state = 'failed'",
        (now, row_id),
    ).rowcount
    if changed:
        connection.execute(
            "UPDATE media_task SET due = ?, attempts = 0, expires_at = ? "
            "WHERE row_id = ? AND name = 'store'",
            (now, expires_at, row_id),
        )
    return bool(changed)


def hurry(connection: sqlite3.Connection, connection_id: str, now: int) -> None:
    """A connection is open (again): what waited for it need not wait longer."""
    connection.execute(
        "UPDATE media_task SET due = ? WHERE due > ? AND row_id IN "
        "(SELECT row_id FROM media WHERE connection_id = ? AND code = 'not_connected')",
        (now, now, connection_id),
    )


def waiting(connection: sqlite3.Connection) -> set[str]:
    """Rows whose file still has a task."""
    return {
        row_id
        for (row_id,) in connection.execute(
            "SELECT DISTINCT row_id FROM media_task WHERE due IS NOT NULL"
        )
    }


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Files by state."""
    return dict(connection.execute("SELECT state, count(*) FROM media GROUP BY state"))


def prune(connection: sqlite3.Connection, before: int, limit: int) -> int:
    """Forget files older than ``before`` that have no task left, and old uploads."""
    rows = connection.execute(
        "SELECT row_id FROM media WHERE created_at < ? AND NOT EXISTS (SELECT 1 FROM media_task t "
        "WHERE t.row_id = media.row_id AND t.due IS NOT NULL) ORDER BY created_at LIMIT ?",
        (before, limit),
    ).fetchall()
    connection.executemany("DELETE FROM media_task WHERE row_id = ?", rows)
    connection.executemany("DELETE FROM media WHERE row_id = ?", rows)
    uploads = connection.execute(
        "DELETE FROM media_upload WHERE fingerprint IN "
        "(SELECT fingerprint FROM media_upload WHERE at < ? LIMIT ?)",
        (before, limit),
    ).rowcount
    return len(rows) + uploads


def _media(row: tuple[Any, ...]) -> Media:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values["incoming"] = bool(values["incoming"])
    values["source"] = codec.decode(values["source"])
    return Media(**values)
