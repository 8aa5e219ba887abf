"""Entries put straight into a journal file while no runtime uses it, as intake would have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio

from runtime.inbound.entries import message_entry
from runtime.journal import Connection, Journal, NewEntry
from supervisors import ChildSpec, Supervisor, open_supervisor

CHUNK = 1000
CREATED = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def message(owner: str, connection: str, number: str, index: int) -> NewEntry:
    """The ``index``-th message of a customer, as it comes from the bridge."""
    address = f"9{number}@lid"
    entry = message_entry(
        Connection(connection, connection, owner, None, CREATED),
        {
            "key": {"remoteJid": address, "fromMe": False, "id": f"FILL{index:017X}"},
            "phone": number,
            "lid": address,
            "pushName": f"Cliente {number[-4:]}",
            "timestamp": int(CREATED.timestamp()) + index // 10,
            "offline": False,
            "stub": None,
            "message": {"conversation": f"mensagem {index}"},
        },
    )
    assert entry is not None
    return entry


def fill(path: Path, entries: Iterable[NewEntry]) -> int:
    """Accept them all; returns how many."""
    return run_on(path, lambda journal: _accept(journal, entries))


def run_on(path: Path, work: Callable[[Journal], Any]) -> Any:
    """Run ``await work(journal)`` on a journal of its own."""

    async def main() -> Any:
        journal = Journal(path)
        tree = Supervisor([ChildSpec("journal", journal.run, stop_deadline=15.0)])
        async with open_supervisor(tree, name="fill"):
            return await work(journal)

    return trio.run(main)


async def _accept(journal: Journal, entries: Iterable[NewEntry]) -> int:
    accepted = 0
    chunk: list[NewEntry] = []
    for entry in entries:
        chunk.append(entry)
        if len(chunk) == CHUNK:
            accepted += len(await journal.accept(chunk))
            chunk = []
    if chunk:
        accepted += len(await journal.accept(chunk))
    return accepted
