"""The log of events: written with what it tells, in order, readable from any place on."""

from __future__ import annotations

import trio
from journal_support import NOON, OWNER, command, connection, message, running, until

from runtime.events import Event, EventName
from runtime.journal import CommandState, NewEntry, Stored
from runtime.journal import events as log
from runtime.journal.database import open_database

RECEIVED = EventName.MESSAGE_RECEIVED
PLACE = "22222222-2222-4222-8222-222222222222"


def event(number: int, **more) -> Event:
    return Event(EventName.HEALTH_CHECK, {"n": number}, **more)


def numbers(events) -> list[int]:
    return [one.data["n"] for one in events]


async def test_the_log_is_read_from_any_event_on(journal):
    await journal.record([event(1), event(2)])
    await journal.record([event(3, connection_id="loja", owner_id=OWNER, timestamp=NOON)])
    everything = await journal.events("", limit=10)
    assert numbers(everything) == [1, 2, 3]
    assert numbers(await journal.events(everything[0].id, limit=1)) == [2]
    assert await journal.events(everything[-1].id, limit=10) == []
    assert everything[2].as_json() == {
        "event": "healthCheck",
        "id": everything[2].id,
        "timestamp": NOON.isoformat(),
        "connectionId": "loja",
        "ownerId": OWNER,
        "data": {"n": 3},
    }


async def test_ids_sort_as_the_log_even_when_the_clock_goes_back(tmp_path):
    database = open_database(tmp_path / "journal.sqlite")
    for number, now in enumerate((5_000_000, 9_000_000, 4_000_000, 9_000_500)):
        log.append(database, [event(number)], now)
    events = log.read(database, "", 10)
    assert numbers(events) == [0, 1, 2, 3]
    ids = [one.id for one in events]
    assert ids == sorted(ids)
    assert all(len(one) == 32 for one in ids)
    database.close()


async def test_an_id_of_an_earlier_file_begins_with_what_is_newer(tmp_path):
    database = open_database(tmp_path / "journal.sqlite")
    log.append(database, [event(1)], 9_000_000)
    of_a_longer_log = f"{8_000:012x}{500:020x}"
    assert numbers(log.read(database, of_a_longer_log, 10)) == [1]
    database.close()


async def test_the_last_ones_are_found(journal):
    await journal.record([event(number) for number in range(5)])
    assert numbers(await journal.events(await journal.before_last_events(2), limit=10)) == [3, 4]
    assert await journal.before_last_events(5) == ""
    last = await journal.before_last_events(0)
    assert last == (await journal.events("", limit=10))[-1].id


async def test_a_stored_message_is_told_once(journal):
    (accepted,) = await journal.accept([message("a")])
    told = {accepted.seq: Event(RECEIVED, {"messageId": "a"}, "conn", OWNER)}
    outcome = [Stored(accepted.seq, "inserted", PLACE)]
    await journal.settle(outcome, told=told)
    await journal.settle(outcome, told=told)
    assert [one.event for one in await journal.events("", limit=10)] == [RECEIVED]


async def test_every_step_of_an_outgoing_message_is_told_with_it(journal):
    await journal.register(connection())
    await journal.submit(command("3EB0"), NewEntry("message", "k", {"kind": "message"}))
    for state in (CommandState.SENT, CommandState.SENT, CommandState.READ):
        await journal.mark("conn", "3EB0", state, at=NOON)
    told = await journal.events("", limit=10)
    assert [(one.event, one.data["status"]) for one in told] == [
        (EventName.MESSAGE_SENT, "sent"),
        (EventName.MESSAGE_STATUS, "read"),
    ]
    assert told[0].data["id"] == "row-3EB0"
    assert told[0].owner_id == OWNER
    assert told[0].chat == told[0].data["to"] == "5511987654321"


async def test_what_a_forgotten_connection_had_queued_is_told_as_failed(journal):
    await journal.register(connection())
    await journal.submit(command("3EB0"), NewEntry("message", "k", {"kind": "message"}))
    await journal.forget("conn")
    (told,) = await journal.events("", limit=10)
    assert (told.data["status"], told.data["error"]) == ("failed", "connection_deleted")
    assert told.owner_id == OWNER


async def test_a_dead_letter_is_told_without_its_content(journal):
    (accepted,) = await journal.accept([message("a", "segredo")])
    assert await journal.bury(accepted.seq, code="23514", reason="check")
    assert not await journal.bury(accepted.seq, code="23514", reason="check")
    (told,) = await journal.events("", limit=10)
    assert told.event is EventName.DEAD_LETTER
    assert (told.data["seq"], told.data["code"]) == (accepted.seq, "23514")
    assert "segredo" not in str(told)


async def test_the_log_outlives_the_process(tmp_path):
    path = tmp_path / "journal.sqlite"
    async with running(path) as journal:
        await journal.record([event(1)])
    async with running(path) as journal:
        assert numbers(await journal.events("", limit=10)) == [1]


async def test_everyone_who_waits_for_news_is_woken(journal):
    woken = []

    async def wait(news: trio.Event) -> None:
        await news.wait()
        woken.append(True)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(wait, journal.news)
        await journal.record([event(1)])
        await until(lambda: len(woken) == 3)


async def test_old_events_go_and_the_newest_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "MAX_EVENTS", 3)
    database = open_database(tmp_path / "journal.sqlite")
    for number in range(6):
        log.append(database, [event(number)], 1_000_000 * (number + 1))
    assert log.prune(database, before=2_000_000, limit=100) == 3
    assert numbers(log.read(database, "", 10)) == [3, 4, 5]
    assert log.prune(database, before=5_500_000, limit=1) == 1
    assert log.prune(database, before=5_500_000, limit=100) == 1
    assert numbers(log.read(database, "", 10)) == [5]
    database.close()


async def test_what_happened_by_a_stored_message_is_told_after_it_and_once(journal):
    (accepted,) = await journal.accept([message("a")])
    changed = Event(EventName.MESSAGE_CHANGED, {"messageId": "b"}, "conn", OWNER)
    told = {accepted.seq: Event(RECEIVED, {"messageId": "a"}, "conn", OWNER)}
    outcome = [Stored(accepted.seq, "inserted", PLACE)]
    for _ in range(2):
        await journal.settle(outcome, told=told, then={accepted.seq: [changed]})
    happened = [one.event for one in await journal.events("", limit=10)]
    assert happened == [RECEIVED, EventName.MESSAGE_CHANGED]
