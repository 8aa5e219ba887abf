"""A stop of the writer: what Supabase is writing is settled, nothing else is begun."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
import trio
from storage_support import Context, message, refusal

from runtime.stopping import IN_HAND_SECONDS
from tests.supervised import supervised


@asynccontextmanager
async def writing(rig):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.probe.run, Context())
        async with supervised("writer", rig.writer.run) as writer:
            yield writer
        nursery.cancel_scope.cancel()


def sent(rig) -> list[list[str]]:
    return [[item["id"] for item in call] for call in rig.supabase.calls]


async def test_the_batch_in_hand_is_settled_and_nothing_is_sent_twice(rig, autojump_clock):
    answer = trio.Event()
    rig.supabase.script = [answer.wait]  # written, and the answer is late
    await rig.journal.accept([message(1), message(2)])
    async with writing(rig) as writer:
        await rig.until(lambda: rig.supabase.rows)
        async with writer.stopping():
            await rig.journal.accept([message(3)])
            await trio.sleep(IN_HAND_SECONDS / 2)
            answer.set()
        totals = await rig.totals()
        assert (totals.stored, totals.pending) == (2, 1)
        assert rig.writer.state.name == "stopped"
        await writer.start()
        await rig.drained()
    assert sent(rig) == [["id-1", "id-2"], ["id-3"]]


async def test_in_the_middle_of_a_long_queue_all_that_was_written_is_settled(rig, autojump_clock):
    await rig.journal.accept([message(number) for number in range(4000)])
    answer = trio.Event()
    rig.supabase.script = [*[None] * 6, answer.wait]
    async with writing(rig) as writer:
        await rig.until(lambda: not rig.supabase.script and not rig.supabase.busy)
        async with writer.stopping():
            answer.set()
        assert (await rig.totals()).stored == len(rig.supabase.rows) < 4000
        await writer.start()
        await rig.drained()
    assert [one for call in sent(rig) for one in call] == [f"id-{number}" for number in range(4000)]


async def test_an_answer_that_does_not_come_holds_up_no_stop_and_loses_nothing(rig, autojump_clock):
    rig.supabase.script = [trio.sleep_forever]
    await rig.journal.accept([message(1)])
    async with writing(rig) as writer:
        await rig.until(lambda: rig.supabase.rows)
        began = trio.current_time()
        async with writer.stopping():
            pass
        assert trio.current_time() - began == pytest.approx(IN_HAND_SECONDS, abs=0.1)
        assert (await rig.totals()).pending == 1
        await writer.start()
        await rig.drained()
    assert (await rig.totals()).stored == 1
    assert rig.supabase.order == ["id-1"]


@pytest.mark.parametrize("fault", [None, refusal(503), refusal(401)], ids=repr)
async def test_what_only_waits_stops_at_once(rig, autojump_clock, fault):
    rig.supabase.script = [fault] * 20
    if fault is not None:
        rig.supabase.version = fault
        await rig.journal.accept([message(1)])
    async with writing(rig) as writer:
        await trio.sleep(20)
        began = trio.current_time()
        await writer.stop()
        assert trio.current_time() - began < 0.1
        assert (await rig.totals()).dead == 0


async def test_it_stops_at_once_while_the_journal_is_away(rig, autojump_clock):
    async with writing(rig) as writer:
        rig.journal.go_away()
        await rig.until(lambda: rig.writer.state.name == "journal", 60)
        began = trio.current_time()
        await writer.stop()
        assert trio.current_time() - began < 0.1
        rig.journal.come_back()
