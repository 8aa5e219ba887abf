"""A journal of every earlier release, with work in it, goes on under this one."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from runtime.journal import codec
from runtime.journal.schema import MIGRATIONS
from tests.e2e.harness import Simulator, until

from .filling import run_on
from .rig import Phone, Runtime

OWNER = "11111111-1111-4111-8111-111111111111"
NOW = time.time_ns() // 1000


def earlier_file(path: Path, version: int, owner: str, phone_to: str) -> None:
    """What release ``version`` had on disk: entries, a dead letter, a queued message.

    Written in the words of version 1, of which later ones only added to the tables.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    for number, script in enumerate(MIGRATIONS[:version], start=1):
        database.executescript(f"BEGIN;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
    for seq in range(1, 31):
        payload = codec.encode(
            {
                "kind": "message",
                "id": f"00000000-0000-4000-8000-{version:04d}{seq:08d}",
                "owner_id": owner,
                "connection_id": "antiga",
                "numero_cliente": "5511980000001",
                "conteudo": f"antiga {seq}",
                "tipo": "TEXTO",
                "remetente": "CLIENTE",
                "timestamp": "2026-01-31T12:00:00+00:00",
                "whatsapp_id": f"OLD{seq}",
            }
        )
        table = "entry" if seq <= 29 else "dead_letter"
        more = "" if seq <= 29 else ", attempts, code, reason, died_at"
        values = [seq, "message", f"old/{seq}", payload, codec.checksum(payload), NOW]
        values += [] if seq <= 29 else [0, "23503", "an earlier refusal", NOW]
        database.execute(
            f"INSERT INTO {table} (seq, kind, key, payload, crc, accepted_at{more})"
            f" VALUES ({', '.join('?' * len(values))})",
            values,
        )
        database.execute(
            "INSERT INTO seen (seq, digest, accepted_at) VALUES (?, ?, ?)",
            (seq, codec.key_digest(f"old/{seq}"), NOW),
        )
    database.execute("UPDATE totals SET accepted = 30, dead = 1, pending = 29")
    database.execute(
        "INSERT INTO connection (id, name, owner_id, created_at) VALUES ('antiga', 'A', ?, ?)",
        (owner, NOW),
    )
    database.execute(
        "INSERT INTO command (connection_id, message_id, row_id, to_jid, content, request_hash,"
        " created_at, expires_at, state, updated_at) VALUES ('antiga', '3EB0OLD',"
        " '00000000-0000-4000-8000-000000000000', ?, '{\"text\":\"resposta antiga\"}', 'h',"
        " ?, ?, 'queued', ?)",
        (f"{phone_to}@s.whatsapp.net", NOW, NOW + 3_600_000_000, NOW),
    )
    database.close()


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_pending_rows_survive_the_migration(tmp_path: Path, version: int) -> None:
    path = tmp_path / "journal.sqlite"
    earlier_file(path, version, OWNER, "5521980000001")

    async def look(journal):
        return (
            await journal.audit(),
            await journal.pending(limit=100, max_bytes=10**6),
            await journal.dead_letters(limit=10),
            await journal.outgoing("antiga", limit=10),
        )

    audit, pending, letters, outgoing = run_on(path, look)
    assert audit == []
    assert [entry.payload["conteudo"] for entry in pending] == [f"antiga {n}" for n in range(1, 30)]
    assert [letter.payload["conteudo"] for letter in letters] == ["antiga 30"]
    assert [command.content["text"] for command in outgoing] == ["resposta antiga"]


def test_this_release_stores_and_sends_what_the_first_one_had_queued(
    runtime: Runtime, simulator: Simulator
) -> None:
    phone = Phone(runtime, simulator, "antiga", customers=1)
    earlier_file(runtime.data_dir / "journal.sqlite", 1, str(phone.owner), phone.customers[0])
    runtime.start()
    until(lambda: len(phone.rows()) == 29, what="what was pending is stored")
    assert [text for _, _, text in phone.rows()] == [f"antiga {n}" for n in range(1, 30)]
    phone.scan()
    until(
        lambda: (
            [m["text"] for m in simulator.get(f"/contacts/{phone.customers[0]}/inbox")]
            == ["resposta antiga"]
        ),
        what="the queued answer is shown",
    )
