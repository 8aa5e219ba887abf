"""Entries that Supabase refuses for what they contain: kept, shown, corrected, archived."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

from ..errors import NotFound
from ..events import Event, EventName
from ..reasons import about
from . import codec, events
from .inbox import Prepared, accept, decode_payload
from .records import Accepted, DeadLetter
from .statistics import add_to_totals

_ENTRY = "seq, kind, key, payload, crc, happened_at, raw, event_data, accepted_at, attempts"
_LETTER = (
    "seq, kind, key, payload, happened_at, raw, event_data, code, reason, accepted_at, died_at, "
    "attempts"
)


def bury(connection: sqlite3.Connection, seq: int, code: str, reason: str, now: int) -> bool:
    """Make a pending entry a dead letter; False when it is not pending."""
    moved = connection.execute(
        f"INSERT INTO dead_letter ({_ENTRY}, code, reason, died_at) "  # noqa: S608
        f"SELECT {_ENTRY}, ?, ?, ? FROM entry WHERE seq = ?",
        (code, reason, now, seq),
    ).rowcount
    if moved:
        connection.execute("DELETE FROM entry WHERE seq = ?", (seq,))
        add_to_totals(connection, dead=1, pending=-1)
        events.append(connection, [_death(one(connection, seq))], now)
    return bool(moved)


def _death(letter: DeadLetter) -> Event:
    """What is told of it; not its content, which the reason in the list may quote."""
    return Event(
        EventName.DEAD_LETTER,
        {
            "seq": letter.seq,
            "kind": letter.kind,
            "code": letter.code,
            "reason": about(letter.code).pt,
            "messageId": letter.payload.get("whatsapp_id"),
        },
        connection_id=letter.payload.get("connection_id"),
        owner_id=letter.payload.get("owner_id"),
        chat=letter.payload.get("numero_cliente"),
    )


def accept_dead(
    connection: sqlite3.Connection, entry: Prepared, code: str, reason: str, now: int
) -> Accepted:
    """Accept something that is known to be undeliverable, so that it is not lost either."""
    (accepted,) = accept(connection, [entry], now)
    if not accepted.duplicate:
        bury(connection, accepted.seq, code, reason, now)
    return accepted


def listed(connection: sqlite3.Connection, limit: int, after_seq: int) -> list[DeadLetter]:
    """Oldest first, those behind ``after_seq``."""
    rows = connection.execute(
        f"SELECT {_LETTER} FROM dead_letter WHERE seq > ? ORDER BY seq LIMIT ?",  # noqa: S608
        (after_seq, limit),
    )
    return [_letter(row) for row in rows]


def one(connection: sqlite3.Connection, seq: int) -> DeadLetter:
    """Raises NotFound."""
    row = connection.execute(
        f"SELECT {_LETTER} FROM dead_letter WHERE seq = ?",  # noqa: S608
        (seq,),
    ).fetchone()
    if row is None:
        raise NotFound("Não há mensagem rejeitada com esse número.", code="dead_letter_not_found")
    return _letter(row)


def retry(connection: sqlite3.Connection, seq: int, payload: str | None) -> None:
    """Make a dead letter pending again under its seq, corrected when ``payload`` is given."""
    if payload is not None:
        connection.execute(
            "UPDATE dead_letter SET payload = ?, crc = ?, happened_at = NULL WHERE seq = ?",
            (payload, codec.checksum(payload), seq),
        )
    moved = connection.execute(
        f"INSERT INTO entry ({_ENTRY}) "  # noqa: S608
        "SELECT seq, kind, key, payload, crc, happened_at, raw, event_data, accepted_at, "
        "attempts + 1 FROM dead_letter WHERE seq = ?",
        (seq,),
    ).rowcount
    if not moved:
        raise NotFound("Não há mensagem rejeitada com esse número.", code="dead_letter_not_found")
    connection.execute("DELETE FROM dead_letter WHERE seq = ?", (seq,))
    add_to_totals(connection, dead=-1, pending=1)


def archive(connection: sqlite3.Connection, file: Path, limit: int) -> list[DeadLetter]:
    """Write the oldest dead letters to ``file`` (JSON lines, synced), then drop them.

    A crash in between leaves them in both places, never in none. They stay in the account of the
    dead.
    """
    letters = listed(connection, limit, after_seq=0)
    if not letters:
        return []
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        for letter in letters:
            stream.write(json.dumps(as_json(letter)) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    _sync_directory(file.parent)
    connection.executemany(
        "DELETE FROM dead_letter WHERE seq = ?", [(letter.seq,) for letter in letters]
    )
    add_to_totals(connection, archived=len(letters))
    return letters


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def as_json(letter: DeadLetter) -> dict[str, Any]:
    """A dead letter as JSON-serialisable values."""
    return {
        "seq": letter.seq,
        "kind": letter.kind,
        "key": letter.key,
        "code": letter.code,
        "reason": letter.reason,
        "accepted_at": letter.accepted_at.isoformat(),
        "died_at": letter.died_at.isoformat(),
        "attempts": letter.attempts,
        "payload": letter.payload,
        "raw": letter.raw,
        "event_data": letter.event_data,
    }


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    seq, kind, key, payload, happened_at, raw, event_data, code, reason, accepted, died, tries = row
    return DeadLetter(
        seq=seq,
        kind=kind,
        key=key,
        payload=_readable(payload, happened_at),
        raw=None if raw is None else _readable(raw),
        event_data=None if event_data is None else _readable(event_data),
        code=code,
        reason=reason,
        accepted_at=codec.moment(accepted),
        died_at=codec.moment(died),
        attempts=tries,
    )


def _readable(text: str, happened_at: int | None = None) -> dict[str, Any]:
    try:
        return decode_payload(text, happened_at)
    except json.JSONDecodeError:  # changed on the disk; what is left of it
        return {"unreadable": text}
