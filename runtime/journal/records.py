"""The values that go into the journal and come out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

EntryKind = Literal["message", "status", "session", "change", "read", "contact"]


@dataclass(frozen=True, slots=True)
class NewMedia:
    """A file that belongs to a message.

    Attributes:
        row_id: primary key of the message's row.
        incoming: from WhatsApp; else to it.
        kind: image, video, audio, document or sticker.
        mimetype, file_name, size: as its sender says, made harmless; of our own as we found it.
        sha256: hexadecimal, where known.
        source: what fetching it (or uploading it) takes; JSON-serialisable.
        expires_at: after this nobody tries any more.
    """

    row_id: str
    owner_id: str
    connection_id: str
    message_id: str
    incoming: bool
    kind: str
    mimetype: str | None
    file_name: str | None
    size: int | None
    sha256: str | None
    source: Mapping[str, Any]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Media:
    """A file as the journal knows it; ``state`` is pending, available or failed.

    ``code`` and ``reason`` say why it failed, or why it still has to wait.
    """

    row_id: str
    owner_id: str
    connection_id: str
    message_id: str
    incoming: bool
    kind: str
    mimetype: str | None
    file_name: str | None
    size: int | None
    sha256: str | None
    source: dict[str, Any]
    state: Literal["pending", "available", "failed"]
    code: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class MediaTask:
    """Something to do with a file; ``attempts`` counts those that came to nothing."""

    media: Media
    name: Literal["store", "upload"]
    attempts: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewEntry:
    """Something on its way to Supabase.

    Attributes:
        kind: which ingest item ``payload`` is.
        key: unique when given; an entry whose key was accepted before (within 14 days) is
            reported as a duplicate and stored only once.
        payload: the ingest item without its ``seq``; JSON-serialisable.
        order_key: the chat. Messages of one chat within one second get increasing timestamps.
        event_data: what the event published after storing carries; None publishes nothing.
        raw: the original, kept for dead letters. When None and the payload has text that
            PostgreSQL cannot store, the payload as it came is kept here.
        media: the message's file; remembered with the entry, unless that is a duplicate.
    """

    kind: EntryKind
    key: str | None
    payload: Mapping[str, Any]
    order_key: str | None = None
    event_data: Mapping[str, Any] | None = None
    raw: Mapping[str, Any] | None = None
    media: NewMedia | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to one accepted entry; ``seq`` is that of the first one when a duplicate."""

    seq: int
    duplicate: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A pending entry.

    ``size`` is the length of the stored payload in bytes, ``attempts`` counts its returns from
    the dead letters.
    """

    seq: int
    kind: str
    key: str | None
    payload: dict[str, Any]
    raw: dict[str, Any] | None
    event_data: dict[str, Any] | None
    accepted_at: datetime
    attempts: int
    size: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What Supabase answered for one entry.

    That is: inserted, duplicate, updated, ignored, waiting or refused.

    Attributes:
        target: the message that a change was made to.
        changes: what had waited for this message, and was made when it came: ingest items.
        code: why it was refused while the others of its call went through.
    """

    seq: int
    result: str
    atendimento_id: str | None = None
    target: str | None = None
    changes: Sequence[Mapping[str, Any]] = ()
    code: str | None = None

    @property
    def is_refused(self) -> bool:
        """Whether it is not in Supabase, and will not be by itself."""
        return self.result == "refused"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that Supabase refuses for what it contains; kept whole until a person decides."""

    seq: int
    kind: str
    key: str | None
    payload: dict[str, Any]
    raw: dict[str, Any] | None
    event_data: dict[str, Any] | None
    code: str
    reason: str
    accepted_at: datetime
    died_at: datetime
    attempts: int


class CommandState(StrEnum):
    """Where an outgoing message is. ``unknown``: it may or may not have been sent."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    PLAYED = "played"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class NewCommand:
    """A message to be sent.

    Attributes:
        message_id: the WhatsApp id, chosen beforehand.
        row_id: primary key of its row in ``whatsapp_mensagens``.
        request_hash: of the request, to tell a repetition from another use of the same
            ``idempotency_key``.
        expires_at: not sent any more after this.
    """

    connection_id: str
    message_id: str
    row_id: str
    to_jid: str
    content: Mapping[str, Any]
    idempotency_key: str | None
    request_hash: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Command:
    """A command as the journal knows it; ``updated_at`` is when its state last changed."""

    seq: int
    connection_id: str
    message_id: str
    row_id: str
    to_jid: str
    content: dict[str, Any]
    idempotency_key: str | None
    request_hash: str
    created_at: datetime
    expires_at: datetime
    state: CommandState
    error: str | None
    sent_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Submitted:
    """``existing`` is True when the same idempotency key had been submitted before."""

    command: Command
    existing: bool


@dataclass(frozen=True, slots=True)
class Connection:
    """A WhatsApp number that the runtime keeps connected, as remembered across restarts."""

    id: str
    name: str
    owner_id: str
    company_id: str | None
    created_at: datetime
    phone_number: str | None = None
    whatsapp_id: str | None = None
    push_name: str | None = None
    parked_code: str | None = None
    parked_reason: str | None = None
    last_seen: datetime | None = None
    last_error: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JournalState:
    """Whether the journal takes work.

    Attributes:
        name: ``available``; ``draining`` (low disk space: new work is refused, what is pending
            may leave); ``unavailable`` (no database open; opened again later); ``stopped``.
        code: why, as a stable identifier; None when available.
        reason: why, for a person; None when available.
    """

    name: Literal["available", "draining", "unavailable", "stopped"]
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class JournalStatistics:
    """Figures since the file was made, except where a window is named.

    Attributes:
        accepted, stored, dead, pending: ``accepted == stored + dead + pending``, always.
        archived: dead letters moved to an archive file (part of ``dead``).
        oldest_pending_age: seconds; 0 when nothing is pending.
        outbox: commands by state (those of the last 14 days).
        drain_rate: entries stored per second over the last minute.
        file_bytes: database and write-ahead log together.
        commit_p50_ms, commit_p99_ms: from a call to its durable answer, over the last
            2,048 calls; None before the first.
    """

    accepted: int
    stored: int
    dead: int
    pending: int
    archived: int
    oldest_pending_age: float
    outbox: dict[str, int]
    drain_rate: float
    file_bytes: int
    commit_p50_ms: float | None
    commit_p99_ms: float | None

    def send_success_ratio(self) -> float | None:
        """Of the messages whose fate is known: the part that WhatsApp took. None: no such yet."""
        failed = self.outbox.get(CommandState.FAILED, 0)
        known = sum(self.outbox.values())
        known -= self.outbox.get(CommandState.QUEUED, 0) + self.outbox.get(CommandState.UNKNOWN, 0)
        return (known - failed) / known if known else None
