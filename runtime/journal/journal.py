"""The journal as everyone else calls it."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import trio

from ..events import Event
from . import (
    codec,
    contacts,
    dead_letters,
    events,
    inbox,
    outbox,
    registry,
    robot,
    statistics,
    upkeep,
)
from .contacts import Alias, Checked
from .faults import diagnose
from .keeper import RESERVE_BYTES, Keeper
from .records import (
    Accepted,
    Command,
    CommandState,
    Connection,
    DeadLetter,
    Entry,
    JournalStatistics,
    NewCommand,
    NewEntry,
    Stored,
    Submitted,
)
from .robot import Heard, RobotState
from .statistics import DrainRate
from .thread import Job

_log = logging.getLogger("zapvisor.journal")

T = TypeVar("T")

RETENTION = timedelta(days=14)
"""How long keys and finished commands are remembered: as long as WhatsApp may deliver again."""

PRUNE_LIMIT = 5000
ARCHIVE_LIMIT = 1000


class Journal(Keeper):
    """The durable queue. Run it under a supervisor; call it from any task.

    Every method that changes something returns after the change is synced to the disk. All raise
    JournalUnavailable (with ``code`` and a reason) while there is no database open, and those that
    add work also while the disk is nearly full. Then the outcome of an interrupted call is
    unknown, and repeating it is harmless: keys make entries and commands one. A cancelled call
    may still be committed.

    Args:
        path: the database file; its directory is made when missing.
        reserve_bytes: see ``RESERVE_BYTES``.
    """

    def __init__(self, path: Path, *, reserve_bytes: int = RESERVE_BYTES) -> None:
        super().__init__(path, reserve_bytes=reserve_bytes)
        self._heard = trio.Event()
        self._media = trio.Event()
        self._news = trio.Event()
        self._drained = DrainRate()

    # --- inbox

    async def accept(self, entries: Sequence[NewEntry]) -> list[Accepted]:
        """Store entries, all or none; one answer each, in order."""
        self._check_admission()
        prepared = [inbox.prepare(entry) for entry in entries]
        return await self._execute(
            lambda connection: inbox.accept(connection, prepared, _now()), self._accepted(prepared)
        )

    async def accept_dead(self, entry: NewEntry, *, code: str, reason: str) -> Accepted:
        """Store something undeliverable as a dead letter from the start."""
        self._check_admission()
        prepared = inbox.prepare(entry)
        return await self._execute(
            lambda connection: dead_letters.accept_dead(connection, prepared, code, reason, _now()),
            self._tell,
        )

    async def pending(
        self, *, limit: int, max_bytes: int, skip: Collection[int] = (), after_seq: int = 0
    ) -> list[Entry]:
        """The oldest pending entries by ``seq``, without those in ``skip``, behind ``after_seq``.

        At most ``limit``, and payloads of at most ``max_bytes`` together, but at least one entry.
        An entry that changed on the disk since it was accepted becomes a dead letter instead.
        """
        rows = await self._execute(
            lambda connection: inbox.claim(connection, limit, max_bytes, skip, after_seq),
            None if skip or after_seq else self._claimed,
        )
        entries: list[Entry] = []
        for row in rows:
            entry = inbox.decode(row)
            if isinstance(entry, Entry):
                entries.append(entry)
            else:
                await self.bury(row[0], code="journal_damaged_entry", reason=entry)
        return entries

    async def settle(
        self,
        outcomes: Sequence[Stored],
        heard: Sequence[Heard] = (),
        told: Mapping[int, Event] | None = None,
        then: Mapping[int, Sequence[Event]] | None = None,
        refused: Mapping[int, tuple[str, str]] | None = None,
    ) -> None:
        """These are in Supabase: drop their payloads, keep their keys. Repeating is harmless.

        ``heard`` are those of them that the robot shall know of, ``told`` the event of each ``seq``
        that has one, ``then`` what happened by it, ``refused`` code and reason of each ``seq`` of
        the same call that becomes a dead letter; all become durable with it.
        """
        told, then = told or {}, then or {}
        seqs = [outcome.seq for outcome in outcomes]
        refusals = refused or {}

        def job(connection: sqlite3.Connection) -> int:
            robot.hear(connection, heard)
            happened = [
                event
                for seq in seqs
                if (seq in told or seq in then) and inbox.is_pending(connection, seq)
                for event in (*((told[seq],) if seq in told else ()), *then.get(seq, ()))
            ]
            events.append(connection, happened, _now())
            for seq, (code, reason) in refusals.items():
                dead_letters.bury(connection, seq, code, reason, _now())
            return inbox.settle(connection, seqs)

        def after(settled: int) -> None:
            self._drained.add(settled)
            if heard:
                self._heard.set()
            if told or then or refusals:
                self._tell(settled)

        await self._execute(job, after)

    async def bury(self, seq: int, *, code: str, reason: str) -> bool:
        """Make a pending entry a dead letter; False when it is not pending (any more)."""
        return await self._execute(
            lambda connection: dead_letters.bury(connection, seq, code, reason, _now()), self._tell
        )

    async def wait_pending(self) -> None:
        """Return when something may be pending that the last empty `pending` (without ``skip``)
        did not see."""
        self._check_open()
        await self._something.wait()

    def _wake(self, _: object) -> None:
        self._something.set()

    def _accepted(self, prepared: Sequence[inbox.Prepared]) -> Callable[[object], None]:
        """What to do when these are on the disk."""
        if all(entry.media is None for entry in prepared):
            return self._wake

        def wake(_: object) -> None:
            self._something.set()
            self._media.set()

        return wake

    def _claimed(self, rows: list[inbox.Row]) -> None:
        # In the order of the commits: an entry accepted later sets the new event.
        if not rows and self._something.is_set():
            self._something = trio.Event()

    # --- dead letters

    async def dead_letters(self, *, limit: int, after_seq: int = 0) -> list[DeadLetter]:
        """Oldest first, those with a ``seq`` above ``after_seq``."""
        return await self._execute(
            lambda connection: dead_letters.listed(connection, limit, after_seq)
        )

    async def dead_letter(self, seq: int) -> DeadLetter:
        """Raises NotFound."""
        return await self._execute(lambda connection: dead_letters.one(connection, seq))

    async def retry(self, seq: int, payload: Mapping[str, Any] | None = None) -> None:
        """Make a dead letter pending again, with ``payload`` in place of its own when given.

        It keeps its ``seq``, so it goes before all that came later. Raises NotFound.
        """
        text = None if payload is None else codec.encode_payload(payload)[0]
        await self._execute(
            lambda connection: dead_letters.retry(connection, seq, text), self._wake
        )

    async def archive(self) -> int:
        """Move all dead letters to ``archive/dead-letters-<time>-<n>.jsonl``; returns how many."""
        directory = self._path.parent / "archive"
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        moved = 0
        for part in range(1, 1_000_000):
            file = directory / f"dead-letters-{stamp}-{part:03d}.jsonl"
            try:
                letters = await self._execute(
                    partial(dead_letters.archive, file=file, limit=ARCHIVE_LIMIT)
                )
            except OSError as error:
                fault = diagnose(error)
                assert fault is not None
                raise fault.as_error() from error
            moved += len(letters)
            if len(letters) < ARCHIVE_LIMIT:
                break
        return moved

    # --- outbox

    async def submit(self, command: NewCommand, entry: NewEntry) -> Submitted:
        """Store a command and the entry of its message, both or none.

        The same idempotency key of the same connection gives the first command again when the
        request is the same. Raises Conflict (``idempotency_conflict`` when it is not,
        ``message_exists``) and NotFound (``connection_not_found``).
        """
        self._check_admission()
        prepared = inbox.prepare(entry)
        return await self._execute(
            lambda connection: outbox.submit(connection, command, prepared, _now()),
            self._accepted([prepared]),
        )

    async def submitted(self, connection_id: str, idempotency_key: str) -> Command | None:
        """The command that was submitted with this idempotency key."""
        return await self._execute(
            lambda connection: outbox.submitted(connection, connection_id, idempotency_key)
        )

    async def outgoing(
        self, connection_id: str, *, limit: int, after_seq: int = 0
    ) -> list[Command]:
        """Queued commands in the order they were submitted, those behind ``after_seq``."""
        return await self._execute(
            lambda connection: outbox.outgoing(connection, connection_id, limit, after_seq)
        )

    async def command(self, message_id: str, connection_id: str) -> Command | None:
        """The command that has this WhatsApp message id."""
        return await self._execute(
            lambda connection: outbox.find(connection, message_id, connection_id)
        )

    async def mark(
        self,
        connection_id: str,
        message_id: str,
        state: CommandState,
        *,
        error: str | None = None,
        at: datetime,
    ) -> bool:
        """Move a message of ours forward, and queue its status for Supabase with it.

        Also for messages sent from the phone, of which there is no command. ``unknown`` is kept
        here only: rows keep what was last known. Returns whether anything changed; a step back,
        a repetition or an unknown connection changes nothing.
        """
        return await self._execute(
            lambda connection: outbox.mark(
                connection, connection_id, message_id, state, error, codec.micros(at), _now()
            ),
            self._marked,
        )

    def _marked(self, _: object) -> None:
        self._something.set()
        self._tell(None)

    # --- robot

    async def unanswered(self, *, limit: int) -> list[Heard]:
        """What the robot heard and has not answered, in the order of the messages."""

        def after(found: list[Heard]) -> None:
            # In the order of the commits: what is heard later sets the new event.
            if not found and self._heard.is_set():
                self._heard = trio.Event()

        return await self._execute(lambda connection: robot.unanswered(connection, limit), after)

    async def wait_heard(self) -> None:
        """Return when there may be something that the last empty `unanswered` did not see."""
        await self._heard.wait()

    async def robot_states(self, ids: Sequence[str]) -> dict[str, RobotState]:
        """Where the robot is with these atendimentos."""
        return await self._execute(lambda connection: robot.states(connection, ids))

    async def robot_due(
        self, now: datetime, *, limit: int
    ) -> tuple[list[RobotState], datetime | None]:
        """The states that are due by ``now``, and when the next one is (also of these)."""
        at = codec.micros(now)
        due, following = await self._execute(
            lambda connection: (
                robot.due(connection, at, limit),
                robot.next_due(connection),
            )
        )
        return due, codec.optional_moment(following)

    async def robot_sent_lately(self, chat: str, now: datetime) -> int:
        """How many messages the robot sent to a chat in the present window."""
        at = codec.micros(now)
        return await self._execute(lambda connection: robot.sent_lately(connection, chat, at))

    async def robot_take(
        self,
        state: RobotState | None,
        *,
        answers: int | None,
        chat: str,
        now: datetime,
        messages: Sequence[tuple[NewCommand, NewEntry]] = (),
    ) -> bool:
        """Make a step of the robot durable: its state, what it says, and that it has answered.

        False, with nothing done, when it had been answered before. Raises what `submit` raises.
        """
        if messages:
            self._check_admission()
        prepared = [(command, inbox.prepare(entry)) for command, entry in messages]
        step = robot.RobotStep(state, answers, chat, prepared)
        return await self._execute(
            lambda connection: robot.take(connection, step, codec.micros(now)), self._wake
        )

    async def robot_mark(self, name: str) -> str | None:
        """How far the robot has read something that has no end."""
        return await self._execute(lambda connection: robot.mark(connection, name))

    async def set_robot_mark(self, name: str, value: str) -> None:
        """Remember it."""
        await self._execute(lambda connection: robot.set_mark(connection, name, value))

    # --- media

    async def transact(self, job: Job[T], *, wake: bool = False) -> T:
        """Run a function of this package's modules in a transaction.

        ``wake``: something may be due at once now.
        """
        return await self._execute(job, (lambda _: self._media.set()) if wake else None)

    async def wait_media(self) -> None:
        """Return when a file may have come that was not seen yet. One waiter."""
        await self._media.wait()
        self._media = trio.Event()

    # --- contacts

    async def alias(self, connection_id: str, name: str) -> Alias | None:
        """What is known of a customer's number or LID."""
        return await self._execute(lambda database: contacts.find(database, connection_id, name))

    async def use_alias(self, connection_id: str, name: str) -> None:
        """Messages are about to be stored under a name of which nobody knows whose it is."""
        await self._execute(lambda database: contacts.use(database, connection_id, name))

    async def meet(
        self, connection: Connection, people: Collection[tuple[str | None, str | None]]
    ) -> None:
        """Remember people as (number, LID); what was stored under other names is joined."""
        await self._execute(
            lambda database: contacts.meet(
                database, connection.owner_id, connection.id, people, _now()
            ),
            self._wake,
        )

    async def remember_checked(self, connection: Connection, answers: Collection[Checked]) -> None:
        """Remember what WhatsApp said of numbers; joins as `meet` does."""
        await self._execute(
            lambda database: contacts.remember(
                database, connection.owner_id, connection.id, answers, _now()
            ),
            self._wake,
        )

    # --- events

    async def record(self, happened: Sequence[Event]) -> None:
        """Write events into the log, in this order."""
        await self._execute(
            lambda connection: events.append(connection, happened, _now()), self._tell
        )

    async def events(self, after: str, *, limit: int) -> list[Event]:
        """The log behind ``after`` (an event's id; empty: from the oldest)."""
        return await self._execute(lambda connection: events.read(connection, after, limit))

    async def before_last_events(self, count: int) -> str:
        """The id behind which the last ``count`` events are; empty when that is all of them."""
        return await self._execute(lambda connection: events.before_last(connection, count))

    @property
    def news(self) -> trio.Event:
        """Set when the log has grown since it was asked for. Any number of waiters."""
        return self._news

    def _tell(self, _: object) -> None:
        self._news.set()
        self._news = trio.Event()

    # --- registry

    async def register(self, connection: Connection) -> None:
        """Remember a connection. Raises Conflict (``connection_exists``)."""
        self._check_admission()
        await self._execute(lambda database: registry.register(database, connection))

    async def connections(self) -> list[Connection]:
        """All, oldest first."""
        return await self._execute(registry.listed)

    async def connection(self, connection_id: str) -> Connection | None:
        """The connection of this id."""
        return await self._execute(lambda database: registry.find(database, connection_id))

    async def update_connection(self, connection_id: str, **changes: Any) -> Connection:
        """Change fields by name; returns the result. Raises NotFound."""
        return await self._execute(
            lambda database: registry.update(database, connection_id, changes)
        )

    async def forget(self, connection_id: str) -> None:
        """Drop a connection; what it had queued to send fails as ``connection_deleted``."""
        await self._execute(
            lambda database: registry.forget(database, connection_id, _now()), self._marked
        )

    # --- upkeep

    async def statistics(self) -> JournalStatistics:
        """Figures as of now."""
        reading, size = await self._execute(
            lambda connection: (statistics.read(connection), _file_bytes(self._path))
        )
        oldest = reading.oldest_accepted_at
        return JournalStatistics(
            **reading.totals._asdict(),
            oldest_pending_age=0.0 if oldest is None else max(0.0, (_now() - oldest) / 1e6),
            outbox=reading.outbox,
            drain_rate=self._drained.per_second(),
            file_bytes=size,
            commit_p50_ms=self._latencies.percentile(0.50),
            commit_p99_ms=self._latencies.percentile(0.99),
        )

    async def prune(self, keep: timedelta = RETENTION) -> int:
        """Forget keys and finished commands older than ``keep``; returns how many rows went."""
        before = codec.micros(datetime.now(UTC) - keep)
        total = 0
        while dropped := await self._execute(
            lambda connection: upkeep.prune(connection, before, PRUNE_LIMIT)
        ):
            total += dropped
        while dropped := await self._execute(
            lambda connection: upkeep.prune_events(connection, _now(), PRUNE_LIMIT)
        ):
            total += dropped
        return total

    async def touch(self) -> None:
        """A durable write that changes nothing: returns when the disk has taken it."""
        await self._execute(upkeep.touch)

    async def audit(self) -> list[str]:
        """Check the file and the accounts against the rows; empty when all is well."""
        return await self._execute(upkeep.audit)


def _now() -> int:
    return time.time_ns() // 1000


def _file_bytes(path: Path) -> int:
    size = 0
    for file in (path, path.with_name(f"{path.name}-wal")):
        try:
            size += file.stat().st_size
        except FileNotFoundError:
            continue
    return size
