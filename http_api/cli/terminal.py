"""What the commands share: expected failures, settings, the Node parts, lines on the console."""

from __future__ import annotations

import click
from pydantic import ValidationError

from runtime.node_parts import NodeParts, NodePartsError, prepare
from runtime.settings import Settings


class Problem(Exception):
    """Something that the operator can mend; the message is a sentence saying what and how."""


def say(line: str) -> None:
    """A line for the person at the console, apart from the log."""
    click.secho(f"zapvisor: {line}", fg="green")


def load_settings() -> Settings:
    """The settings of the environment and ``.env.supabase``; Problem names every bad one."""
    try:
        return Settings()
    except ValidationError as error:
        bad = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        )
        raise Problem(f"the settings are not usable: {bad}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f".env.supabase cannot be read: {error}") from None


def node_parts(settings: Settings) -> NodeParts:
    """The Node parts, installed first where that is still to be done (blocking)."""
    try:
        return prepare(settings.data_dir, say)
    except NodePartsError as error:
        raise Problem(str(error)) from None
    except OSError as error:
        raise Problem(f"the data directory cannot be used: {error}") from None
