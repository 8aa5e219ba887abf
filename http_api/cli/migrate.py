"""``zapvisor migrate``: the schema of a Supabase project, brought up to date."""

from __future__ import annotations

from pathlib import Path

import click

from runtime.logs import errors_logged_to
from runtime.migrate import MigrationError, apply
from runtime.node_parts import locate_sources

from .prerequisites import load_settings
from .terminal import Problem

LOG = Path("logs") / "migrate.log"
"""What the database said of a failure, in its own words, is there and not on the terminal."""


def migrate() -> None:
    """Apply what is pending; raises Problem where the database does not allow it."""
    address = load_settings().supabase_db_url
    if address is None:
        raise Problem(
            "SUPABASE_DB_URL is not set; put the connection string of the Supabase project "
            "(Project Settings, Database) into the environment"
        )
    directory = locate_sources() / "supabase" / "migrations"
    try:
        with errors_logged_to(LOG):
            applied = apply(address.get_secret_value(), directory, click.echo)
    except MigrationError as error:
        raise Problem(f"{error} (its own words are in {LOG})") from None
    click.echo(f"{len(applied)} migrations applied" if applied else "the schema is up to date")
