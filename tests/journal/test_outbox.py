"""Commands: durable with their row, sent once, their state only ever forward."""

from __future__ import annotations

from datetime import timedelta
from itertools import product

import pytest
from journal_support import NOON, OWNER, command, connection, everything_pending, message

from runtime.errors import Conflict, NotFound
from runtime.identity import message_key, row_id
from runtime.journal import CommandState, NewEntry, Stored
from runtime.journal.outbox import FORWARD


@pytest.fixture
async def registered(journal):
    await journal.register(connection())
    return journal


async def statuses(journal) -> list[dict]:
    entries = await everything_pending(journal)
    return [entry.payload for entry in entries if entry.kind == "status"]


async def test_a_command_and_its_row_are_stored_together(registered):
    submitted = await registered.submit(command("m1", key="i"), message("row"))
    assert not submitted.existing
    stored = submitted.command
    assert (stored.state, stored.error, stored.sent_at) == (CommandState.QUEUED, None, None)
    assert stored.content == {"text": "olá"}
    assert stored.expires_at == NOON + timedelta(days=1)
    assert await registered.outgoing("conn", limit=10) == [stored]
    assert await registered.command("m1", "conn") == stored
    assert [entry.key for entry in await everything_pending(registered)] == ["row"]


async def test_the_same_idempotency_key_gives_the_first_command_again(registered):
    first = await registered.submit(command("m1", key="i"), message("r1"))
    again = await registered.submit(command("m2", key="i"), message("r2"))
    assert again.existing
    assert again.command == first.command
    with pytest.raises(Conflict) as caught:
        await registered.submit(command("m3", key="i", request_hash="other"), message("r3"))
    assert caught.value.code == "idempotency_conflict"
    assert len(await everything_pending(registered)) == 1


async def test_commands_without_a_key_are_all_sent(registered):
    await registered.submit(command("m1"), message("r1"))
    await registered.submit(command("m2"), message("r2"))
    outgoing = await registered.outgoing("conn", limit=10)
    assert [one.message_id for one in outgoing] == ["m1", "m2"]
    assert len(await registered.outgoing("conn", limit=1)) == 1
    with pytest.raises(Conflict) as caught:
        await registered.submit(command("m1"), message("r3"))
    assert caught.value.code == "message_exists"


async def test_a_connection_that_is_not_registered_sends_nothing(journal):
    with pytest.raises(NotFound):
        await journal.submit(command("m1"), message("r1"))
    assert await everything_pending(journal) == []


async def test_states_move_forward_with_a_status_for_the_row(registered):
    await registered.submit(command("m1"), message("r1"))
    later = NOON + timedelta(seconds=5)
    assert await registered.mark("conn", "m1", CommandState.SENT, at=NOON)
    assert await registered.mark("conn", "m1", CommandState.READ, at=later)
    assert not await registered.mark("conn", "m1", CommandState.DELIVERED, at=later)
    assert not await registered.mark("conn", "m1", CommandState.READ, at=later)
    stored = await registered.command("m1", "conn")
    assert (stored.state, stored.sent_at) == (CommandState.READ, NOON)
    assert await registered.outgoing("conn", limit=10) == []
    first, second = await statuses(registered)
    assert first == {
        "kind": "status",
        "id": "row-m1",
        "owner_id": OWNER,
        "connection_id": "conn",
        "status": "sent",
        "error": None,
        "at": "2026-01-31T12:00:00.000000+00:00",
    }
    assert second["status"] == "read"


@pytest.mark.parametrize(("before", "after"), list(product(CommandState, repeat=2)))
async def test_only_steps_forward_change_anything(registered, before, after):
    await registered.submit(command("m"), message("r"))
    if before is not CommandState.QUEUED:
        assert await registered.mark("conn", "m", before, at=NOON)
    changed = await registered.mark("conn", "m", after, at=NOON)
    assert changed == (after in FORWARD[before])
    assert (await registered.command("m", "conn")).state == (after if changed else before)


def test_every_state_but_played_has_a_way_on_and_none_has_a_way_back():
    for before, after in product(CommandState, repeat=2):
        if before is after or after in FORWARD[before]:
            assert before not in FORWARD[after]
    assert [state for state in CommandState if not FORWARD[state]] == [CommandState.PLAYED]


async def test_an_unknown_outcome_is_not_told_to_the_table(registered):
    await registered.submit(command("m1"), message("r1"))
    assert await registered.mark("conn", "m1", CommandState.UNKNOWN, at=NOON)
    assert await statuses(registered) == []
    assert await registered.mark("conn", "m1", CommandState.DELIVERED, at=NOON)
    assert [status["status"] for status in await statuses(registered)] == ["delivered"]


async def test_a_failure_keeps_its_reason(registered):
    await registered.submit(command("m1"), message("r1"))
    await registered.mark("conn", "m1", CommandState.FAILED, error="not_on_whatsapp", at=NOON)
    assert (await registered.command("m1", "conn")).error == "not_on_whatsapp"
    (status,) = await statuses(registered)
    assert (status["status"], status["error"]) == ("failed", "not_on_whatsapp")


async def test_the_status_of_a_message_sent_from_the_phone_goes_to_its_row(registered):
    assert await registered.mark("conn", "PHONE1", CommandState.READ, at=NOON)
    assert not await registered.mark("conn", "PHONE1", CommandState.READ, at=NOON)
    assert not await registered.mark("conn", "PHONE1", CommandState.DELIVERED, at=NOON)
    assert await registered.mark("conn", "PHONE1", CommandState.PLAYED, at=NOON)
    key = message_key(OWNER, "conn", chat="x@lid", sender=None, message_id="PHONE1")
    assert [status["id"] for status in await statuses(registered)] == [str(row_id(key))] * 2
    assert not await registered.mark("unknown", "PHONE1", CommandState.READ, at=NOON)


async def test_forgetting_a_connection_fails_what_it_had_queued_and_keeps_the_rest(registered):
    await registered.submit(command("m1"), message("r1"))
    await registered.submit(command("m2"), message("r2"))
    await registered.mark("conn", "m1", CommandState.SENT, at=NOON)
    await registered.forget("conn")
    await registered.forget("conn")
    assert await registered.connections() == []
    assert (await registered.command("m1", "conn")).state is CommandState.SENT
    failed = await registered.command("m2", "conn")
    assert (failed.state, failed.error) == (CommandState.FAILED, "connection_deleted")
    entries = await everything_pending(registered)
    assert [entry.kind for entry in entries] == ["message", "message", "status", "status"]


async def test_commands_are_counted_by_state_and_finished_ones_pruned(registered):
    for number in range(3):
        await registered.submit(command(f"m{number}"), message(f"r{number}"))
    await registered.mark("conn", "m0", CommandState.SENT, at=NOON)
    assert (await registered.statistics()).outbox == {"queued": 2, "sent": 1}
    await registered.prune(timedelta(0))
    assert (await registered.statistics()).outbox == {"queued": 2}


# --- registry


async def test_connections_are_remembered_and_change(journal):
    await journal.register(connection("b"))
    await journal.register(connection("a"))
    with pytest.raises(Conflict) as caught:
        await journal.register(connection("a"))
    assert caught.value.code == "connection_exists"
    assert [one.id for one in await journal.connections()] == ["a", "b"]
    changed = await journal.update_connection("a", phone_number="55", last_seen=NOON)
    assert (changed.phone_number, changed.last_seen, changed.created_at) == ("55", NOON, NOON)
    assert await journal.connection("a") == changed
    assert await journal.update_connection("a", last_seen=None) == await journal.connection("a")
    assert await journal.connection("c") is None
    with pytest.raises(NotFound):
        await journal.update_connection("c", name="x")
    with pytest.raises(TypeError):
        await journal.update_connection("a", owner_id="other")
    with pytest.raises(TypeError):
        await journal.update_connection("a", **{"name = 'x' --": 1})


async def test_a_settled_status_is_not_accepted_again(registered):
    await registered.mark("conn", "PHONE1", CommandState.READ, at=NOON)
    (entry,) = await everything_pending(registered)
    await registered.settle([Stored(entry.seq, "updated")])
    assert not await registered.mark("conn", "PHONE1", CommandState.READ, at=NOON)
    session = NewEntry("session", None, {"kind": "session"})
    assert not (await registered.accept([session]))[0].duplicate
