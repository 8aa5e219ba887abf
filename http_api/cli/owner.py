"""``zapvisor owner``: a user in the local stack, where there is no sign-up."""

from __future__ import annotations

import click
import psycopg
import trio

from runtime.local_stack import LocalStack
from runtime.node_parts import NodeParts
from runtime.settings import Settings

from .prerequisites import load_settings, node_parts
from .terminal import Problem


def owner(email: str) -> None:
    """Print the id of the user with this address, created where there is none."""
    settings = load_settings()
    if not settings.uses_local_stack:
        raise Problem("SUPABASE_URL is set: users are created in that project, not here")
    try:
        stack = local_stack(settings, node_parts(settings))
        click.echo(trio.run(stack.create_owner, email))
    except (RuntimeError, psycopg.Error, OSError):
        raise Problem("the local database does not answer; start `up` first") from None


def local_stack(settings: Settings, parts: NodeParts) -> LocalStack:
    """A handle on the local stack of these settings, which another one runs."""
    return LocalStack(
        settings.data_dir.resolve() / "supabase", parts.node_modules, parts.migrations
    )
