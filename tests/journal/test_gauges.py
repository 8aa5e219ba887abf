"""What operators are told to wait in the journal besides entries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from journal_support import OWNER, command, connection, message

from runtime.events import Event, EventName
from runtime.journal import CommandState, Endpoint, NewMedia, codec, deliveries, endpoints, gauges

AGO = timedelta(seconds=100)


async def read(journal):
    return await journal.transact(gauges.read)


async def test_an_empty_journal_has_nothing_waiting(journal):
    found = await read(journal)

    assert (found.outbox_oldest, found.media_oldest, found.delivery_oldest) == (0, 0, 0)
    assert (dict(found.media_files), dict(found.media_jobs)) == ({}, {})
    assert found.deliveries == {"pending": 0, "dead": 0}
    assert found.webhooks == {"total": 0, "failing": 0, "disabled": 0}


async def test_the_oldest_queued_message_counts_not_one_that_is_sent(journal):
    now = datetime.now(UTC)
    await journal.register(connection())
    for name, age in (("sent", 3 * AGO), ("first", AGO), ("second", AGO / 2)):
        await journal.submit(replace(command(name), created_at=now - age), message(name))
    await journal.mark("conn", "sent", CommandState.SENT, error=None, at=now)

    assert 100 <= (await read(journal)).outbox_oldest < 130


async def test_files_are_counted_by_state_and_their_jobs_by_name(journal):
    file = NewMedia(
        row_id="row",
        owner_id=OWNER,
        connection_id="conn",
        message_id="m",
        incoming=False,
        kind="image",
        mimetype="image/png",
        file_name=None,
        size=1,
        sha256=None,
        source={},
        expires_at=datetime.now(UTC) + AGO,
    )
    await journal.accept([replace(message("m"), media=file)])

    found = await read(journal)

    assert dict(found.media_files) == {"pending": 1}
    assert dict(found.media_jobs) == {"store": 1, "upload": 1}
    assert 0 <= found.media_oldest < 30


async def test_deliveries_wait_or_are_given_up(journal):
    now = codec.micros(datetime.now(UTC))
    endpoint = Endpoint(
        id="hook",
        url="https://example.com",
        owner_id=None,
        connection_id=None,
        events=(),
        description=None,
        secret="s",
        enabled=True,
        disabled_code=None,
        failing_since=None,
        last_success_at=None,
        last_error=None,
        created_at=datetime.now(UTC),
    )
    told = Event(EventName.CONNECTED, {})

    def write(database):
        endpoints.add(database, endpoint, 10, None)
        for number, age in enumerate((300, 100)):
            deliveries.enqueue(database, [endpoint], told, number, now - age * 1_000_000)
        database.execute("UPDATE webhook_delivery SET state = 'dead', due = NULL WHERE seq = 1")

    await journal.transact(write)
    found = await read(journal)

    assert found.deliveries == {"pending": 1, "dead": 1}
    assert 100 <= found.delivery_oldest < 130
    assert found.webhooks["total"] == 1
