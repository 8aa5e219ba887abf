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
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

_log = logging.getLogger("zapvisor.migrate")

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
    """The schema could not be read or changed; the message is ours, the database's is in the log.

    What a database says may quote rows, and what libpq says may quote a password.
    """


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


def pending(dsn: str, directory: Path) -> list[Migration]:
    """What ``apply`` would do now; changes nothing. Raises MigrationError."""
    known = migrations(directory)
    with _connect(dsn) as connection:
        try:
            return _pending(connection, known)
        except psycopg.Error as error:
            raise _failure("the state of the schema cannot be read", error) from None


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
        connection.add_notice_handler(lambda notice: _report_warning(notice, known, report))
        try:
            while waiting := _next(connection, known):
                report(f"applied {waiting.version}")
                applied.append(waiting)
        except psycopg.Error as error:
            raise _failure("the migrations stopped", error) from None
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
        raise _failure("cannot connect to the database", error) from None
    except (psycopg.Error, ValueError):  # one with a NUL inside never reaches libpq
        raise MigrationError("this is not a valid PostgreSQL connection string") from None


_MEANINGS = {
    "08": "the connection broke",
    "28": "it refuses this user or password",
    "3D": "there is no such database",
    "23": "rows that are there break a rule of the new schema",
    "42501": "this user may not do that; use the role postgres",
    "42": "something that the migration counts on is missing or different",
    "40": "another transaction was in the way; try again",
    "53": "it is out of connections, memory or disk",
    "55P03": f"something else held a lock for {LOCK_TIMEOUT}; try again at a quieter hour",
    "57014": f"one statement took longer than {STATEMENT_TIMEOUT}",
    "57": "it is shutting down or starting",
}


_LIBPQ = (
    ("password authentication failed|no password supplied", "it refuses this user or password"),
    ("translate host name|resolve host", "the name of its host is not known (DNS)"),
    ("does not exist|Tenant or user not found", "there is no such database or user"),
    ("SSL|certificate", "the encrypted connection failed (TLS)"),
    ("timeout|timed out", "it does not answer in time"),
    ("refused|unreachable|No route|No such file", "nobody listens there"),
)


def _failure(what: str, error: psycopg.Error) -> MigrationError:
    """What is told of an error: its SQLSTATE, what that means, and where it was."""
    _log.error("%s", what, extra={"code": error.sqlstate, "text": _primary(error)})
    code = error.sqlstate
    if code is None:  # libpq's own, which has words only
        said = str(error)
        guess = (meaning for words, meaning in _LIBPQ if re.search(words, said))
        return MigrationError(f"{what}: {next(guess, 'it does not answer as PostgreSQL does')}")
    prefixes = (code[:length] for length in (5, 2))
    meaning = next((_MEANINGS[one] for one in prefixes if one in _MEANINGS), "it reports an error")
    diagnosis = error.diag
    where = "".join(
        f", {kind} {name}"
        for kind, name in (("table", diagnosis.table_name), ("rule", diagnosis.constraint_name))
        if name
    )
    return MigrationError(f"{what}: {code}{where}: {meaning}")


def _primary(error: psycopg.Error) -> str:
    """Its first line; the details quote rows."""
    return error.diag.message_primary or str(error).partition("\n")[0]


def _report_warning(
    notice: psycopg.errors.Diagnostic, known: list[Migration], report: Callable[[str], None]
) -> None:
    """The migrations' own warnings, which their files hold; others may quote anything."""
    said = notice.message_primary
    if notice.severity_nonlocalized != "WARNING" or not said:
        return
    if any(said in migration.sql for migration in known):
        report(f"warning: {said}")
    else:
        _log.warning("the database warns", extra={"code": notice.sqlstate, "text": said})
