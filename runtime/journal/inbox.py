"""Entries on their way to Supabase: accepted, claimed in order, settled or buried."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from . import codec, media
from .records import Accepted, Entry, NewEntry
from .statistics import add_to_totals, totals

_COLUMNS = "seq, kind, key, payload, crc, happened_at, raw, event_data, accepted_at, attempts"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A NewEntry as it will be stored; made outside the journal's thread."""

    kind: str
    key: str | None
    digest: bytes | None
    payload: str
    crc: int
    happened_at: int | None
    chat: bytes | None
    raw: str | None
    event_data: str | None
    media: media.PreparedMedia | None


def prepare(entry: NewEntry) -> Prepared:
    """Encode an entry; TypeError when it holds something that is not JSON."""
    payload, original = codec.encode_payload(entry.payload)
    if original is not None and entry.kind == "message":
        payload = codec.keep_original(payload, entry.payload)
    # Only messages with a chat have their time moved, see `_happened_at`.
    ordered = entry.kind in ("message", "change") and entry.order_key is not None
    happened_at = codec.timestamp_micros(entry.payload) if ordered else None
    return Prepared(
        kind=entry.kind,
        key=entry.key,
        digest=None if entry.key is None else codec.key_digest(entry.key),
        payload=payload,
        crc=codec.checksum(payload),
        happened_at=happened_at,
        chat=None
        if happened_at is None or entry.order_key is None
        else codec.chat_digest(entry.order_key),
        raw=original if entry.raw is None else codec.encode_optional(entry.raw),
        event_data=codec.encode_optional(entry.event_data),
        media=media.prepare(entry.media),
    )


def accept(connection: sqlite3.Connection, entries: Iterable[Prepared], now: int) -> list[Accepted]:
    """Store those whose key is new."""
    answers: list[Accepted] = []
    added = 0
    for entry in entries:
        if entry.digest is not None:
            known = connection.execute(
                "SELECT seq FROM seen WHERE digest = ?", (entry.digest,)
            ).fetchone()
            if known is not None:
                answers.append(Accepted(known[0], duplicate=True))
                continue
        seq = _insert(connection, entry, now)
        if entry.digest is not None:
            connection.execute("INSERT INTO seen VALUES (?, ?, ?)", (seq, entry.digest, now))
        if entry.media is not None:
            media.insert(connection, entry.media, now)
        answers.append(Accepted(seq, duplicate=False))
        added += 1
    if added:
        add_to_totals(connection, accepted=added, pending=added)
    return answers


def is_known(connection: sqlite3.Connection, key: str) -> bool:
    """Whether an entry with this key was accepted within the retention."""
    row = connection.execute(
        "SELECT 1 FROM seen WHERE digest = ?", (codec.key_digest(key),)
    ).fetchone()
    return row is not None


def is_pending(connection: sqlite3.Connection, seq: int) -> bool:
    """Whether this entry has neither been settled nor buried."""
    row = connection.execute("SELECT 1 FROM entry WHERE seq = ?", (seq,)).fetchone()
    return row is not None


def _insert(connection: sqlite3.Connection, entry: Prepared, now: int) -> int:
    row = connection.execute(
        "INSERT INTO entry (kind, key, payload, crc, happened_at, raw, event_data, accepted_at, "
        "chat) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.kind,
            entry.key,
            entry.payload,
            entry.crc,
            _happened_at(connection, entry),
            entry.raw,
            entry.event_data,
            now,
            entry.chat,
        ),
    )
    assert row.lastrowid is not None
    return row.lastrowid


def _happened_at(connection: sqlite3.Connection, entry: Prepared) -> int | None:
    """The entry's time, moved behind the last one of its chat within the same second.

    WhatsApp's times have whole seconds; so the order of arrival is the order by time.
    """
    if entry.chat is None or entry.happened_at is None:
        return None
    second, micros = divmod(entry.happened_at, 1_000_000)
    (given,) = connection.execute(
        "INSERT INTO chat_second VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
        "SET micros = max(micros + 1, excluded.micros) RETURNING micros",
        (second, entry.chat, micros),
    ).fetchone()
    moved: int = second * 1_000_000 + given
    return moved


Row = tuple[Any, ...]


def claim(
    connection: sqlite3.Connection,
    limit: int,
    max_bytes: int,
    skip: Collection[int],
    after_seq: int = 0,
) -> list[Row]:
    """Rows of the oldest entries; at least one, however large, unless there is none."""
    rows: list[Row] = []
    size = 0
    for row in connection.execute(
        f"SELECT {_COLUMNS} FROM entry WHERE seq > ? ORDER BY seq",  # noqa: S608
        (after_seq,),
    ):
        if row[0] in skip:
            continue
        size += len(row[3])
        if rows and size > max_bytes:
            break
        rows.append(row)
        if len(rows) == limit:
            break
    return rows


def depth(connection: sqlite3.Connection) -> tuple[int, int]:
    """How many entries are pending, and the newest ``seq`` that was given out."""
    return totals(connection).pending, _newest(connection)


def _newest(connection: sqlite3.Connection) -> int:
    (seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM entry").fetchone()
    return int(seq)


def passing(
    connection: sqlite3.Connection, behind: int, limit: int, max_bytes: int
) -> tuple[list[Row], int]:
    """Messages behind ``behind`` whose chats have nothing pending up to there, oldest first.

    Sending them before what is older breaks no chat's order. Also returns up to where it has
    looked: to go on from there next time, these must have been settled.
    """
    looked = _newest(connection)
    rows: list[Row] = []
    size = 0
    for row in connection.execute(
        f"SELECT {_COLUMNS} FROM entry WHERE seq > ?1 AND chat IS NOT NULL AND NOT EXISTS ("  # noqa: S608
        " SELECT 1 FROM entry AS older WHERE older.chat IN (entry.chat, X'00')"
        " AND older.seq <= ?1) ORDER BY seq",
        (behind,),
    ):
        size += len(row[3])
        if rows and (size > max_bytes or len(rows) == limit):
            looked = rows[-1][0]
            break
        rows.append(row)
    return rows, looked


def decode(row: Row) -> Entry | str:
    """The entry in a row of `claim`; a sentence when it changed on the disk since accepted."""
    seq, kind, key, payload, crc, happened_at, raw, event_data, accepted_at, attempts = row
    try:
        if codec.checksum(payload) != crc:
            return "the stored payload does not match its checksum"
        return Entry(
            seq=seq,
            kind=kind,
            key=key,
            payload=decode_payload(payload, happened_at),
            raw=codec.decode_optional(raw),
            event_data=codec.decode_optional(event_data),
            accepted_at=codec.moment(accepted_at),
            attempts=attempts,
            size=len(payload),
        )
    except (json.JSONDecodeError, UnicodeError) as error:
        return f"the stored entry is unreadable: {type(error).__name__}"


def decode_payload(payload: str, happened_at: int | None) -> dict[str, Any]:
    """The ingest item with the time that the journal gave it."""
    item = codec.decode(payload)
    if happened_at is not None:
        item["timestamp"] = codec.iso(happened_at)
    return item


def settle(connection: sqlite3.Connection, seqs: Sequence[int]) -> int:
    """Drop entries that are in Supabase; returns how many of them were still pending."""
    cursor = connection.executemany("DELETE FROM entry WHERE seq = ?", [(seq,) for seq in seqs])
    settled = cursor.rowcount
    if settled > 0:
        add_to_totals(connection, stored=settled, pending=-settled)
    return settled
