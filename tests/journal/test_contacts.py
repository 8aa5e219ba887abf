"""The names of customers: learned durably, joined where messages were stored under another."""

from __future__ import annotations

import pytest
from journal_support import connection, everything_pending

from runtime.journal import Checked

NUMBER, WITHOUT = "5511987654321", "551187654321"
LID = "123456@lid"
CONN = connection()


@pytest.fixture
async def registered(journal):
    await journal.register(CONN)
    return journal


async def joined(journal) -> list[tuple[str, str]]:
    entries = await everything_pending(journal)
    payloads = [entry.payload for entry in entries if entry.kind == "contact"]
    return [(payload["apelido"], payload["numero_cliente"]) for payload in payloads]


async def test_whom_we_meet_is_known_by_number_lid_and_other_spelling(registered):
    await registered.meet(CONN, [(WITHOUT, LID)])
    for name in (WITHOUT, NUMBER, LID):
        assert (await registered.alias(CONN.id, name)).number == WITHOUT
    assert await registered.alias("other", NUMBER) is None
    assert await joined(registered) == []


async def test_what_was_stored_under_a_lid_is_joined_once_when_the_number_is_known(registered):
    await registered.meet(CONN, [(None, LID)])
    assert (await registered.alias(CONN.id, LID)).number is None
    await registered.meet(CONN, [(NUMBER, LID)])
    await registered.meet(CONN, [(NUMBER, LID)])
    assert await joined(registered) == [(LID, NUMBER)]


async def test_what_was_sent_to_the_other_spelling_is_joined(registered):
    await registered.use_alias(CONN.id, NUMBER)
    await registered.remember_checked(CONN, [Checked(NUMBER, WITHOUT, LID)])
    assert await joined(registered) == [(NUMBER, WITHOUT)]
    assert (await registered.alias(CONN.id, NUMBER)).number == WITHOUT


async def test_who_is_absent_may_come_later(registered):
    await registered.remember_checked(CONN, [Checked(NUMBER, None, None)])
    absent = await registered.alias(CONN.id, NUMBER)
    assert (absent.absent, absent.number) == (True, None)
    await registered.meet(CONN, [(NUMBER, None)])
    present = await registered.alias(CONN.id, NUMBER)
    assert (present.absent, present.number) == (False, NUMBER)


async def test_a_known_name_is_not_forgotten_by_its_use(registered):
    await registered.meet(CONN, [(NUMBER, LID)])
    await registered.use_alias(CONN.id, LID)
    await registered.meet(CONN, [(None, LID)])
    assert (await registered.alias(CONN.id, LID)).number == NUMBER
    assert await joined(registered) == []


async def test_a_deleted_connection_takes_its_names_with_it(registered):
    await registered.meet(CONN, [(NUMBER, LID)])
    await registered.forget(CONN.id)
    assert await registered.alias(CONN.id, NUMBER) is None


async def test_options_are_remembered(registered):
    changed = await registered.update_connection(CONN.id, options={"storeGroups": True})
    assert changed.options == {"storeGroups": True}
    assert (await registered.connection(CONN.id)).options == {"storeGroups": True}
