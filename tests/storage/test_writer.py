"""The writer against a scripted Supabase, in virtual time."""

from __future__ import annotations

from itertools import pairwise

import httpx
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storage_support import Rig, message, refusal
from trio.testing import MockClock

from runtime.errors import JournalUnavailable
from runtime.events import EventName
from runtime.journal import NewEntry
from runtime.storage import UnexpectedAnswer
from runtime.storage.client import REQUIRED_SCHEMA_VERSION


async def test_a_message_is_in_the_table_within_tens_of_milliseconds(rig, autojump_clock):
    async with rig.running():
        await trio.sleep(60)
        accepted_at = trio.current_time()
        await rig.journal.accept([message(1)])
        await rig.until(lambda: rig.supabase.rows)
        assert trio.current_time() - accepted_at < 0.05


async def test_entries_arrive_in_order_in_one_call_at_a_time(rig, autojump_clock):
    await rig.journal.accept([message(number) for number in range(1500)])
    async with rig.running():
        await rig.drained()
    assert rig.supabase.order == [f"id-{number}" for number in range(1500)]
    assert max(len(call) for call in rig.supabase.calls) == 500


async def test_under_a_deep_queue_supabase_does_not_wait_for_the_journal(
    rig, autojump_clock, monkeypatch
):
    await rig.journal.accept([message(number) for number in range(10_000)])
    execute = rig.journal._engine.execute

    async def slow(job, after=None):
        await trio.sleep(0.08)
        return await execute(job, after)

    monkeypatch.setattr(rig.journal._engine, "execute", slow)
    rig.supabase.latency = 0.2
    async with rig.running():
        await rig.drained()
    times = [
        began
        for began, call in zip(rig.supabase.call_times, rig.supabase.calls, strict=True)
        if len(call) == 500
    ]
    # Now and then the fast lane is looked at, which asks the journal.
    between = sorted(later - earlier for earlier, later in pairwise(times[2:-1]))
    assert between[len(between) // 2] < 0.2 + 2 * 0.08
    assert rig.supabase.order == [f"id-{number}" for number in range(10_000)]


@pytest.mark.parametrize(
    "fault", [refusal(503), httpx.ReadTimeout("no answer"), "after the commit"]
)
async def test_what_was_read_ahead_is_read_again_after_a_failure(rig, autojump_clock, fault):
    async def lost():
        raise httpx.ReadTimeout("the answer is lost")

    await rig.journal.accept([message(number) for number in range(4000)])
    failing = lost if fault == "after the commit" else fault
    rig.supabase.script = [*[None] * 6, failing, None, failing, None, None, failing]
    async with rig.running():
        await rig.drained()
        assert len(rig.published(EventName.MESSAGE_RECEIVED)) == 4000
    assert rig.supabase.order == [f"id-{number}" for number in range(4000)]
    assert (await rig.totals()).stored == rig.writer.statistics().stored == 4000


async def test_the_journal_goes_away_while_supabase_works(rig, autojump_clock):
    await rig.journal.accept([message(number) for number in range(4000)])

    async def away():
        rig.journal.go_away()

    rig.supabase.script = [*[None] * 6, away]
    async with rig.running():
        await rig.until(lambda: rig.writer.state.name == "journal", 60)
        rig.journal.come_back()
        await rig.drained()
    assert rig.supabase.order == [f"id-{number}" for number in range(4000)]
    assert (await rig.totals()).stored == 4000


async def test_stored_customer_messages_are_published_with_their_atendimento(rig, autojump_clock):
    silent = NewEntry("session", None, {"kind": "session", "connection_id": "conn"})
    async with rig.running():
        await rig.journal.accept([message(1), message(2, sender="ATENDENTE"), silent])
        await rig.drained()
    (event,) = rig.published(EventName.MESSAGE_RECEIVED)
    assert event.data["n"] == 1
    assert event.data["atendimentoId"] == "a-1"
    assert (event.data["id"], event.data["content"]) == ("id-1", "oi")
    (logged,) = await rig.journal.events("", limit=10)
    assert (logged.event, logged.data) == (event.event, event.data)
    assert (event.connection_id, event.owner_id) == ("conn", "owner")


@pytest.mark.parametrize("position", [0, 1, 3, 6, 7])
async def test_a_poison_row_alone_becomes_a_dead_letter(rig, autojump_clock, position):
    def refuse(item):
        if item["id"] == f"id-{position}":
            raise refusal(400, "22P02")

    rig.supabase.refuse = refuse
    await rig.journal.accept([message(number) for number in range(8)])
    async with rig.running():
        await rig.drained()
    assert rig.supabase.order == [f"id-{number}" for number in range(8) if number != position]
    (letter,) = await rig.journal.dead_letters(limit=10)
    assert (letter.payload["id"], letter.code, letter.reason) == (f"id-{position}", "22P02", "no")
    (event,) = rig.published(EventName.DEAD_LETTER)
    assert event.data["seq"] == letter.seq
    assert event.data["messageId"] == f"wa-{position}"
    totals = await rig.totals()
    assert (totals.stored, totals.dead) == (7, 1)


async def test_what_the_ingest_leaves_out_is_a_dead_letter_among_its_stored_neighbours(
    rig, autojump_clock
):
    rig.supabase.taken = {"id-2", "id-5"}
    await rig.journal.accept([message(number) for number in range(8)])
    async with rig.running():
        await rig.drained()
        assert len(rig.supabase.calls) == 1  # nobody waits for it
        letters = await rig.journal.dead_letters(limit=10)
        assert [(one.payload["id"], one.code) for one in letters] == [
            ("id-2", "id_taken"),
            ("id-5", "id_taken"),
        ]
        assert "outro dono ou de outra conexão" in letters[0].reason
        told = [event.data["messageId"] for event in rig.published(EventName.DEAD_LETTER)]
        assert told == ["wa-2", "wa-5"]
        logged = await rig.journal.events("", limit=50)
        assert [one.event for one in logged].count(EventName.DEAD_LETTER) == 2
        totals = await rig.totals()
        assert (totals.stored, totals.dead, totals.pending) == (6, 2, 0)
        # When whatever held the id is gone, it goes through.
        rig.supabase.taken = set()
        await rig.journal.retry(letters[0].seq)
        await rig.drained()
    totals = await rig.totals()
    assert (totals.stored, totals.dead) == (7, 1)


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(poison=st.sets(st.integers(0, 59)), transient=st.lists(st.integers(0, 3), max_size=8))
def test_whatever_is_poisoned_everything_else_arrives_in_order(tmp_path_factory, poison, transient):
    """Any set of bad rows, with passing errors in between: nothing vanishes or moves."""

    async def scenario(path):
        rig = Rig(path)

        def refuse(item):
            if int(item["id"].removeprefix("id-")) in poison:
                raise refusal(409, "23503")

        faults = [
            None,
            refusal(503, "PGRST000"),
            refusal(500, "57014"),
            httpx.ConnectError("refused"),
        ]
        rig.supabase.refuse = refuse
        rig.supabase.script = [faults[index] for index in transient]
        await rig.journal.accept([message(number) for number in range(60)])
        async with rig.running():
            await rig.drained()
        totals = await rig.totals()
        rig.journal.close()
        assert (totals.stored, totals.dead) == (60 - len(poison), len(poison))
        good = [f"id-{number}" for number in range(60) if number not in poison]
        assert rig.supabase.order == good

    path = tmp_path_factory.mktemp("poison") / "journal.sqlite"
    trio.run(scenario, path, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize(
    "error",
    [refusal(500, "XX000"), refusal(403), refusal(500, "57014"), httpx.ReadTimeout("never")],
    ids=["internal error", "firewall", "statement timeout", "no answer"],
)
@pytest.mark.parametrize("position", [0, 7, 29])
async def test_an_entry_that_alone_blocks_the_way_is_set_aside(
    rig, autojump_clock, error, position
):
    def refuse(item):
        if item["id"] == f"id-{position}":
            raise error

    rig.supabase.refuse = refuse
    entries = [message(number, chat=number % 3) for number in range(31)]
    await rig.journal.accept(entries)
    async with rig.running():
        await rig.drained(3600)
    (letter,) = await rig.journal.dead_letters(limit=10)
    assert letter.payload["id"] == f"id-{position}"
    for chat in range(3):
        expected = [f"id-{n}" for n in range(31) if n % 3 == chat and n != position]
        assert [one for one in rig.supabase.order if one in expected] == expected


@pytest.mark.parametrize(
    "error", [refusal(403, "42501"), refusal(500, "XX000"), httpx.ReadError("reset"), refusal(403)]
)
async def test_trouble_of_everybody_buries_nobody(rig, autojump_clock, error):
    def refuse(_item):
        raise error

    rig.supabase.refuse = refuse
    await rig.journal.accept([message(number, chat=number % 2) for number in range(20)])
    async with rig.running():
        await trio.sleep(4 * 3600)
        rig.supabase.refuse = lambda _item: None
        await rig.drained()
    assert (await rig.totals()).dead == 0
    for chat in range(2):
        own = [f"id-{number}" for number in range(chat, 20, 2)]
        assert [one for one in rig.supabase.order if one in own] == own


async def test_a_timeout_after_the_commit_makes_no_duplicate_and_still_one_event(
    rig, autojump_clock
):
    async def answer_lost():
        raise httpx.ReadTimeout("the answer was lost")

    rig.supabase.script = [answer_lost]
    await rig.journal.accept([message(number) for number in range(4)])
    async with rig.running():
        await rig.drained()
    assert rig.supabase.order == [f"id-{number}" for number in range(4)]
    assert [event.data["n"] for event in rig.published(EventName.MESSAGE_RECEIVED)] == [0, 1, 2, 3]
    assert (await rig.totals()).stored == 4


@pytest.mark.parametrize(
    ("status", "code"), [(401, "PGRST301"), (403, "42501"), (404, "PGRST202"), (404, "42P01")]
)
async def test_when_refused_as_a_whole_it_pauses_and_goes_on_with_a_small_batch(
    rig, autojump_clock, status, code
):
    async with rig.running():
        await rig.until(lambda: rig.probe.healthy)
        rig.supabase.script = [refusal(status, code)] * 3
        rig.supabase.version = refusal(status, code)
        await rig.journal.accept([message(number) for number in range(300)])
        await rig.until(lambda: rig.writer.state.name == "paused")
        calls = len(rig.supabase.calls)
        await trio.sleep(3600)
        assert len(rig.supabase.calls) == calls, "it must not knock while the probe is refused"
        rig.supabase.version = REQUIRED_SCHEMA_VERSION
        rig.supabase.script = []
        await rig.until(lambda: len(rig.supabase.calls) > calls)
        assert len(rig.supabase.calls[calls]) <= 10
        await rig.drained()
    totals = await rig.totals()
    assert (totals.stored, totals.dead) == (300, 0)


async def test_a_function_that_alone_is_refused_is_tried_again_with_growing_delays(
    rig, autojump_clock
):
    rig.supabase.script = [refusal(403, "42501")] * 12
    await rig.journal.accept([message(1)])
    async with rig.running():
        await rig.drained()
    assert len(rig.supabase.calls) == 13
    assert rig.supabase.call_times[-1] > 10


async def test_a_body_too_large_is_split_by_bytes(rig, autojump_clock):
    def refuse(item):
        if sum(len(one["conteudo"]) for one in rig.supabase.calls[-1]) > 200_000:
            raise refusal(413)

    rig.supabase.refuse = refuse
    await rig.journal.accept([message(number, "x" * 50_000) for number in range(20)])
    async with rig.running():
        await rig.drained()
    assert rig.supabase.order == [f"id-{number}" for number in range(20)]
    assert (await rig.totals()).dead == 0


async def test_a_single_entry_too_large_is_a_dead_letter(rig, autojump_clock):
    def refuse(item):
        if len(rig.supabase.calls[-1][0]["conteudo"]) > 100:
            raise refusal(413)

    rig.supabase.refuse = refuse
    await rig.journal.accept([message(1, "x" * 1000)])
    async with rig.running():
        await rig.drained()
        await rig.journal.accept([message(2)])
        await rig.drained()
    (letter,) = await rig.journal.dead_letters(limit=10)
    assert (letter.code, letter.payload["id"]) == ("413", "id-1")
    assert rig.supabase.order == ["id-2"]


async def test_a_page_that_says_too_large_is_no_dead_letter(rig, autojump_clock):
    rig.supabase.refuse = lambda _: raising(refusal(413, page=True))
    await rig.journal.accept([message(number) for number in range(3)])
    async with rig.running():
        await trio.sleep(600)
        assert (await rig.totals()).dead == 0
        rig.supabase.refuse = lambda _: None
        await rig.drained()
    assert rig.supabase.order == ["id-0", "id-1", "id-2"]


async def test_a_page_for_one_message_alone_ends_that_one(rig, autojump_clock):
    def refuse(item):
        if item["id"] == "id-0":
            raise refusal(413, page=True)

    rig.supabase.refuse = refuse
    await rig.journal.accept([message(0), message(1, chat="other")])
    async with rig.running():
        await rig.drained()
    (letter,) = await rig.journal.dead_letters(limit=10)
    assert (letter.code, letter.payload["id"]) == ("413", "id-0")
    assert rig.supabase.order == ["id-1"]


def raising(error):
    raise error


async def test_a_statement_timeout_halves_the_batch_until_it_fits(rig, autojump_clock):
    def refuse(item):
        if len(rig.supabase.calls[-1]) > 7:
            raise refusal(500, "57014")

    rig.supabase.refuse = refuse
    await rig.journal.accept([message(number) for number in range(100)])
    async with rig.running():
        await rig.drained()
    assert rig.supabase.order == [f"id-{number}" for number in range(100)]
    assert (await rig.totals()).dead == 0


async def test_retry_after_is_honoured(rig, autojump_clock):
    rig.supabase.script = [refusal(429, retry_after=120.0)]
    await rig.journal.accept([message(1)])
    async with rig.running():
        await rig.drained()
    first, second = rig.supabase.call_times
    assert second - first >= 120.0


async def test_errors_that_pass_are_retried_with_bounded_delays(rig, autojump_clock):
    rig.supabase.script = [refusal(503, "PGRST000")] * 20
    await rig.journal.accept([message(1)])
    async with rig.running():
        await rig.drained()
    times = rig.supabase.call_times
    assert len(times) == 21
    assert max(b - a for a, b in pairwise(times)) <= 31
    assert rig.writer.statistics().failures == 20


async def test_while_supabase_is_away_nothing_is_called_and_it_says_so(rig, autojump_clock):
    rig.supabase.version = httpx.ConnectError("refused")
    await rig.journal.accept([message(number) for number in range(50)])
    async with rig.running():
        await trio.sleep(3600)
        assert rig.writer.state.name == "offline"
        assert rig.writer.state.code == "network"
        assert rig.supabase.calls == []
        rig.supabase.version = REQUIRED_SCHEMA_VERSION
        await rig.drained()
        assert len(rig.supabase.calls[0]) == 10
    assert rig.context.longest_silence <= 10


async def test_batches_shrink_when_answers_are_slow_and_grow_when_they_are_fast(
    rig, autojump_clock
):
    async with rig.running():
        await rig.journal.accept([message(number) for number in range(3000)])
        await rig.drained()
        assert rig.writer.statistics().batch_count_limit == 500
        rig.supabase.latency = 2.0
        await rig.journal.accept([message(number) for number in range(3000, 6000)])
        await rig.until(lambda: rig.writer.statistics().batch_count_limit < 50)
        rig.supabase.latency = 0.004
        await rig.drained()
        assert rig.writer.statistics().batch_count_limit == 500


async def test_an_answer_of_another_version_pauses(rig, autojump_clock):
    rig.supabase.script = [UnexpectedAnswer("no list")]
    await rig.journal.accept([message(1)])
    async with rig.running():
        await rig.until(lambda: rig.writer.state.name == "paused")
        assert rig.writer.state.code == "unexpected_answer"
        await rig.drained()


async def test_a_journal_that_is_away_is_waited_for(rig, autojump_clock):
    async with rig.running():
        rig.journal.go_away()
        await rig.until(lambda: rig.writer.state.name == "journal", 60)
        rig.journal.come_back()
        await rig.journal.accept([message(1)])
        await rig.drained()
    assert rig.supabase.order == ["id-1"]


async def test_entries_settled_but_not_recorded_are_sent_again_without_harm(rig, autojump_clock):
    """The journal fails between Supabase's commit and the settling."""
    original = rig.journal.settle
    failures = [JournalUnavailable("weg")]

    async def settle(*settled):
        if failures:
            raise failures.pop()
        await original(*settled)

    rig.journal.settle = settle
    await rig.journal.accept([message(1)])
    async with rig.running():
        await rig.drained()
    assert len(rig.supabase.calls) == 2
    assert rig.supabase.order == ["id-1"]
    assert len(rig.published(EventName.MESSAGE_RECEIVED)) == 1


async def test_a_bug_crashes_the_writer_instead_of_hiding(rig, autojump_clock):
    rig.supabase.script = [ZeroDivisionError()]
    await rig.journal.accept([message(1)])
    with pytest.RaisesGroup(ZeroDivisionError, flatten_subgroups=True):
        async with rig.running():
            await trio.sleep(10)
