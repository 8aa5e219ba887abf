"""Entries put straight into a journal file while no runtime uses it, as intake would have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trio

from runtime.identity import message_key, row_id
from runtime.journal import Journal, NewEntry
from supervisors import ChildSpec, Supervisor, open_supervisor

CHUNK = 1000


def message(owner: str, connection: str, number: str, index: int, **changes: Any) -> NewEntry:
    """The ``index``-th message of a customer."""
    key = message_key(
        owner, connection, chat=f"{number}@lid", sender=f"{number}@lid", message_id=f"FILL{index}"
    )
    payload = {
        "kind": "message",
        "id": str(row_id(key)),
        "owner_id": owner,
        "connection_id": connection,
        "numero_cliente": number,
        "nome_cliente": f"Cliente {number[-4:]}",
        "conteudo": f"mensagem {index}",
        "tipo": "TEXTO",
        "remetente": "CLIENTE",
        "timestamp": datetime(2026, 1, 31, 12, 0, index % 60, tzinfo=UTC).isoformat(),
        "whatsapp_id": f"FILL{index}",
        **changes,
    }
    return NewEntry(
        "message", key, payload, order_key=f"{connection}/{number}", raw={"key": {"id": key}}
    )


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
