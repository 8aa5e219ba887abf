"""Rows per second into the tables, on the same PostgREST and PostgreSQL in the same run.

earlier     one insert awaited per message, with supabase-js in Node (earlier.ts)
queue       the product with a full queue: Supabase was away, comes back, and the writer drains
COPY        one transaction of PostgreSQL's own, without PostgREST: the limit
"""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import trio

from runtime.inbound.entries import message_entry
from runtime.journal import Connection, NewEntry
from tests.e2e.harness import until
from tests.faults.rig import Backend, Runtime

from .figures import Result, percentiles
from .journal import opened
from .stage import HERE, PATIENCE, Stage

CONTACTS = 500
ACCEPT_AT_ONCE = 256
GOAL_ROWS = 10_000.0
LOOK_SECONDS = 0.25

_INSERT = (
    "insert into whatsapp_atendimentos (owner_id, numero_cliente) values (%s, '5511900000000')"
    " returning id"
)
_COUNT = "select count(*) from whatsapp_mensagens where owner_id = %s"


def run(stage: Stage, *, quick: bool = False) -> Result:
    """Each in turn; the queue is filled while Supabase is away."""
    seconds, rows = (1.0, 500) if quick else (10.0, 50_000)
    earlier = _earlier(stage, seconds)
    copied = _copy(stage.backend, rows)
    drained, back = _drain(stage, rows)
    result = Result(["", "rows/s", "times", "latency p50, ms", "p99, ms"])
    p50, p99 = percentiles(earlier["latencies"])
    base = earlier["rows"] / earlier["seconds"]
    result.row("earlier design: an insert awaited per message", base, 1, p50, p99)
    result.row(f"zapvisor, {rows:,} waiting after an outage", drained, drained / base, "", "")
    result.row("COPY in one transaction (PostgreSQL's limit)", copied, copied / base, "", "")
    result.row("Supabase back → first row, s", back, "", "", "")
    result.goal("queue drain ≥ 10,000 rows/s", drained, GOAL_ROWS, at_most=False, unit="rows/s")
    result.plot = {"earlier": base, "drained": drained, "copied": copied}
    return result


def _earlier(stage: Stage, seconds: float) -> Any:
    owner = stage.backend.owner()
    [(atendimento,)] = stage.backend.query(_INSERT, owner)
    row = {"owner_id": str(owner), "atendimento_id": str(atendimento), "remetente": "CLIENTE"}
    stack = stage.backend.stack
    job = {"url": stack.url, "key": stack.service_role_key, "row": row, "seconds": seconds}
    done = subprocess.run(
        [stage.parts.node, HERE / "earlier.ts"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return json.loads(done.stdout)


def _copy(backend: Backend, rows: int) -> float:
    owner = backend.owner()
    [(atendimento,)] = backend.query(_INSERT, owner)
    text = json.dumps("Bom dia, gostaria de saber se o pedido já saiu para entrega.")
    with psycopg.connect(backend.stack.dsn) as database:
        began = time.monotonic()
        with database.cursor().copy(
            "copy whatsapp_mensagens (owner_id, atendimento_id, conteudo, remetente) from stdin"
        ) as copy:
            for _ in range(rows):
                copy.write_row((owner, atendimento, text, "CLIENTE"))
        database.commit()
        return rows / (time.monotonic() - began)


def _drain(stage: Stage, rows: int) -> tuple[float, float]:
    """Rows per second from the first to the last, and how soon the first was there."""
    runtime, backend = stage.runtime(), stage.backend
    owner = backend.owner()
    trio.run(_fill, runtime.data_dir / "journal.sqlite", owner, rows)
    backend.stop()
    runtime.launch()
    until(lambda: _is_offline(runtime), seconds=60, what="the product knows of the outage")
    backend.start()
    back = time.monotonic()
    seen: list[tuple[float, int]] = []

    def done() -> bool:
        [(count,)] = backend.query(_COUNT, owner)
        if count:
            seen.append((time.monotonic(), count))
            time.sleep(LOOK_SECONDS)  # counting costs PostgreSQL as much as some batches
        return bool(count == rows)

    until(done, seconds=PATIENCE, what="the queue is empty")
    (first, before), (last, after) = seen[0], seen[-1]
    # Quick runs are over between two looks.
    rate = (after - before) / (last - first) if last > first else after / (last - back)
    return rate, first - back


def _is_offline(runtime: Runtime) -> bool:
    ready = runtime.client.get("/health/ready").json()
    return ready["data"]["supabase"] is False


async def _fill(path: Path, owner: UUID, rows: int) -> None:
    """A queue of messages of many customers, as the intake would have written them."""
    connection = Connection(
        id="loja",
        name="Loja",
        owner_id=str(owner),
        company_id=None,
        created_at=datetime.now(UTC),
    )
    now = int(time.time())

    def entry(number: int) -> NewEntry:
        phone = f"5521{900_000_000 + number % CONTACTS}"
        made = message_entry(
            connection,
            {
                "key": {"remoteJid": f"{phone}@s.whatsapp.net", "fromMe": False, "id": uuid4().hex},
                "phone": phone,
                "lid": None,
                "pushName": "Ana Souza",
                "timestamp": now,
                "offline": False,
                "stub": None,
                "message": {"conversation": f"Bom dia, o pedido {number} já saiu para entrega?"},
            },
        )
        assert made is not None
        return made

    async with opened(path) as journal:
        for first in range(0, rows, ACCEPT_AT_ONCE):
            numbers = range(first, min(rows, first + ACCEPT_AT_ONCE))
            await journal.accept([entry(number) for number in numbers])
