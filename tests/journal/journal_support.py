"""What the journal's tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio

from runtime.journal import Connection, Journal, NewCommand, NewEntry
from tests.child_context import Context

NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
OWNER = "11111111-1111-4111-8111-111111111111"


@asynccontextmanager
async def running(path: Path, **options: int) -> AsyncIterator[Journal]:
    """A journal that runs while the block does."""
    journal = Journal(path, **options)
    context = Context()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, context)
        with trio.fail_after(10):
            await context.is_ready.wait()
        yield journal
        nursery.cancel_scope.cancel()


async def until(condition, seconds: float = 10.0) -> None:
    """Wait in real time for something to become true."""
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is no event of ours
            await trio.sleep(0.005)


def message(key: str, text: str = "oi", *, chat: str = "chat", at: datetime = NOON) -> NewEntry:
    payload = {
        "kind": "message",
        "id": key,
        "owner_id": OWNER,
        "connection_id": "conn",
        "conteudo": text,
        "remetente": "CLIENTE",
        "timestamp": at.isoformat(),
    }
    return NewEntry("message", key, payload, order_key=chat, event_data={"text": text})


def connection(identifier: str = "conn") -> Connection:
    return Connection(identifier, "Loja", OWNER, None, NOON)


def command(message_id: str, *, key: str | None = None, request_hash: str = "h") -> NewCommand:
    return NewCommand(
        connection_id="conn",
        message_id=message_id,
        row_id=f"row-{message_id}",
        to_jid="5511987654321@s.whatsapp.net",
        content={"text": "olá"},
        idempotency_key=key,
        request_hash=request_hash,
        created_at=NOON,
        expires_at=NOON + timedelta(days=1),
    )


async def everything_pending(journal: Journal) -> list:
    return await journal.pending(limit=10**6, max_bytes=10**9)
