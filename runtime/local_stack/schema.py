"""Roles, ``auth`` and the migrations: a step between PostgreSQL and PostgREST."""

from __future__ import annotations

import logging
from pathlib import Path

import psycopg
from psycopg import sql

from runtime import migrate

log = logging.getLogger("zapvisor.local_stack")

BOOTSTRAP = Path(__file__).with_name("bootstrap.sql")


def prepare(dsn: str, authenticator_password: str, migrations: Path) -> None:
    """Bring the database to the state of a migrated Supabase project (blocking, idempotent).

    Raises psycopg.Error, migrate.MigrationError.
    """
    with psycopg.connect(dsn, connect_timeout=migrate.CONNECT_TIMEOUT) as connection:
        connection.execute("set lock_timeout = '15s'")
        connection.execute(BOOTSTRAP.read_bytes())
        # Set at every start, so that a lost secrets file costs nothing but new keys.
        connection.execute(
            sql.SQL("alter role authenticator password {}").format(authenticator_password)
        )
    migrate.apply(dsn, migrations, report=log.info)
