"""``zapvisor journal``: look into the durable queue.

The file allows one connection at a time, so where a zapvisor runs on it that one is asked; to
verify and export the file, it has to be stopped.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click
import trio

from runtime.errors import ZapvisorError
from runtime.journal import DeadLetter, Entry, Journal
from supervisors import ChildSpec, SupervisionError, Supervisor, open_supervisor

from . import queue
from .prerequisites import load_settings
from .tables import clean, print_json, print_table
from .terminal import Problem, system_error

T = TypeVar("T")
PAGE = 500
PAGE_BYTES = 16 * 1024 * 1024


class InUse(Problem):
    """A zapvisor runs on the data directory."""


def inspect(*, as_json: bool) -> None:
    """Print the accounts and the state of what is queued."""

    async def read(journal: Journal) -> dict[str, Any]:
        return asdict(await journal.statistics())

    try:
        figures = _with_journal(read)
    except InUse:
        figures = queue.figures()
    if as_json:
        print_json(figures)
        return
    for name, value in figures.items():
        click.echo(f"{name:24}{_shown(value)}")


def _shown(value: object) -> str:
    match value:
        case None:
            return "-"
        case dict():
            return ", ".join(f"{name} {count}" for name, count in value.items()) or "-"
        case float():
            return f"{value:.3g}"
        case _:
            return str(value)


def verify() -> int:
    """Check the file, the accounts and every entry; return 0 when all is well, 1 otherwise."""

    async def check(journal: Journal) -> tuple[list[str], int]:
        # Reading an entry checks it; a damaged one becomes a dead letter, with the reason.
        read = [entry.seq async for entry in _pending(journal)]
        return await journal.audit(), len(read)

    findings, pending = _with_journal(check)
    for finding in findings:
        click.secho(finding, fg="red")
    click.echo(f"{pending} pending entries read; {len(findings) or 'no'} problems found")
    return 1 if findings else 0


def export(target: Path) -> None:
    """Write every pending entry and dead letter as a line of JSON; the journal keeps them."""

    async def write(journal: Journal) -> int:
        lines = 0
        with target.open("x", encoding="ascii") as stream:
            async for entry in _pending(journal):
                stream.write(_line("pending", asdict(entry)))
                lines += 1
            async for letter in _dead_letters(journal):
                stream.write(_line("dead", asdict(letter)))
                lines += 1
        return lines

    try:
        click.echo(f"{_with_journal(write)} lines written to {target}")
    except FileExistsError:
        raise Problem(f"{target} exists; name a new file") from None
    except OSError as error:
        raise Problem(f"cannot write {target}: {system_error(error)}") from None


def dead_letters(*, as_json: bool) -> None:
    """List what Supabase refused, with the reason."""

    async def read(journal: Journal) -> list[dict[str, Any]]:
        return [asdict(letter) async for letter in _dead_letters(journal)]

    try:
        found = _with_journal(read)
    except InUse:
        found = queue.dead_letters()
    if as_json:
        for letter in found:
            click.echo(_line("dead", letter), nl=False)
    elif found:
        columns = ("seq", "kind", "code", "reason")
        print_table(columns, [[clean(letter[name]) for name in columns] for letter in found])
    else:
        click.echo("no dead letters")


def retry(seq: int, changes: str | None) -> None:
    """Put a dead letter back into the queue; it is written when zapvisor runs."""
    corrections = _corrections(changes)

    async def requeue(journal: Journal) -> None:
        letter = await journal.dead_letter(seq)
        await journal.retry(seq, {**letter.payload, **corrections} if corrections else None)

    try:
        _with_journal(requeue)
    except InUse:
        queue.retry(seq, corrections)
    click.echo(f"{seq} is pending again")


def _corrections(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except json.JSONDecodeError as error:
        raise Problem(f"--changes is not JSON from its character {error.pos} on") from None
    if not isinstance(value, dict) or value.keys() & {"kind", "id", "seq"}:
        raise Problem("--changes takes a JSON object of columns other than kind, id and seq")
    return value


def archive() -> None:
    """Move all dead letters to a file below the data directory."""
    try:
        count = _with_journal(lambda journal: journal.archive())
    except InUse:
        count = queue.archive()
    click.echo(f"{count} dead letters archived")


def _with_journal(work: Callable[[Journal], Awaitable[T]]) -> T:
    path = load_settings().data_dir.resolve() / "journal.sqlite"
    if not path.is_file():
        raise Problem(f"there is no journal at {path}; is ZAPVISOR_DATA_DIR right?")
    return trio.run(_run, path, work)


async def _run(path: Path, work: Callable[[Journal], Awaitable[T]]) -> T:
    journal = Journal(path)
    tree = Supervisor([ChildSpec("journal", journal.run)])
    try:
        async with open_supervisor(tree, name="journal", logger=None):
            return await work(journal)
    except (ZapvisorError, SupervisionError, ExceptionGroup) as error:
        if journal.state.code == "data_directory_in_use":
            raise InUse("zapvisor is running on this data directory; stop it first") from None
        if isinstance(error, ZapvisorError):
            raise Problem(f"{error.message} ({journal.state.reason or error.code})") from None
        raise


async def _pending(journal: Journal) -> AsyncIterator[Entry]:
    after = 0
    while page := await journal.pending(limit=PAGE, max_bytes=PAGE_BYTES, after_seq=after):
        for entry in page:
            yield entry
        after = page[-1].seq


async def _dead_letters(journal: Journal) -> AsyncIterator[DeadLetter]:
    after = 0
    while page := await journal.dead_letters(limit=PAGE, after_seq=after):
        for letter in page:
            yield letter
        after = page[-1].seq


def _line(state: str, record: dict[str, Any]) -> str:
    return json.dumps({"state": state, **record}, default=str) + "\n"
