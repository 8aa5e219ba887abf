"""Journals as an earlier release left them: its tables, and what of the present rows fits them."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import trio

from runtime.inbound.entries import message_entry
from runtime.journal import Connection, Journal, NewCommand, NewEntry
from runtime.journal.schema import MIGRATIONS
from tests.child_context import Context

NOW = datetime.now(UTC)


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[Journal]:
    journal = Journal(path)
    context = Context()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, context)
        with trio.fail_after(10):
            await context.is_ready.wait()
        yield journal
        nursery.cancel_scope.cancel()


def connection(owner: str) -> Connection:
    return Connection("loja", "Loja", owner, None, NOW)


def incoming(owner: str, text: str) -> NewEntry:
    """A customer's message, as the bridge tells it."""
    event = {
        "key": {
            "remoteJid": "5521987654321@s.whatsapp.net",
            "fromMe": False,
            "id": uuid4().hex.upper(),
        },
        "phone": "5521987654321",
        "pushName": "Maria",
        "timestamp": int(NOW.timestamp()),
        "stub": None,
        "message": {"conversation": text},
    }
    entry = message_entry(connection(owner), event)
    assert entry is not None
    return entry


def outgoing(message_id: str) -> NewCommand:
    return NewCommand(
        connection_id="loja",
        message_id=message_id,
        row_id=str(uuid4()),
        to_jid="5521987654321@s.whatsapp.net",
        content={"text": "olá"},
        idempotency_key=message_id,
        request_hash="h",
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )


def age(path: Path, version: int) -> None:
    """Rewrite a closed journal as the release with ``version`` migrations would have made it."""
    old = path.with_name("old.sqlite")
    with sqlite3.connect(old) as database:
        for script in MIGRATIONS[:version]:
            database.executescript(script)
        database.execute("DELETE FROM totals")
        database.execute("ATTACH ? AS present", (str(path),))
        tables = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sql%'"
        for (table,) in database.execute(tables).fetchall():
            columns = ", ".join(
                row[1] for row in database.execute(f"PRAGMA main.table_info({table})").fetchall()
            )
            database.execute(
                f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM present.{table}"
            )
        database.execute(f"PRAGMA user_version = {version}")
    database.close()
    for leftover in path.parent.glob(f"{path.name}-*"):
        leftover.unlink()
    old.replace(path)
