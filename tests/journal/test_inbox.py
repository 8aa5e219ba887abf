"""Entries: accepted once, claimed in order, settled or buried, never lost."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from math import inf, nan

import pytest
import trio
from journal_support import NOON, everything_pending, message, running, until

from runtime.errors import JournalUnavailable, NotFound
from runtime.journal import Accepted, Journal, NewEntry, Stored
from tests.child_context import Context


async def test_accepted_entries_are_pending_in_order_until_settled(journal):
    answers = await journal.accept([message(f"k{number}") for number in range(5)])
    assert [answer.seq for answer in answers] == [1, 2, 3, 4, 5]
    entries = await journal.pending(limit=3, max_bytes=10**6)
    assert [entry.key for entry in entries] == ["k0", "k1", "k2"]
    assert entries[0].event_data == {"text": "oi"}
    assert abs((datetime.now(UTC) - entries[0].accepted_at).total_seconds()) < 60
    await journal.settle([Stored(entry.seq, "inserted") for entry in entries])
    assert [entry.key for entry in await everything_pending(journal)] == ["k3", "k4"]
    figures = await journal.statistics()
    assert (figures.accepted, figures.stored, figures.dead, figures.pending) == (5, 3, 0, 2)
    assert figures.drain_rate > 0
    assert figures.file_bytes > 0
    assert 0 < figures.commit_p50_ms <= figures.commit_p99_ms


async def test_the_same_key_is_stored_once_also_after_it_was_settled(journal):
    first, again = await journal.accept([message("k"), message("k", "other")])
    assert (first, again) == (Accepted(1, False), Accepted(1, True))
    (entry,) = await everything_pending(journal)
    assert entry.payload["conteudo"] == "oi"
    await journal.settle([Stored(1, "inserted")])
    assert await journal.accept([message("k")]) == [Accepted(1, True)]
    assert await everything_pending(journal) == []
    assert (await journal.statistics()).accepted == 1


async def test_entries_without_a_key_are_all_stored(journal):
    entry = NewEntry("session", None, {"kind": "session"})
    answers = await journal.accept([entry, entry])
    assert [answer.duplicate for answer in answers] == [False, False]


async def test_settling_twice_or_something_unknown_counts_once(journal):
    await journal.accept([message("k")])
    await journal.settle([Stored(1, "inserted"), Stored(99, "inserted")])
    await journal.settle([Stored(1, "duplicate")])
    figures = await journal.statistics()
    assert (figures.stored, figures.pending) == (1, 0)


async def test_a_claim_is_bounded_by_bytes_but_never_empty(journal):
    await journal.accept([message(f"k{number}", "x" * 1000) for number in range(4)])
    assert len(await journal.pending(limit=10, max_bytes=3000)) == 2
    assert len(await journal.pending(limit=10, max_bytes=1)) == 1


async def test_a_claim_can_leave_entries_out(journal):
    await journal.accept([message(f"k{number}") for number in range(4)])
    entries = await journal.pending(limit=2, max_bytes=10**6, skip={1, 3})
    assert [entry.seq for entry in entries] == [2, 4]


async def test_waiting_for_entries_ends_when_one_is_accepted(journal):
    assert await everything_pending(journal) == []
    arrived = []

    async def wait():
        await journal.wait_pending()
        arrived.extend(await everything_pending(journal))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        await journal.accept([message("k")])
    assert len(arrived) == 1


async def test_what_was_accepted_before_a_restart_is_pending_after_it(path):
    async with running(path) as journal:
        await journal.accept([message("k")])
    async with running(path) as journal:
        with trio.fail_after(5):
            await journal.wait_pending()
        assert [entry.key for entry in await everything_pending(journal)] == ["k"]
        assert await journal.accept([message("k")]) == [Accepted(1, True)]


# --- order within a second


def timestamps(entries):
    return [datetime.fromisoformat(entry.payload["timestamp"]) for entry in entries]


async def test_messages_of_a_chat_in_one_second_get_increasing_times(journal):
    own = NOON + timedelta(milliseconds=250)
    moments = [NOON, NOON, own, NOON, own + timedelta(milliseconds=1)]
    await journal.accept([message(f"k{i}", at=moment) for i, moment in enumerate(moments)])
    times = timestamps(await everything_pending(journal))
    microsecond = timedelta(microseconds=1)
    assert times == [
        NOON,
        NOON + microsecond,
        own,
        own + microsecond,
        own + timedelta(milliseconds=1),
    ]


async def test_other_chats_and_other_seconds_are_left_alone(journal):
    second = timedelta(seconds=1)
    await journal.accept([message("a"), message("b", at=NOON + second), message("c", at=NOON)])
    await journal.accept([message("d", chat="other"), message("e", at=NOON + second)])
    times = timestamps(await everything_pending(journal))
    microsecond = timedelta(microseconds=1)
    assert times == [
        NOON,
        NOON + second,
        NOON + microsecond,
        NOON,
        NOON + second + microsecond,
    ]


async def test_a_repetition_moves_no_time(journal):
    await journal.accept([message("a"), message("a"), message("a"), message("b")])
    times = timestamps(await everything_pending(journal))
    assert times == [NOON, NOON + timedelta(microseconds=1)]


async def test_times_of_other_kinds_or_without_a_chat_are_left_alone(journal):
    status = {"kind": "status", "timestamp": NOON.isoformat()}
    await journal.accept(
        [
            NewEntry("status", None, status, order_key="chat"),
            NewEntry("message", None, {"timestamp": "yesterday"}, order_key="chat"),
            NewEntry("message", None, {"timestamp": NOON.isoformat()}),
            NewEntry("message", None, {}, order_key="chat"),
        ]
    )
    payloads = [entry.payload for entry in await everything_pending(journal)]
    assert payloads == [status, {"timestamp": "yesterday"}, {"timestamp": NOON.isoformat()}, {}]


# --- text that PostgreSQL cannot store


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "\udfff\ud83d", "\0"])
async def test_unstorable_text_is_replaced_and_the_original_kept(journal, text):
    await journal.accept([message("k", text)])
    (entry,) = await everything_pending(journal)
    stored = entry.payload["conteudo"]
    assert len(stored) == len(text)
    assert "\ufffd" in stored
    assert "\0" not in stored
    stored.encode()
    assert entry.raw["conteudo"] == text
    assert json.loads(entry.payload["dados"]["original"]) == {"conteudo": text}


async def test_a_given_original_is_kept_as_it_is(journal):
    raw = {"message": {"conversation": "a\0\ud800"}}
    payload = {"conteudo": "a\0", "dados": {"chave\0": ["\ud800", 1]}}
    await journal.accept([NewEntry("message", "k", payload, raw=raw)])
    (entry,) = await everything_pending(journal)
    assert entry.raw == raw
    original = entry.payload["dados"].pop("original")
    assert json.loads(original) == payload
    assert original.isascii()
    assert entry.payload == {"conteudo": "a\ufffd", "dados": {"chave\ufffd": ["\ufffd", 1]}}


@pytest.mark.parametrize(
    "text", ["", "olá 😀 \U0001f468\u200d\U0001f469", "\u2028\x7f\x1f", "\\u0000"]
)
async def test_all_other_text_goes_through_unchanged(journal, text):
    await journal.accept([message("k" + text, text)])
    (entry,) = await everything_pending(journal)
    assert entry.payload["conteudo"] == text
    assert entry.raw is None


async def test_numbers_that_json_lacks_become_null(journal):
    await journal.accept([NewEntry("message", "k", {"a": nan, "b": [inf, 1.5]}, raw={"c": -inf})])
    (entry,) = await everything_pending(journal)
    assert entry.payload == {"a": None, "b": [None, 1.5]}
    assert entry.raw == {"c": None}


async def test_what_is_not_json_is_refused_before_it_is_accepted(journal):
    with pytest.raises(TypeError):
        await journal.accept([message("k"), NewEntry("message", "o", {"x": object()})])
    assert (await journal.statistics()).accepted == 0


# --- dead letters


async def test_a_buried_entry_is_a_dead_letter_with_everything(journal):
    entry = message("k")
    await journal.accept([entry])
    assert await journal.bury(1, code="22P02", reason="bad uuid")
    assert not await journal.bury(1, code="again", reason="no")
    letter = await journal.dead_letter(1)
    assert (letter.key, letter.code, letter.reason) == ("k", "22P02", "bad uuid")
    assert letter.payload["conteudo"] == "oi"
    assert letter.event_data == {"text": "oi"}
    assert await journal.dead_letters(limit=10) == [letter]
    assert await journal.dead_letters(limit=10, after_seq=1) == []
    assert await journal.accept([entry]) == [Accepted(1, True)]
    figures = await journal.statistics()
    assert (figures.dead, figures.pending) == (1, 0)


async def test_a_dead_letter_can_be_retried_as_it_is_or_corrected(journal):
    await journal.accept([message("a"), message("b"), message("c")])
    for seq in (1, 2):
        await journal.bury(seq, code="x", reason="y")
    await journal.retry(1)
    await journal.retry(2, {"kind": "message", "conteudo": "certo\0"})
    first, second, third = await everything_pending(journal)
    assert (first.payload["conteudo"], first.attempts) == ("oi", 1)
    assert first.payload["timestamp"] == NOON.isoformat(timespec="microseconds")
    assert second.payload == {"kind": "message", "conteudo": "certo\ufffd"}
    assert third.attempts == 0
    figures = await journal.statistics()
    assert (figures.dead, figures.pending) == (0, 3)
    for seq in (1, 77):
        with pytest.raises(NotFound):
            await journal.retry(seq)
        with pytest.raises(NotFound):
            await journal.dead_letter(seq)


async def test_something_undeliverable_is_accepted_as_a_dead_letter(journal):
    entry = NewEntry("message", "k", {}, raw={"frame": "?"})
    assert await journal.accept_dead(entry, code="unreadable", reason="?") == Accepted(1, False)
    assert await journal.accept_dead(entry, code="unreadable", reason="?") == Accepted(1, True)
    assert (await journal.dead_letter(1)).raw == {"frame": "?"}
    assert await everything_pending(journal) == []


async def test_dead_letters_move_to_an_archive_file_and_stay_in_the_accounts(
    journal, path, monkeypatch
):
    monkeypatch.setattr("runtime.journal.journal.ARCHIVE_LIMIT", 20)
    assert await journal.archive() == 0
    await journal.accept([message(f"k{number}", "a\0") for number in range(60)])
    for seq in range(1, 51):
        await journal.bury(seq, code="x", reason="y")
    assert await journal.archive() == 50
    files = sorted((path.parent / "archive").iterdir())
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert len(lines) == 50
    assert '"conteudo": "a\\u0000"' in lines[0]
    assert files[0].stat().st_mode & 0o777 == 0o600
    figures = await journal.statistics()
    assert (figures.dead, figures.archived, figures.pending) == (50, 50, 10)
    assert await journal.dead_letters(limit=10) == []


# --- retention, damage, life cycle


async def test_pruning_forgets_old_keys_but_not_those_still_needed(journal):
    await journal.accept([message("stored"), message("dead"), message("pending")])
    await journal.settle([Stored(1, "inserted")])
    await journal.bury(2, code="x", reason="y")
    await journal.prune()
    assert await journal.accept([message("stored")]) == [Accepted(1, True)]
    assert await journal.prune(timedelta(0)) > 0
    answers = await journal.accept([message("stored"), message("dead"), message("pending")])
    assert [answer.duplicate for answer in answers] == [False, True, True]


async def test_an_entry_that_changed_on_the_disk_becomes_a_dead_letter(path):
    async with running(path) as journal:
        await journal.accept([message("a"), message("b"), message("c")])
    with sqlite3.connect(path) as tampered:
        tampered.execute("UPDATE entry SET payload = replace(payload, 'oi', 'ai') WHERE seq = 1")
        tampered.execute("UPDATE entry SET raw = '{' WHERE seq = 2")
    tampered.close()
    async with running(path) as journal:
        entries = await everything_pending(journal)
        assert [entry.key for entry in entries] == ["c"]
        letters = await journal.dead_letters(limit=10)
        assert [letter.code for letter in letters] == ["journal_damaged_entry"] * 2


async def test_before_and_after_its_run_it_refuses_everything(path):
    journal = Journal(path)
    assert journal.state.name == "stopped"
    with pytest.raises(JournalUnavailable):
        await journal.accept([message("k")])
    async with running(path) as journal:
        assert journal.state.name == "available"
        await journal.accept([message("k")])
    assert journal.state.name == "stopped"
    for call in (journal.accept([message("k")]), journal.statistics(), journal.wait_pending()):
        with pytest.raises(JournalUnavailable) as caught:
            await call
        assert caught.value.code == "journal_stopped"
        assert caught.value.retry_after > 0


async def test_the_child_beats_while_it_serves(path):
    journal, context = Journal(path), Context()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, context)
        await until(lambda: context.beats >= 2)
        nursery.cancel_scope.cancel()
