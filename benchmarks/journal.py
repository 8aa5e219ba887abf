"""How fast the journal accepts and drains, beside bare SQLite on the same disk in the same run.

    python benchmarks/journal.py [SECONDS] [DIRECTORY]

Every figure is durable commits: WAL, ``synchronous=FULL``. "bare" inserts the same row into one
table without index, key or accounts, one commit each; it is what a naive queue could at best do.
Each row runs for SECONDS (3); the directory should be on the disk in question (default: here).
"""

from __future__ import annotations

import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

import trio

from runtime.journal import Journal, NewEntry, Stored

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


def report(name: str, count: int, seconds: float, latencies: list[float]) -> None:
    """One line of the table."""
    line = f"{name:<44} {count / seconds:>10,.0f}/s"
    if len(latencies) > 100:
        cuts = quantiles(latencies, n=100)
        line += f"   p50 {cuts[49] * 1000:6.2f} ms   p99 {cuts[98] * 1000:6.2f} ms"
    print(line, flush=True)


def bare(path: Path, seconds: float, per_commit: int) -> None:
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
        latencies.append(now - begun)
    report(
        f"bare SQLite, {per_commit} per commit", len(latencies) * per_commit, now - start, latencies
    )
    connection.close()


async def accept(journal: Journal, seconds: float, producers: int) -> None:
    """Producers that each wait for their own commit."""
    latencies: list[float] = []
    start = time.perf_counter()

    async def produce(producer: int) -> None:
        number = 0
        while (begun := time.perf_counter()) - start < seconds:
            key = f"{producers}/{producer}/{number}"
            payload = {**PAYLOAD, "id": key}
            await journal.accept([NewEntry("message", key, payload, order_key=str(producer))])
            latencies.append(time.perf_counter() - begun)
            number += 1

    async with trio.open_nursery() as nursery:
        for producer in range(producers):
            nursery.start_soon(produce, producer)
    name = f"journal, {producers} producer{'s' if producers > 1 else ''}"
    report(name, len(latencies), time.perf_counter() - start, latencies)


async def drain(journal: Journal) -> None:
    """Claim and settle everything in batches, as the writer does."""
    count = 0
    start = time.perf_counter()
    while entries := await journal.pending(limit=BATCH, max_bytes=10**6):
        await journal.settle([Stored(entry.seq, "inserted") for entry in entries])
        count += len(entries)
    report(f"journal, drained in batches of {BATCH}", count, time.perf_counter() - start, [])


async def with_journal(path: Path, work: Callable[[Journal], object]) -> None:
    """Run ``work`` on a journal."""
    journal, context = Journal(path), Context()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, context)
        await context.is_ready.wait()
        await work(journal)  # type: ignore[misc]
        nursery.cancel_scope.cancel()


async def main(seconds: float, directory: Path) -> None:
    """Measure everything."""

    async def journal_rows(journal: Journal) -> None:
        for producers in PRODUCERS:
            await accept(journal, seconds, producers)
        figures = await journal.statistics()
        print(f"{'bytes per pending entry':<44} {figures.file_bytes / figures.pending:>10,.0f}")
        await drain(journal)

    bare(directory / "bare-1.sqlite", seconds, 1)
    bare(directory / "bare-64.sqlite", seconds, 64)
    await with_journal(directory / "journal" / "journal.sqlite", journal_rows)


if __name__ == "__main__":
    duration = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else ".") as place:
        trio.run(main, duration, Path(place))
