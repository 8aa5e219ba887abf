"""Brings a database to the schema that the runtime needs.

The migrations are the SQL files of ``supabase/migrations``, applied in the order of their names.
All are idempotent, so it does no harm when the Supabase CLI has applied them before. What was
applied is recorded in ``zapvisor.schema_migrations`` and not in the CLI's own table: that one
belongs to the project's own migrations.

Everything here blocks; call it in a thread. Each statement is bounded by ``STATEMENT_TIMEOUT``,
each wait for a lock by ``LOCK_TIMEOUT``, so that a busy installation is never held up for long.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

DSN_VARIABLE = "SUPABASE_DB_URL"
CONNECT_TIMEOUT = 10
LOCK_TIMEOUT = "15s"
# Building an index over millions of old rows takes its time.
STATEMENT_TIMEOUT = "15min"

# One applier at a time. Transaction-level, because connection poolers break session-level locks.
_LOCK = "select pg_advisory_xact_lock(hashtextextended('zapvisor schema migrations', 0))"
_RECORD_TABLE = """
create schema if not exists zapvisor;
create table if not exists zapvisor.schema_migrations (
    version text primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
);
"""


class MigrationError(Exception):
    """The schema could not be read or changed; the message says why and carries no secret."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: ``version`` is its name without suffix, ``checksum`` the SHA-256 of its text."""

    version: str
    checksum: str
    sql: str


def migrations(directory: Path) -> list[Migration]:
    """The migrations in ``directory``, in order. Raises MigrationError if there are none."""
    found = []
    for path in sorted(directory.glob("*.sql")):
        sql = path.read_text(encoding="utf-8")
        checksum = hashlib.sha256(sql.encode()).hexdigest()
        found.append(Migration(path.stem, checksum, sql))
    if not found:
        raise MigrationError(f"no migrations in {directory}")
    return found


def dsn_from_environment() -> str:
    """The connection string in ``SUPABASE_DB_URL``. Raises MigrationError if it is not set."""
    dsn = os.environ.get(DSN_VARIABLE, "").strip()
    if not dsn:
        raise MigrationError(
            f"{DSN_VARIABLE} is not set; put the connection string of the Supabase project "
            "(Project Settings, Database) into the environment"
        )
    return dsn


def pending(dsn: str, directory: Path) -> list[Migration]:
    """What ``apply`` would do now; changes nothing. Raises MigrationError."""
    known = migrations(directory)
    with _connect(dsn) as connection:
        return _pending(connection, known)


def apply(
    dsn: str, directory: Path, report: Callable[[str], None] = lambda line: None
) -> list[Migration]:
    """Apply what is pending, each migration in a transaction of its own.

    Args:
        dsn: a libpq connection string or URI of a role that may create tables.
        directory: where the SQL files are.
        report: receives one line per migration, and the warnings of the database.

    Returns what was applied; a second call returns an empty list. Raises MigrationError; what was
    applied before the error stays applied.
    """
    known = migrations(directory)
    applied = []
    with _connect(dsn) as connection:
        connection.add_notice_handler(lambda notice: _report_warning(notice, report))
        try:
            while waiting := _next(connection, known):
                report(f"applied {waiting.version}")
                applied.append(waiting)
        except psycopg.Error as error:
            raise MigrationError(_describe(error)) from error
    return applied


def _next(connection: psycopg.Connection, known: list[Migration]) -> Migration | None:
    """Apply the first pending migration, unless somebody else just did."""
    with connection.transaction():
        connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
        connection.execute(f"set local statement_timeout = '{STATEMENT_TIMEOUT}'")
        connection.execute(_LOCK)
        waiting = _pending(connection, known)
        if not waiting:
            return None
        migration = waiting[0]
        connection.execute(_RECORD_TABLE)
        connection.execute(migration.sql.encode())
        # Later ones may replace what this one defines: once it changed, they run again.
        connection.execute(
            "delete from zapvisor.schema_migrations where version >= %s", [migration.version]
        )
        connection.execute(
            "insert into zapvisor.schema_migrations (version, checksum) values (%s, %s)",
            [migration.version, migration.checksum],
        )
        return migration


def _pending(connection: psycopg.Connection, known: list[Migration]) -> list[Migration]:
    """Everything from the first that is not recorded, or is recorded with another text, on."""
    recorded: dict[str, str] = {}
    table = connection.execute("select to_regclass('zapvisor.schema_migrations')").fetchone()
    if table is not None and table[0] is not None:
        rows = connection.execute("select version, checksum from zapvisor.schema_migrations")
        recorded = dict(rows.fetchall())
    for position, migration in enumerate(known):
        if recorded.get(migration.version) != migration.checksum:
            return known[position:]
    return []


def _connect(dsn: str) -> psycopg.Connection:
    try:
        # Prepared statements do not survive a pooler in transaction mode.
        return psycopg.connect(
            dsn,
            connect_timeout=CONNECT_TIMEOUT,
            prepare_threshold=None,
            application_name="zapvisor migrate",
        )
    except psycopg.OperationalError as error:
        raise MigrationError(f"cannot connect to the database: {_describe(error)}") from error
    except psycopg.Error:
        # Its text quotes the connection string, which holds the password.
        raise MigrationError("this is not a valid PostgreSQL connection string") from None


def _describe(error: psycopg.Error) -> str:
    return f"{error.sqlstate}: {error}" if error.sqlstate else str(error)


def _report_warning(notice: psycopg.errors.Diagnostic, report: Callable[[str], None]) -> None:
    if notice.severity_nonlocalized == "WARNING":
        report(f"warning: {notice.message_primary}")
