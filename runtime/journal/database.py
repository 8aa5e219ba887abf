"""Opening the file: permissions, pragmas, integrity, schema; keeping a copy of a damaged one."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from pathlib import Path

from ..failpoints import failpoint
from .faults import Corrupt
from .schema import migrate

CHECKPOINT_CHANGES = 4000
CHECKPOINT_COMMITS = 500
"""Rows changed, or commits made, after which the log moves into the main file."""


def open_database(path: Path) -> sqlite3.Connection:
    """A verified and migrated connection, to be used by the calling thread alone.

    Raises sqlite3.DatabaseError, OSError, Corrupt or SchemaTooNew.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives -wal the same mode
    path.chmod(0o600)
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    try:
        _configure(connection)
        _verify(connection)
        migrate(connection)
        # After a failed sync the log may be in the page cache only, though it reads well. Moving
        # all of it into the main file writes it anew, so that everything rests on fresh syncs.
        failpoint("checkpoint")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        # A commit proves that there is room to write.
        connection.execute("UPDATE totals SET touches = touches + 1")
    except (sqlite3.DatabaseError, Corrupt) as error:
        if isinstance(error, Corrupt) or _is_corruption(error):
            # Before close(), which would move the log into the damaged file.
            keep_copy(path)
        connection.close()
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    # One connection per file, enforced; the index of the log then lives on the heap instead of
    # in a shared memory file, which a full disk would turn into SIGBUS.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if pages == 0:
        # Lets `incremental_vacuum` give space back. Later it would be a write, before the check.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError(f"no write-ahead log on this file system (got {mode!r})")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = 1")
    connection.execute("PRAGMA checkpoint_fullfsync = 1")
    # SQLite's own checkpoints hide their errors; see `Checkpoints`.
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -16384")
    connection.execute("PRAGMA cell_size_check = ON")


class Checkpoints:
    """Moves the log into the main file now and then. Call it after each commit.

    An I/O error or a full disk is raised, so that the connection is given up.
    """

    def __init__(self) -> None:
        self._commits = 0
        self._changes = 0

    def __call__(self, connection: sqlite3.Connection) -> None:
        self._commits += 1
        changes = connection.total_changes
        if changes - self._changes >= CHECKPOINT_CHANGES or self._commits >= CHECKPOINT_COMMITS:
            self._commits, self._changes = 0, changes
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def _verify(connection: sqlite3.Connection) -> None:
    findings = [row[0] for row in connection.execute("PRAGMA quick_check(10)")]
    if findings != ["ok"]:
        raise Corrupt("; ".join(findings))


def _is_corruption(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def keep_copy(path: Path) -> Path:
    """Copy a damaged database and its log aside, once per content; returns where."""
    files = [path, path.with_name(f"{path.name}-wal")]
    digest = hashlib.blake2b(digest_size=8)
    for file in files:
        if file.exists():
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    copy = path.with_name(f"{path.name}.corrupt-{digest.hexdigest()}")
    if not copy.exists():
        for file in reversed(files):  # the log first: the copy is complete when the database is
            if file.exists() and file.stat().st_size:
                partial = path.with_name(f"{file.name}.partial")
                shutil.copy2(file, partial)
                partial.rename(file.with_name(file.name.replace(path.name, copy.name)))
    return copy
