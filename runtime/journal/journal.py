"""The journal as a supervised child, and its methods for everyone else."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import trio

from supervisors import Backoff, ChildContext, Delays, Escalate, Park

from ..errors import JournalUnavailable
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
from .database import Checkpoints, open_database
from .faults import Fault, FileReplaced, diagnose
from .lock import DataDirectoryInUse, DataDirectoryLock
from .records import (
    Accepted,
    Command,
    CommandState,
    Connection,
    DeadLetter,
    Entry,
    JournalState,
    JournalStatistics,
    NewCommand,
    NewEntry,
    Stored,
    Submitted,
)
from .robot import Heard, RobotState
from .statistics import DrainRate, Latencies
from .thread import GroupCommit, Job

_log = logging.getLogger("zapvisor.journal")

T = TypeVar("T")

RETENTION = timedelta(days=14)
"""How long keys and finished commands are remembered: as long as WhatsApp may deliver again."""

RESERVE_BYTES = 32 * 1024 * 1024
"""With less room than this on the disk new work is refused, so that the backlog can still leave."""

PULSE_SECONDS = 1.0
REOPEN = Backoff(first=1.0, cap=30.0, reset_after=30.0)
PRUNE_LIMIT = 5000
ARCHIVE_LIMIT = 1000


class Journal:
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
        self._path = path
        self._reserve = reserve_bytes
        self._engine: GroupCommit | None = None
        self._state = _STOPPED
        self._something = trio.Event()
        self._heard = trio.Event()
        self._media = trio.Event()
        self._news = trio.Event()
        self._latencies = Latencies()
        self._drained = DrainRate()

    @property
    def state(self) -> JournalState:
        """Whether it takes work, and why not."""
        fault = None if self._engine is None else self._engine.fault
        return self._state if fault is None else _unavailable(fault)

    # --- the child

    async def run(self, ctx: ChildContext) -> None:
        """Keep the database open until cancelled.

        Ready after the first attempt to open it. A full disk or an I/O error closes it and opens
        it anew later, again and again; damage or a file of a newer release parks (with a copy of
        the damaged file kept beside it); another process on the same directory escalates.
        """
        try:
            with DataDirectoryLock(self._path.parent, f"{self._path.name}.lock"):
                await self._keep_open(ctx)
        except DataDirectoryInUse as error:
            self._state = JournalState("unavailable", error.code, error.message)
            raise Escalate(error.message, error.code) from error
        finally:
            self._engine = None
            self._something.set()
            if self._state.name != "unavailable":
                self._state = _STOPPED

    async def _keep_open(self, ctx: ChildContext) -> None:
        delays = Delays(REOPEN)
        while True:
            started = trio.current_time()
            failure = await self._serve(ctx)
            fault = diagnose(failure)
            if fault is None:
                raise failure
            self._close(fault)
            if fault.permanent:
                raise Park(fault.reason, fault.code) from failure
            # A full disk now and then must not become an ever longer wait.
            if trio.current_time() - started > REOPEN.reset_after:
                delays.reset()
            delay = delays.next(REOPEN.first)
            _log.error("journal unavailable (%s), opened again in %.0f s", fault.code, delay)
            ctx.ready()
            await self._rest(ctx, delay)

    async def _serve(self, ctx: ChildContext) -> Exception:
        """Serve with one connection until it fails; returns why."""
        engine = GroupCommit(partial(open_database, self._path), Checkpoints(), self._latencies)
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            opened = trio.Event()
            nursery.start_soon(self._pulse, ctx, engine, opened)
            try:
                await engine.run(opened.set)
            except Exception as error:
                failure = error
            nursery.cancel_scope.cancel()
        self._engine = None
        assert failure is not None
        return failure

    async def _pulse(self, ctx: ChildContext, engine: GroupCommit, opened: trio.Event) -> None:
        """Beat through the thread, and watch the room on the disk."""
        await opened.wait()
        inode = self._path.stat().st_ino
        self._engine = engine
        self._something.set()
        try:
            while True:
                self._judge_room(await engine.execute(partial(self._room, inode=inode)))
                ctx.ready()
                ctx.beat()
                await trio.sleep(PULSE_SECONDS)
        except JournalUnavailable:
            return  # the engine has failed and says why itself

    async def _rest(self, ctx: ChildContext, seconds: float) -> None:
        until = trio.current_time() + seconds
        while (left := until - trio.current_time()) > 0:
            ctx.beat()
            await trio.sleep(min(left, PULSE_SECONDS))

    def _close(self, fault: Fault) -> None:
        self._state = _unavailable(fault)
        self._something.set()  # whoever waits for entries must learn of it

    def _room(self, connection: sqlite3.Connection, inode: int) -> int:
        """Bytes that entries may still take. In the thread: a stuck disk would block."""
        try:
            replaced = self._path.stat().st_ino != inode
        except FileNotFoundError:
            replaced = True
        if replaced:
            raise FileReplaced(f"{self._path} was removed or replaced while it was in use")
        free = shutil.disk_usage(self._path.parent).free
        (pages,) = connection.execute("PRAGMA freelist_count").fetchone()
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        # Free pages inside the file help only as far as the log has room to carry them.
        return int(free + min(free, pages * page_size))

    def _judge_room(self, room: int) -> None:
        if self._state.name == "draining" and room < self._reserve * 5 // 4:
            return
        if room >= self._reserve:
            if self._state.name != "available":
                _log.info("journal available")
            self._state = JournalState("available")
        else:
            _log.error("journal refuses new work: %d MiB left on the disk", room >> 20)
            self._state = JournalState(
                "draining", "journal_disk_full", f"only {room >> 20} MiB left on the disk"
            )

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
    ) -> None:
        """These are in Supabase: drop their payloads, keep their keys. Repeating is harmless.

        ``heard`` are those of them that the robot shall know of, ``told`` the event of each ``seq``
        that has one; both become durable with it.
        """
        seqs = [outcome.seq for outcome in outcomes]

        def job(connection: sqlite3.Connection) -> int:
            robot.hear(connection, heard)
            happened = [
                event for seq, event in (told or {}).items() if inbox.is_pending(connection, seq)
            ]
            events.append(connection, happened, _now())
            return inbox.settle(connection, seqs)

        def after(settled: int) -> None:
            self._drained.add(settled)
            if heard:
                self._heard.set()
            if told:
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

    async def outgoing(self, connection_id: str, *, limit: int) -> list[Command]:
        """Queued commands in the order they were submitted."""
        return await self._execute(
            lambda connection: outbox.outgoing(connection, connection_id, limit)
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
        """Run statements of `runtime.journal.media` in a transaction.

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

    # ---

    async def _execute(self, job: Job[T], after: Callable[[T], None] | None = None) -> T:
        return await self._check_open().execute(job, after)

    def _check_open(self) -> GroupCommit:
        if self._engine is None:
            raise self._refusal()
        return self._engine

    def _check_admission(self) -> None:
        if self.state.name != "available":
            raise self._refusal()

    def _refusal(self) -> JournalUnavailable:
        state = self.state
        return JournalUnavailable(
            "A fila durável não está aceitando mensagens no momento.",
            code=state.code or "journal_stopped",
            details={"reason": state.reason or "the journal is not running"},
            retry_after=10.0 if state.name in ("draining", "unavailable") else 5.0,
        )


def _unavailable(fault: Fault) -> JournalState:
    return JournalState("unavailable", fault.code, fault.reason)


_STOPPED = JournalState("stopped", "journal_stopped", "the journal is not running")


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
