"""What the robot heard and said: durable with the message that it heard, in one transaction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import trio
from journal_support import NOON, command, connection, message, running

from runtime.errors import Conflict, NotFound
from runtime.journal import Heard, NewEntry, RobotState, Stored
from runtime.journal.robot import PACE_WINDOW

PLACE = "22222222-2222-4222-8222-222222222222"
NOW = datetime.now(UTC)
CHAT = "conn/5511987654321"


def heard(seq: int, text: str = "oi") -> Heard:
    return Heard(
        seq=seq,
        atendimento_id=PLACE,
        owner_id="owner",
        company_id=None,
        connection_id="conn",
        number="5511987654321",
        sender="CLIENTE",
        kind="TEXTO",
        text=text,
        happened_at=NOON,
        accepted_at=NOON + timedelta(microseconds=1),
        offline=False,
    )


def said(message_id: str, key: str | None = None):
    payload = {"kind": "placed", "id": f"row-{message_id}", "timestamp": NOON.isoformat()}
    return command(message_id, key=key), NewEntry("message", f"key-{message_id}", payload)


async def settled(journal, *keys: str) -> list[int]:
    accepted = await journal.accept([message(key) for key in keys])
    seqs = [one.seq for one in accepted]
    await journal.settle([Stored(seq, "inserted", PLACE) for seq in seqs], [heard(s) for s in seqs])
    return seqs


async def test_what_was_heard_waits_in_order_until_it_is_answered(journal):
    first, second = await settled(journal, "a", "b")
    assert await journal.unanswered(limit=10) == [heard(first), heard(second)]
    assert await journal.unanswered(limit=1) == [heard(first)]
    assert await journal.robot_take(None, answers=first, chat=CHAT, now=NOW)
    assert await journal.unanswered(limit=10) == [heard(second)]
    assert not await journal.robot_take(None, answers=first, chat=CHAT, now=NOW)


async def test_settling_again_is_not_hearing_again(journal):
    (seq,) = await settled(journal, "a")
    await journal.robot_take(None, answers=seq, chat=CHAT, now=NOW)
    await journal.settle([Stored(seq, "duplicate", PLACE)], [heard(seq)])
    assert await journal.unanswered(limit=10) == []


async def test_whoever_waits_learns_of_what_is_heard(journal):
    assert await journal.unanswered(limit=1) == []
    await settled(journal, "a")
    with trio.fail_after(10):
        await journal.wait_heard()


async def test_a_step_is_made_whole_or_not_at_all(journal):
    await journal.register(connection())
    (seq,) = await settled(journal, "a")
    due = NOON + timedelta(minutes=5)
    state = RobotState(PLACE, {"phase": "menu", "tries": 0}, due)
    with pytest.raises(Conflict):
        await journal.robot_take(
            state, answers=seq, chat=CHAT, now=NOW, messages=[said("m1"), said("m1", key="other")]
        )
    assert await journal.robot_states([PLACE]) == {}
    assert await journal.outgoing("conn", limit=10) == []
    assert await journal.unanswered(limit=10) == [heard(seq)]
    assert await journal.robot_take(state, answers=seq, chat=CHAT, now=NOW, messages=[said("m1")])
    assert await journal.robot_states([PLACE, "unknown"]) == {PLACE: state}
    assert [one.message_id for one in await journal.outgoing("conn", limit=10)] == ["m1"]
    assert [one.key for one in await journal.pending(limit=9, max_bytes=9999)] == ["key-m1"]
    assert not await journal.robot_take(
        state, answers=seq, chat=CHAT, now=NOW, messages=[said("m2")]
    )
    assert len(await journal.outgoing("conn", limit=10)) == 1


async def test_a_connection_that_is_gone_says_nothing(journal):
    (seq,) = await settled(journal, "a")
    with pytest.raises(NotFound):
        await journal.robot_take(None, answers=seq, chat=CHAT, now=NOW, messages=[said("m1")])
    assert await journal.unanswered(limit=10) == [heard(seq)]


async def test_states_become_due(journal):
    overdue = RobotState(PLACE, {"phase": "menu"}, NOON)
    later = RobotState("later", {"phase": "menu"}, NOON + timedelta(days=36500))
    never = RobotState("never", {"phase": "ended"}, None)
    for state in (overdue, later, never):
        await journal.robot_take(state, answers=None, chat=CHAT, now=NOW)
    assert await journal.robot_due(NOW, limit=10) == ([overdue], NOON)
    await journal.robot_take(
        RobotState(PLACE, {"phase": "ended"}, None), answers=None, chat=CHAT, now=NOW
    )
    assert await journal.robot_due(NOW, limit=10) == ([], later.due)


async def test_the_messages_to_a_chat_are_counted(journal):
    await journal.register(connection())
    assert await journal.robot_sent_lately(CHAT, NOW) == 0
    await journal.robot_take(
        None, answers=None, chat=CHAT, now=NOW, messages=[said("m1"), said("m2")]
    )
    await journal.robot_take(None, answers=None, chat=CHAT, now=NOW, messages=[said("m3")])
    assert await journal.robot_sent_lately(CHAT, NOW) == 3
    assert await journal.robot_sent_lately("another", NOW) == 0
    later = NOW + PACE_WINDOW
    assert await journal.robot_sent_lately(CHAT, later) == 0
    assert await journal.robot_sent_lately(CHAT, NOW - timedelta(days=1)) == 0  # set back
    await journal.robot_take(None, answers=None, chat=CHAT, now=later, messages=[said("m4")])
    assert await journal.robot_sent_lately(CHAT, later) == 1


async def test_everything_survives_a_restart_and_ends_by_age(path):
    async with running(path) as journal:
        (seq,) = await settled(journal, "a")
        await journal.robot_take(
            RobotState(PLACE, {"n": 1}, NOON), answers=None, chat=CHAT, now=NOW
        )
        await journal.set_robot_mark("finished", "2026-01-31")
        await journal.set_robot_mark("finished", "2026-02-01")
    async with running(path) as journal:
        assert await journal.unanswered(limit=10) == [heard(seq)]
        assert (await journal.robot_states([PLACE]))[PLACE].data == {"n": 1}
        assert await journal.robot_mark("finished") == "2026-02-01"
        assert await journal.robot_mark("other") is None
        await journal.prune(timedelta(days=14))
        assert await journal.unanswered(limit=10) == []  # heard at a noon long ago
        assert await journal.robot_states([PLACE]) != {}
        await journal.prune(timedelta(0))
        assert await journal.robot_states([PLACE]) == {}
