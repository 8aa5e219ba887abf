"""``zapvisor migrate``: the schema of a Supabase project, brought up to date."""

from __future__ import annotations

import os

import click
from dotenv import dotenv_values

from runtime.migrate import DSN_VARIABLE, MigrationError, apply, dsn_from_environment
from runtime.node_parts import locate_sources

from .terminal import Problem


def migrate() -> None:
    """Apply what is pending; raises Problem where the database does not allow it."""
    # The connection string is a secret of this command alone, hence no field of Settings.
    from_file = dotenv_values(".env.supabase").get(DSN_VARIABLE)
    if from_file:
        os.environ.setdefault(DSN_VARIABLE, from_file)
    try:
        applied = apply(
            dsn_from_environment(), locate_sources() / "supabase" / "migrations", click.echo
        )
    except MigrationError as error:
        raise Problem(str(error)) from None
    click.echo(f"{len(applied)} migrations applied" if applied else "the schema is up to date")
