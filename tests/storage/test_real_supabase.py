"""Journal, writer and probe against a real PostgREST and PostgreSQL."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import trio
from storage_support import Context

from runtime.errors import Invalid, NotFound
from runtime.events import EventBus, EventName
from runtime.identity import message_key, row_id
from runtime.journal import Journal, NewEntry
from runtime.local_stack import LocalStack
from runtime.storage import Probe, Supabase, Writer
from supervisors import open_supervisor

REPOSITORY = Path(__file__).parents[2]
NOW = datetime.now(UTC).replace(microsecond=0)


def entry(owner: UUID, number: int, **changes) -> NewEntry:
    key = message_key(str(owner), "conn", chat="1@lid", sender="1@lid", message_id=f"WA{number}")
    payload = {
        "kind": "message",
        "id": str(row_id(key)),
        "owner_id": str(owner),
        "connection_id": "conn",
        "numero_cliente": "5511987654321",
        "nome_cliente": "Dona Maria",
        "conteudo": f"mensagem {number} 😀",
        "tipo": "TEXTO",
        "remetente": "CLIENTE",
        "timestamp": NOW.isoformat(),
        "whatsapp_id": f"WA{number}",
    }
    payload.update(changes)
    return NewEntry("message", key, payload, order_key="conn/1", event_data={"n": number})


async def drained(journal: Journal):
    with trio.fail_after(30):
        while True:
            figures = await journal.statistics()
            if not figures.pending:
                return figures
            await trio.sleep(0.02)


async def test_everything_at_once_on_real_parts():
    """Messages arrive in order, poison of every kind alone is set aside, statuses and sessions
    follow, repetitions change nothing, and an outage of the whole stack is survived."""
    directory = Path(tempfile.mkdtemp(prefix="zapvisor-storage-"))
    stack = LocalStack(
        directory / "stack", REPOSITORY / "node_modules", REPOSITORY / "supabase/migrations", 0
    )
    events = EventBus()
    try:
        async with (
            Supabase(stack.url, stack.service_role_key) as supabase,
            events.subscribe(10_000) as subscription,
            trio.open_nursery() as nursery,
        ):
            journal = Journal(directory / "journal.sqlite")
            probe = Probe(supabase, events)
            writer = Writer(journal, supabase, probe, events)
            context = Context()
            nursery.start_soon(journal.run, context)
            await context.is_ready.wait()
            nursery.start_soon(probe.run, Context())
            nursery.start_soon(writer.run, Context())

            # Accepted while there is no Supabase at all.
            owner = uuid4()
            async with open_supervisor(stack.supervisor(), name="stack"):
                owner = await stack.create_owner("dona@example.test")
                await _messages_arrive(journal, supabase, owner, subscription)
                await _poison_is_set_aside(journal, supabase, owner)
                await _statuses_and_sessions(journal, supabase, owner)
                await _callers_get_our_errors(supabase, owner)
                assert probe.healthy
            await journal.accept([entry(owner, number) for number in range(1000, 1400)])
            with trio.fail_after(30):
                while probe.healthy:
                    probe.nudge()
                    await trio.sleep(0.05)
            assert writer.state.name in ("retrying", "offline")
            async with open_supervisor(stack.supervisor(), name="stack"):
                figures = await drained(journal)
                assert probe.healthy
                assert figures.accepted == figures.stored + figures.dead
                assert await journal.audit() == []
                nursery.cancel_scope.cancel()
    finally:
        stack.erase()
        shutil.rmtree(directory)


async def _messages_arrive(journal, supabase, owner, subscription):
    await journal.accept([entry(owner, number) for number in range(600)])
    await journal.accept([entry(owner, number) for number in range(600)])
    await drained(journal)
    (atendimento,) = await supabase.active_atendimentos(owner)
    assert atendimento["nome_cliente"] == "Dona Maria"
    rows = await supabase.messages(UUID(atendimento["id"]), owner, 1000, 0)
    assert [row["whatsapp_id"] for row in rows] == [f"WA{number}" for number in range(600)]
    assert rows[1]["conteudo"] == "mensagem 1 😀"
    assert await supabase.messages(UUID(atendimento["id"]), owner, 2, 599) == rows[599:]
    seen = []
    with trio.fail_after(5):
        while len(seen) < 600:
            event = await anext(subscription)
            if event.event is EventName.MESSAGE_RECEIVED:
                assert event.data["atendimentoId"] == atendimento["id"]
                seen.append(event.data["n"])
    assert seen == list(range(600))


async def _poison_is_set_aside(journal, supabase, owner):
    poison = {
        "22P02": {"owner_id": "not a uuid"},
        "23503": {"owner_id": str(uuid4())},
        "23514": {"tipo": "TELEGRAMA"},
        "22023": {"kind": "telegram"},
        "22007": {"timestamp": "ontem"},
        "23502": {"conteudo": None},
    }
    batch = []
    for number, changes in enumerate(poison.values()):
        batch += [entry(owner, 700 + 2 * number), entry(owner, 701 + 2 * number, **changes)]
    batch.append(entry(owner, 800, conteudo="nul \0 e \ud800 sozinho"))
    await journal.accept(batch)
    await drained(journal)
    letters = await journal.dead_letters(limit=100)
    assert [letter.code for letter in letters] == list(poison)
    (atendimento,) = await supabase.active_atendimentos(owner)
    rows = await supabase.messages(UUID(atendimento["id"]), owner, 1000, 600)
    assert [row["whatsapp_id"] for row in rows] == [f"WA{n}" for n in (*range(700, 712, 2), 800)]
    assert rows[-1]["conteudo"] == "nul \ufffd e \ufffd sozinho"
    original = json.loads(rows[-1]["dados"]["original"])
    assert original == {"conteudo": "nul \0 e \ud800 sozinho"}
    await journal.retry(letters[0].seq, dict(entry(owner, 701).payload))
    await drained(journal)
    assert len(await supabase.messages(UUID(atendimento["id"]), owner, 1000, 600)) == 8


async def _statuses_and_sessions(journal, supabase, owner):
    identifier = entry(owner, 5).payload["id"]
    at = NOW.isoformat()
    session = {
        "kind": "session",
        "connection_id": "conn",
        "owner_id": str(owner),
        "session_name": "Loja",
        "status": "connected",
        "at": at,
    }
    status = {"kind": "status", "id": identifier, "status": "read", "error": None, "at": at}
    await journal.accept([NewEntry("status", "s", status), NewEntry("session", None, session)])
    await drained(journal)
    (row,) = await supabase.sessions(owner)
    assert (row["connection_id"], row["status"]) == ("conn", "connected")
    (atendimento,) = await supabase.active_atendimentos(owner)
    rows = await supabase.messages(UUID(atendimento["id"]), owner, 1000, 0)
    assert next(row for row in rows if row["id"] == identifier)["status"] == "read"


async def _callers_get_our_errors(supabase, owner):
    await supabase.ping()
    with pytest.raises(NotFound) as not_found:
        await supabase.messages(uuid4(), owner, 10, 0)
    assert not_found.value.code == "atendimento_not_found"
    (atendimento,) = await supabase.active_atendimentos(owner)
    with pytest.raises(NotFound):
        await supabase.messages(UUID(atendimento["id"]), uuid4(), 10, 0)
    with pytest.raises(Invalid) as invalid:
        await supabase.ingest_checked({"seq": 0, **entry(uuid4(), 1).payload})
    assert invalid.value.details["code"] == "23503"
    assert supabase.statistics().p50_ms > 0
