"""New messages pass an old queue; no chat's order is broken by it."""

from __future__ import annotations

from collections import defaultdict

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storage_support import Rig, message, refusal
from trio.testing import MockClock

from runtime.journal import NewEntry, inbox
from runtime.storage import lane


def of_chat(number: int, chat: int) -> NewEntry:
    entry = message(number, chat=chat)
    return NewEntry(entry.kind, entry.key, entry.payload, order_key=f"chat {chat}")


def position(rig, number: int) -> int:
    return rig.supabase.order.index(f"id-{number}")


async def test_a_new_chat_does_not_wait_for_the_whole_queue(rig, autojump_clock):
    rig.supabase.latency = 0.2
    await rig.journal.accept([of_chat(number, number % 5) for number in range(20_000)])
    async with rig.running():
        await rig.until(lambda: len(rig.supabase.order) > 2000)
        await rig.journal.accept([of_chat(20_000, 7), of_chat(20_001, 2), of_chat(20_002, 7)])
        accepted_at = trio.current_time()
        await rig.until(lambda: "id-20002" in rig.supabase.rows)
        assert trio.current_time() - accepted_at < 2
        assert "id-20001" not in rig.supabase.rows, "its chat has a backlog"
        await rig.drained()
    assert position(rig, 20_000) < position(rig, 20_002) < 10_000
    assert position(rig, 20_001) == 20_002
    assert (await rig.totals()).stored == 20_003


async def test_what_came_last_before_the_lane_opened_passes_too(rig, autojump_clock):
    rig.supabase.latency = 0.2
    await rig.journal.accept([of_chat(number, number % 5) for number in range(20_000)])
    await rig.journal.accept([of_chat(20_000, 7)])
    async with rig.running():
        await rig.until(lambda: "id-20000" in rig.supabase.rows, seconds=5)
        assert len(rig.supabase.rows) < 5000
        await rig.drained()


async def test_a_bad_row_in_the_lane_is_left_to_the_queue_and_tried_once(rig, autojump_clock):
    def refuse(item):
        if item["id"] == "id-20000":
            raise refusal(409, "23503")

    rig.supabase.refuse = refuse
    rig.supabase.latency = 0.2
    await rig.journal.accept([of_chat(number, number % 5) for number in range(20_000)])
    await rig.journal.accept([of_chat(20_000, 7), of_chat(20_001, 8)])

    def refused():
        return [call for call in rig.supabase.calls if any(i["id"] == "id-20000" for i in call)]

    async with rig.running():
        await rig.until(refused)
        await rig.journal.accept([of_chat(20_002, 9)])
        await rig.drained()
    assert position(rig, 20_002) < 15_000
    assert len(refused()) < 12, "once in the lane, and what finding it takes"
    totals = await rig.totals()
    assert (totals.stored, totals.dead) == (20_002, 1)


async def test_a_short_queue_is_written_in_its_order(rig, autojump_clock):
    await rig.journal.accept([of_chat(number, 0) for number in range(lane.DEEP - 1)])
    async with rig.running():
        await rig.until(lambda: rig.supabase.order)
        await rig.journal.accept([of_chat(lane.DEEP, 1)])
        await rig.drained()
    assert rig.supabase.order[-1] == f"id-{lane.DEEP}"


async def test_what_an_earlier_release_accepted_may_be_of_any_chat(rig, autojump_clock):
    await rig.journal.accept([of_chat(number, number % 2) for number in range(10)])
    await rig.journal.transact(
        lambda connection: connection.execute("UPDATE entry SET chat = X'00' WHERE seq = 5")
    )
    await rig.journal.accept([of_chat(10, 3)])
    none, looked = await rig.journal.transact(lambda c: inbox.passing(c, 10, 100, 10**6))
    assert (none, looked) == ([], 11)
    await rig.journal.transact(
        lambda connection: connection.execute("DELETE FROM entry WHERE seq = 5")
    )
    (row,), _ = await rig.journal.transact(lambda c: inbox.passing(c, 10, 100, 10**6))
    assert row[0] == 11


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_it_goes_on_where_it_stopped_looking(rig, limit):
    await rig.journal.accept([of_chat(1, 0)])
    await rig.journal.accept([of_chat(n, chat) for n, chat in [(2, 1), (3, 0), (4, 2), (5, 1)]])
    rows, looked = await rig.journal.transact(lambda c: inbox.passing(c, 1, limit, 10**6))
    assert [row[0] for row in rows] == [2, 4, 5][:limit]
    assert looked == [2, 4, 5][limit - 1]
    (only,), _ = await rig.journal.transact(lambda c: inbox.passing(c, 1, 100, 1))
    assert only[0] == 2


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chats=st.lists(st.integers(0, 6), min_size=40, max_size=120),
    poison=st.sets(st.integers(0, 119), max_size=4),
    script=st.lists(st.integers(0, 2), max_size=6),
    burst=st.integers(1, 9),
)
def test_every_chat_keeps_its_order_whatever_happens(
    tmp_path_factory, monkeypatch_module, chats, poison, script, burst
):
    """Bad rows, passing errors, and messages that keep coming while the queue is deep."""

    async def scenario(path):
        rig = Rig(path)

        def refuse(item):
            if int(item["id"].removeprefix("id-")) in poison:
                raise refusal(409, "23503")

        faults = [None, refusal(503, "PGRST000"), refusal(500, "57014")]
        rig.supabase.refuse = refuse
        rig.supabase.script = [faults[index] for index in script]
        rig.writer._size._count = 5
        half = len(chats) // 2
        await rig.journal.accept([of_chat(n, chats[n] % 3) for n in range(half)])
        async with rig.running():
            for start in range(half, len(chats), burst):
                await trio.sleep(0.02)
                numbers = range(start, min(start + burst, len(chats)))
                await rig.journal.accept([of_chat(n, chats[n]) for n in numbers])
            await rig.drained()
        totals = await rig.totals()
        rig.journal.close()
        bad = len([n for n in poison if n < len(chats)])
        assert (totals.stored, totals.dead) == (len(chats) - bad, bad)
        of = {f"id-{n}": chats[n] % 3 if n < half else chats[n] for n in range(len(chats))}
        seen = defaultdict(list)
        for identifier in rig.supabase.order:
            seen[of[identifier]].append(int(identifier.removeprefix("id-")))
        assert all(numbers == sorted(numbers) for numbers in seen.values())

    path = tmp_path_factory.mktemp("lane") / "journal.sqlite"
    trio.run(scenario, path, clock=MockClock(autojump_threshold=0))


@pytest.fixture(scope="module")
def monkeypatch_module():
    """A queue is deep from 10 entries on, and the lane is used at every turn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lane, "DEEP", 10)
        patch.setattr(lane, "RECENT", 6)
        patch.setattr(lane, "EVERY_SECONDS", 0.0)
        yield
