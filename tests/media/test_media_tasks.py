"""Files on their way in: fetched, stored, told; whatever goes wrong meanwhile."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import trio
import trio.testing
from media_support import LONG_AGO, OWNER, PNG, SHOP, arrived, open_scene

from runtime.errors import Conflict, Invalid, NotFound
from runtime.events import EventName
from runtime.journal import Journal
from runtime.media.tasks import CORRUPT_ATTEMPTS
from runtime.media.worker import (
    AT_ONCE,
    AT_ONCE_PER_CONNECTION,
    AT_ONCE_PER_OWNER,
    MISTAKES,
    MediaWorker,
    delay_before,
)
from runtime.whatsapp.link import LinkLost, RequestFailed
from tests.child_context import Context


def failure(code, *, retryable=True):
    return RequestFailed(code, "x", retryable=retryable)


async def test_a_file_is_fetched_stored_and_told(scene):
    row = await scene.arrive(mimetype="image/jpeg", fileName="../a.jpg")
    async with scene.working():
        await scene.until_state(row, "available")
    assert scene.store.path(OWNER, row).read_bytes() == PNG
    assert list(scene.spool.directory.iterdir()) == []
    [told] = scene.rows.told
    assert told["midia"]["estado"] == "available"
    assert (told["tipo"], told["nome"], told["tamanho"]) == ("image/png", "a.jpg", len(PNG))
    [(connection, action, body)] = scene.bridge.calls
    assert (connection, action, body["kind"]) == ("loja", "download", "image")
    assert body["media"] == {"mediaKey": "a2V5", "directPath": "/v/x", "fileLength": 500}
    assert body["key"]["remoteJid"] == "1@lid"


@pytest.mark.parametrize(
    "error",
    [
        LinkLost("gone"),
        failure("media_host"),
        failure("media_interrupted"),
        failure("reupload_timeout"),
        failure("storage"),
    ],
    ids=repr,
)
async def test_what_passes_is_tried_again(scene, error):
    scene.bridge.script = [error, error, error, PNG]
    row = await scene.arrive()
    async with scene.working():
        await scene.until_state(row, "available")
    assert len(scene.bridge.calls) == 4
    assert (await scene.media(row)).code is None


async def test_what_does_not_pass_fails_visibly_until_somebody_tries_again(scene):
    scene.bridge.script = [failure("media_gone", retryable=False), PNG]
    row = await scene.arrive()
    async with scene.working():
        await scene.until_state(row, "failed")
        assert scene.rows.told[-1]["midia"]["codigo"] == "media_gone"
        file = await scene.desk.find(uuid.UUID(row), None)
        with pytest.raises(Conflict) as refusal:
            file.check_available()
        assert refusal.value.code == "media_failed"
        assert (await scene.desk.retry(uuid.UUID(row)))["state"] == "pending"
        await scene.until_state(row, "available")
    assert scene.rows.states(row) == ["failed", "pending", "available"]
    with pytest.raises(Conflict):
        await scene.desk.retry(uuid.UUID(row))


@pytest.mark.parametrize("owner", [None, "22222222-2222-4222-8222-222222222222"])
async def test_nothing_is_fetched_again_through_a_connection_that_is_anothers_now(scene, owner):
    scene.bridge.script = [failure("media_gone", retryable=False)]
    row = await scene.arrive()
    async with scene.working():
        await scene.until_state(row, "failed")
        await scene.journal.forget("loja")
        if owner is not None:
            await scene.journal.register(replace(SHOP, owner_id=owner))
        with pytest.raises(NotFound) as refusal:
            await scene.desk.retry(uuid.UUID(row))
    assert refusal.value.code == "connection_not_found"
    assert len(scene.bridge.calls) == 1


async def test_a_file_that_is_never_what_it_should_be_fails(scene):
    scene.bridge.script = [failure("media_corrupt")]
    row = await scene.arrive()
    async with scene.working():
        await scene.until_state(row, "failed")
    assert len(scene.bridge.calls) == CORRUPT_ATTEMPTS


async def test_an_old_message_gets_one_attempt(scene):
    scene.bridge.script = [failure("media_host")]
    row = await scene.arrive(sent_at=LONG_AGO)
    async with scene.working():
        await scene.until_state(row, "failed")
    assert len(scene.bridge.calls) == 1
    assert (await scene.media(row)).code == "media_host"


async def test_the_address_that_the_phone_gave_is_kept_for_the_next_attempt(scene):
    row = await scene.arrive()

    async def renewed(connection_id, action, body, seconds):
        answer = await type(scene.bridge).media(scene.bridge, connection_id, action, body, seconds)
        return {**answer, "directPath": "/v/new"}

    scene.tasks._bridge = type("Renewed", (), {"media": staticmethod(renewed)})()
    async with scene.working():
        await scene.until_state(row, "available")
    assert (await scene.media(row)).source["media"]["directPath"] == "/v/new"


async def test_the_file_is_there_for_readers_while_supabase_is_away(scene):
    scene.rows.away = True
    row = await scene.arrive()
    async with scene.working():

        async def available():
            return await scene.state(row) == "available"

        await scene.until(available, "the file is available")
        file = await scene.desk.find(uuid.UUID(row), uuid.UUID(OWNER))
        file.check_available()
        async with scene.desk.open(file) as opened:
            assert b"".join([chunk async for chunk in opened.chunks]) == PNG
        assert await scene.tasks_left() == {row}
        scene.rows.away = False
        await scene.until_state(row, "available")
    assert scene.rows.states(row) == ["available"]
    assert len(scene.bridge.calls) == 1


async def test_a_row_that_is_not_there_yet_is_told_later(scene):
    scene.rows.absent = 3
    row = await scene.arrive()
    async with scene.working():
        await scene.until_state(row, "available")
    assert scene.rows.states(row) == ["available"]


async def test_a_row_that_refuses_ends_the_task(scene):
    async def refuse(item):
        raise Invalid("não", code="refused_by_supabase")

    scene.rows.tell = refuse
    row = await scene.arrive()
    async with scene.working():
        await scene.until_state(row, "available")


async def test_a_message_that_comes_again_has_one_file(scene):
    row = str(uuid.uuid4())
    entry = arrived(row)
    await scene.journal.accept([entry])
    await scene.journal.accept([entry])
    async with scene.working():
        await scene.until_state(row, "available")
    await scene.journal.accept([entry])
    assert await scene.tasks_left() == set()
    assert len(scene.bridge.calls) == 1


async def test_a_mistake_of_ours_stops_one_file_only(scene):
    class Mistaken:
        async def media(self, connection_id, action, body, seconds):
            if body["file"] == bad:
                raise ZeroDivisionError
            return await scene.bridge.media(connection_id, action, body, seconds)

    bad = await scene.arrive()
    scene.tasks._bridge = Mistaken()
    good = await scene.arrive()
    async with scene.working():
        await scene.until_state(good, "available")
        await scene.until_state(bad, "failed")
    assert (await scene.media(bad)).code == "internal_error"
    assert MISTAKES > 1


async def test_one_owners_files_leave_room_for_anothers(scene):
    """Also where all that is under way hangs, whatever the number of its connections."""
    scene.bridge.gate = trio.Event()
    for number in range(4):
        for _ in range(AT_ONCE):
            await scene.arrive(connection=f"loja{number}")
    async with scene.working():

        async def full():
            return len(scene.bridge.under_way) == AT_ONCE_PER_OWNER

        await scene.until(full, "as many as may run are running")
        other = "22222222-2222-4222-8222-222222222222"
        await scene.arrive(connection="alheia", owner=other)

        async def served():
            return "alheia" in scene.bridge.under_way

        await scene.until(served, "another owner's begins at once")
        scene.bridge.gate.set()


async def test_few_at_once_and_few_for_one_connection(scene):
    scene.bridge.gate = trio.Event()
    rows = [await scene.arrive() for _ in range(AT_ONCE + 3)]
    rows += [await scene.arrive(connection="outra") for _ in range(AT_ONCE + 3)]
    async with scene.working():

        async def busy():
            return len(scene.bridge.under_way) == AT_ONCE_PER_OWNER

        await scene.until(busy, "as many as may run are running")
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert scene.bridge.under_way.count("loja") == AT_ONCE_PER_CONNECTION
        scene.bridge.gate.set()
        for row in rows:
            await scene.until(lambda row=row: available(scene, row), "all are available")
    assert scene.bridge.most_at_once == AT_ONCE_PER_OWNER
    assert scene.bridge.most_per_connection == AT_ONCE_PER_CONNECTION


async def available(scene, row):
    return await scene.state(row) == "available"


async def test_what_waits_for_a_connection_begins_when_it_opens(scene):
    scene.bridge.script = [failure("not_connected"), PNG]
    row = await scene.arrive()
    async with scene.working():

        async def waits():
            return (await scene.media(row)).code == "not_connected"

        await scene.until(waits, "it waits")
        scene.events.publish(EventName.CONNECTED, {}, connection_id="loja")
        await scene.until_state(row, "available")


async def test_the_next_process_goes_on_where_the_last_one_ended(tmp_path):
    async with open_scene(tmp_path) as first:
        first.bridge.gate = trio.Event()
        row = await first.arrive()
        async with first.working():

            async def fetching():
                return first.bridge.under_way == ["loja"]

            await first.until(fetching, "the download is under way")
    async with open_scene(tmp_path) as second:
        # As if the file had come completely, and nobody had heard of it.
        second.spool.path(row).parent.mkdir(parents=True, exist_ok=True)
        second.spool.path(row).write_bytes(PNG)
        async with second.working():
            await second.until_state(row, "available")
        assert second.bridge.calls == []
        assert second.store.path(OWNER, row).read_bytes() == PNG


async def test_forgotten_files_are_removed_and_wanted_ones_are_not(scene):
    scene.bridge.script = [failure("not_connected")]
    row = await scene.arrive()
    await scene.spool.prepare(())
    old = time.time() - 7200
    for name in (row, str(uuid.uuid4()), "x.part"):
        path = scene.spool.directory / name
        path.write_bytes(PNG)
        os.utime(path, (old, old))
    fresh = scene.spool.directory / str(uuid.uuid4())
    fresh.write_bytes(b"just received")
    await scene.spool.prepare(await scene.tasks_left())
    assert {path.name for path in scene.spool.directory.iterdir()} == {row, fresh.name}


async def test_old_files_are_forgotten_once_nothing_is_left_to_do(scene):
    row = await scene.arrive()
    scene.bridge.script = [failure("not_connected")]
    waiting = await scene.arrive()
    scene.bridge.script = [PNG]
    async with scene.working():
        await scene.until(lambda: available(scene, row), "available")
        await scene.until_state(waiting, "available")
    await scene.journal.prune(keep=datetime.now(UTC) - datetime.now(UTC))
    assert await scene.media(row) is None


def test_delays_grow_to_their_cap(monkeypatch):
    from runtime.media import worker

    monkeypatch.setattr(worker, "FIRST_DELAY", 1.0)
    monkeypatch.setattr(worker, "DEFAULT_CAP", 600.0)
    monkeypatch.setattr(worker, "WAITING_CAPS", {"not_connected": 15.0})
    for attempts in range(40):
        assert 0.5 <= delay_before("media_host", attempts) <= 600
        assert delay_before("not_connected", attempts) <= 15
    assert delay_before("media_host", 30) >= 300


async def test_without_a_journal_the_worker_waits(scene, tmp_path):
    closed = Journal(tmp_path / "other" / "journal.sqlite")
    worker = MediaWorker(closed, scene.tasks, scene.spool, scene.events)
    context = Context()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(worker.run, context)
        with trio.fail_after(15):
            await context.is_ready.wait()
            await trio.testing.wait_all_tasks_blocked()
            assert context.beats == 1
            nursery.start_soon(closed.run, Context())
            while context.beats < 2:  # noqa: ASYNC110 - it goes on by itself
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
