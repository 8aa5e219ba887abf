"""How fast the journal accepts and drains, beside bare SQLite on the same disk in the same run.

Every figure is durable commits: WAL, ``synchronous=FULL``. "bare" inserts the same row into one
table without index, key or accounts, one commit each; it is what a naive queue could at best do.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from runtime.journal import Journal, NewEntry, Stored

from .figures import Result, percentiles
from .stage import Stage

PRODUCERS = (1, 8, 64)
BATCH = 500
PAYLOAD = {
    "kind": "message",
    "owner_id": "11111111-1111-4111-8111-111111111111",
    "connection_id": "conn",
    "numero_cliente": "5511987654321",
    "conteudo": "Bom dia, gostaria de saber se o pedido já saiu para entrega.",
    "tipo": "TEXTO",
    "remetente": "CLIENTE",
    "timestamp": "2026-01-31T12:00:00+00:00",
}


class Context:
    """The little of a ChildContext that the journal needs."""

    def __init__(self) -> None:
        self.is_ready = trio.Event()

    def ready(self) -> None:
        self.is_ready.set()

    def beat(self) -> None:
        """Nobody watches."""


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Journal]:
    """A journal that runs while the block does."""
    journal, context = Journal(path), Context()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, context)  # type: ignore[arg-type]
        await context.is_ready.wait()
        yield journal
        nursery.cancel_scope.cancel()


def run(stage: Stage, *, quick: bool = False) -> Result:
    """Measure everything."""
    result = Result(["", "durable commits/s", "p50, ms", "p99, ms"])
    seconds = 0.2 if quick else 3.0
    directory = stage.directory()
    for per_commit in (1, 64):
        _bare(result, directory / f"bare-{per_commit}.sqlite", seconds, per_commit)
    trio.run(_journal, result, directory / "journal.sqlite", seconds)
    return result


def _bare(result: Result, path: Path, seconds: float, per_commit: int) -> None:
    """Insert into one table with as little as possible around it."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE entry (seq INTEGER PRIMARY KEY, payload TEXT)")
    rows = [(json.dumps(PAYLOAD),)] * per_commit
    latencies: list[float] = []
    start = now = time.perf_counter()
    while now - start < seconds:
        begun = now
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO entry (payload) VALUES (?)", rows)
        connection.execute("COMMIT")
        now = time.perf_counter()
        latencies.append((now - begun) * 1000)
    rate = len(latencies) * per_commit / (now - start)
    result.row(f"bare SQLite, {per_commit} per commit", rate, *percentiles(latencies))
    connection.close()


async def _journal(result: Result, path: Path, seconds: float) -> None:
    async with opened(path) as journal:
        for producers in PRODUCERS:
            await _accept(result, journal, seconds, producers)
        await _drain(result, journal)


async def _accept(result: Result, journal: Journal, seconds: float, producers: int) -> None:
    """Producers that each wait for their own commit."""
    latencies: list[float] = []
    start = time.perf_counter()

    async def produce(producer: int) -> None:
        number = 0
        while (begun := time.perf_counter()) - start < seconds:
            key = f"{producers}/{producer}/{number}"
            payload = {**PAYLOAD, "id": key}
            await journal.accept([NewEntry("message", key, payload, order_key=str(producer))])
            latencies.append((time.perf_counter() - begun) * 1000)
            number += 1

    async with trio.open_nursery() as nursery:
        for producer in range(producers):
            nursery.start_soon(produce, producer)
    rate = len(latencies) / (time.perf_counter() - start)
    name = f"journal, {producers} producer{'s' if producers > 1 else ''}"
    result.row(name, rate, *percentiles(latencies))


async def _drain(result: Result, journal: Journal) -> None:
    """Claim and settle everything in batches, as the writer does."""
    count = 0
    start = time.perf_counter()
    while entries := await journal.pending(limit=BATCH, max_bytes=10**6):
        await journal.settle([Stored(entry.seq, "inserted") for entry in entries])
        count += len(entries)
    rate = count / (time.perf_counter() - start)
    result.row(f"journal, drained in batches of {BATCH}", rate, "", "")
