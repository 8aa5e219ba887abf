"""The bridge's files of each connection, as far as the runtime deals with them: archives, deletion.

``<id>.sqlite`` is in use, ``<id>.next.sqlite`` is about to take its place, and
``<id>.<ms>.archived.sqlite`` was put aside at that time (``bridge/src/session/files.ts``). What is
in them makes its holder *be* the number. All calls block: for a thread.
"""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

RETENTION = timedelta(days=30)
"""Who logged out by mistake notices within a month; WhatsApp forgets idle devices by then."""
MOST_ARCHIVES = 5
"""Of one connection: each logout leaves one, and only the last few can still be of use."""

_OF_A_DATABASE = re.compile(
    r"([A-Za-z0-9_-]+)(?:\.next|\.([0-9]{1,16})\.archived)?\.sqlite(?:-wal|-shm|-journal)?"
)


@dataclass(frozen=True, slots=True)
class Archive:
    """Credentials that were put aside.

    Attributes:
        id: of the archive, among those of its connection.
        reason: stable word, e.g. ``logged_out``; None of releases that did not note it.
        phone_number: whose they are.
    """

    id: str
    archived_at: datetime
    reason: str | None
    phone_number: str | None


class CredentialFiles:
    """The directory that they are in."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def archives(self, connection_id: str, since: datetime) -> list[Archive]:
        """Those that can be restored, the newest first, of a connection that exists ``since`` then.

        An id may have been somebody else's before.
        """
        found = []
        for path in self._archived().get(connection_id, []):
            archive = _read(path)
            if archive is not None and archive.archived_at >= since:
                found.append(archive)
        return found

    def holds_events(self, connection_id: str) -> bool:
        """Whether a database that nobody has open holds messages that the journal does not have."""
        names = (f"{connection_id}.sqlite", f"{connection_id}.next.sqlite")
        return any(_holds_events(self._directory / name) for name in names)

    def delete(self, connection_id: str) -> None:
        """Everything of a connection's credentials. What is not there is no error."""
        for path in self._files():
            match = _OF_A_DATABASE.fullmatch(path.name)
            if match is not None and match[1] == connection_id:
                path.unlink(missing_ok=True)

    def prune(self, now: datetime) -> int:
        """Delete the archives that are too old or too many, of any connection; returns how many."""
        dropped = 0
        for paths in self._archived().values():
            for place, path in enumerate(paths):
                if place >= MOST_ARCHIVES or _time(path) < now - RETENTION:
                    path.unlink(missing_ok=True)
                    dropped += 1
        return dropped

    def _archived(self) -> dict[str, list[Path]]:
        """By connection, the newest first."""
        found: dict[str, list[Path]] = {}
        for path in self._files():
            match = _OF_A_DATABASE.fullmatch(path.name)
            if match is not None and match[2] is not None and path.name.endswith(".sqlite"):
                found.setdefault(match[1], []).append(path)
        for paths in found.values():
            paths.sort(key=_time, reverse=True)
        return found

    def _files(self) -> list[Path]:
        try:
            return list(self._directory.iterdir())
        except FileNotFoundError:
            return []  # the bridge makes it


def _time(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(int(path.name.split(".")[1]) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def _read(path: Path) -> Archive | None:
    """None for what was never paired, and for what cannot be read."""
    try:
        # It is whole by itself, and nobody writes to it.
        with closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as database:
            meta = dict(database.execute("SELECT name, value FROM meta"))
        credentials: dict[str, Any] = json.loads(meta["credentials"])
        me, account = credentials.get("me"), credentials.get("account")
        if not me or not account:
            return None
        digits = re.match(r"[0-9]+", str(me["id"]))
    except (sqlite3.Error, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Archive(
        id=path.name.split(".")[1],
        archived_at=_time(path),
        reason=meta.get("retired"),
        phone_number=digits[0] if digits else None,
    )


def _holds_events(path: Path) -> bool:
    if not path.exists():
        return False
    with suppress(sqlite3.DatabaseError):
        try:
            with closing(sqlite3.connect(path, timeout=1.0)) as database:
                return database.execute("SELECT 1 FROM event LIMIT 1").fetchone() is not None
        except sqlite3.OperationalError as error:
            # Another process has it: as good as full. A database without the table is empty.
            return "locked" in str(error)
    return False  # no database, or one that nobody can read any more
