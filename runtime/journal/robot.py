"""What the robot has heard and not yet answered, and where it is with each atendimento.

What it hears is written in the transaction that settles the message, what it answers in the one
that forgets what it heard: nothing is heard twice, nothing answered twice, whoever dies when.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from . import codec, outbox
from .inbox import Prepared
from .records import NewCommand

PACE_WINDOW = timedelta(minutes=10)
"""The messages of the robot to one chat are counted within this time."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A settled message that may concern the robot.

    Attributes:
        seq: of its entry; they are answered in this order.
        number: the customer's, as in ``numero_cliente``.
        sender: CLIENTE or ATENDENTE.
        kind: as in ``tipo``.
        happened_at: as in ``timestamp``, so by WhatsApp's clock.
        accepted_at: when it reached us, by our own.
        offline: whether it had waited at WhatsApp for us.
    """

    seq: int
    atendimento_id: str
    owner_id: str
    company_id: str | None
    connection_id: str
    number: str
    sender: str
    kind: str
    text: str
    happened_at: datetime
    accepted_at: datetime
    offline: bool


@dataclass(frozen=True, slots=True)
class RobotState:
    """Where the robot is with an atendimento; ``due`` is when it wants to look again by itself."""

    atendimento_id: str
    data: Mapping[str, Any]
    due: datetime | None


@dataclass(frozen=True, slots=True)
class RobotStep:
    """What becomes durable together.

    Attributes:
        state: the new state; None leaves the old one.
        answers: ``seq`` of the `Heard` that this answers; None when it answers none.
        chat: counts the messages sent to it.
        messages: each with the entry of its row.
    """

    state: RobotState | None
    answers: int | None
    chat: str
    messages: Sequence[tuple[NewCommand, Prepared]] = ()


def hear(connection: sqlite3.Connection, heard: Iterable[Heard]) -> None:
    """Remember what was said, as long as its entry is still pending; before `inbox.settle`."""
    connection.executemany(
        "INSERT OR IGNORE INTO robot_heard (seq, atendimento_id, facts, accepted_at)"
        " SELECT ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM entry WHERE seq = ?1)",
        [
            (one.seq, one.atendimento_id, _facts(one), codec.micros(one.accepted_at))
            for one in heard
        ],
    )


def unanswered(connection: sqlite3.Connection, limit: int) -> list[Heard]:
    """What was heard and not yet answered, in order."""
    rows = connection.execute(
        "SELECT seq, atendimento_id, facts, accepted_at FROM robot_heard ORDER BY seq LIMIT ?",
        (limit,),
    )
    return [_heard(row) for row in rows]


def states(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, RobotState]:
    """The states of these atendimentos, where there are any."""
    found: dict[str, RobotState] = {}
    for identifier in ids:
        row = connection.execute(
            "SELECT atendimento_id, data, due FROM robot_state WHERE atendimento_id = ?",
            (identifier,),
        ).fetchone()
        if row is not None:
            found[identifier] = _state(row)
    return found


def due(connection: sqlite3.Connection, now: int, limit: int) -> list[RobotState]:
    """The states that want to be looked at by now, the longest overdue first."""
    rows = connection.execute(
        "SELECT atendimento_id, data, due FROM robot_state WHERE due <= ? ORDER BY due LIMIT ?",
        (now, limit),
    )
    return [_state(row) for row in rows]


def next_due(connection: sqlite3.Connection) -> int | None:
    """When the next state wants to be looked at."""
    row = connection.execute("SELECT min(due) FROM robot_state WHERE due IS NOT NULL").fetchone()
    return None if row is None else row[0]


def sent_lately(connection: sqlite3.Connection, chat: str, now: int) -> int:
    """How many messages the robot sent to a chat in the present window."""
    row = connection.execute("SELECT since, sent FROM robot_pace WHERE chat = ?", (chat,))
    since, sent = row.fetchone() or (0, 0)
    return 0 if _is_over(since, now) else sent


def take(connection: sqlite3.Connection, step: RobotStep, now: int) -> bool:
    """Make a step durable; False, and nothing done, when what it answers was answered before."""
    if step.answers is not None:
        forgotten = connection.execute("DELETE FROM robot_heard WHERE seq = ?", (step.answers,))
        if forgotten.rowcount == 0:
            return False
    if step.state is not None:
        connection.execute(
            "INSERT INTO robot_state (atendimento_id, data, due, updated_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET data = excluded.data, due = excluded.due,"
            " updated_at = excluded.updated_at",
            (
                step.state.atendimento_id,
                codec.encode(step.state.data),
                codec.optional_micros(step.state.due),
                now,
            ),
        )
    for command, entry in step.messages:
        outbox.submit(connection, command, entry, now)
    if step.messages:
        sent = sent_lately(connection, step.chat, now)
        connection.execute(
            "INSERT INTO robot_pace (chat, since, sent) VALUES (?1, ?2, ?3)"
            " ON CONFLICT DO UPDATE SET sent = ?3, since = CASE WHEN ?4 THEN ?2 ELSE since END",
            (step.chat, now, sent + len(step.messages), sent == 0),
        )
    return True


def mark(connection: sqlite3.Connection, name: str) -> str | None:
    """How far the robot has read something that has no end."""
    row = connection.execute("SELECT value FROM robot_mark WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def set_mark(connection: sqlite3.Connection, name: str, value: str) -> None:
    """The reverse of `mark`."""
    connection.execute(
        "INSERT OR REPLACE INTO robot_mark (name, value) VALUES (?, ?)", (name, value)
    )


def prune(connection: sqlite3.Connection, before: int, limit: int) -> int:
    """Forget what has not changed since ``before``; returns how many rows, at most about limit."""
    dropped = connection.execute(
        "DELETE FROM robot_state WHERE atendimento_id IN (SELECT atendimento_id FROM robot_state"
        " WHERE updated_at < ?1 ORDER BY updated_at LIMIT ?2)",
        (before, limit),
    ).rowcount
    dropped += connection.execute(
        "DELETE FROM robot_pace WHERE chat IN"
        " (SELECT chat FROM robot_pace WHERE since < ?1 LIMIT ?2)",
        (before, limit),
    ).rowcount
    dropped += connection.execute(
        "DELETE FROM robot_heard WHERE seq IN"
        " (SELECT seq FROM robot_heard WHERE accepted_at < ?1 ORDER BY seq LIMIT ?2)",
        (before, limit),
    ).rowcount
    return dropped


def _is_over(since: int, now: int) -> bool:
    # A clock that was set back must not keep a window open for ever.
    return not 0 <= now - since < PACE_WINDOW / timedelta(microseconds=1)


def _facts(one: Heard) -> str:
    return codec.encode(
        {
            "owner_id": one.owner_id,
            "company_id": one.company_id,
            "connection_id": one.connection_id,
            "number": one.number,
            "sender": one.sender,
            "kind": one.kind,
            "text": one.text,
            "happened_at": codec.micros(one.happened_at),
            "offline": one.offline,
        }
    )


def _heard(row: tuple[int, str, str, int]) -> Heard:
    seq, atendimento_id, text, accepted_at = row
    facts = codec.decode(text)
    return Heard(
        seq=seq,
        atendimento_id=atendimento_id,
        accepted_at=codec.moment(accepted_at),
        happened_at=codec.moment(facts.pop("happened_at")),
        **facts,
    )


def _state(row: tuple[str, str, int | None]) -> RobotState:
    identifier, data, due_at = row
    return RobotState(identifier, codec.decode(data), codec.optional_moment(due_at))
