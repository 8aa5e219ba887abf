"""What every command says in the same way: lines on the console, and expected failures."""

from __future__ import annotations

import os
import socket

import click


class Problem(Exception):
    """Something that the operator can mend; the message is a sentence saying what and how."""


def system_error(error: OSError) -> str:
    """What the operating system's error means; not its text, which may quote anything."""
    if isinstance(error, socket.gaierror):
        return "the name is not known"
    return os.strerror(error.errno) if error.errno else "the operating system refused it"


def say(line: str) -> None:
    """A line for the person at the console, apart from the log."""
    click.secho(f"zapvisor: {line}", fg="green")
