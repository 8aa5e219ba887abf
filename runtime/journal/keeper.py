"""The supervised child that keeps the journal's database open, and says whether it takes work."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio

from supervisors import Backoff, ChildContext, Delays, Escalate, Park

from ..distribution import Distribution
from ..errors import JournalUnavailable
from ..reasons import about
from .database import Checkpoints, open_database
from .faults import Fault, FileReplaced, diagnose
from .lock import DataDirectoryInUse, DataDirectoryLock
from .records import JournalState
from .statistics import Latencies
from .thread import GroupCommit, Job

_log = logging.getLogger("zapvisor.journal")

T = TypeVar("T")

RESERVE_BYTES = 32 * 1024 * 1024
"""With less room than this on the disk new work is refused, so that the backlog can still leave."""

PULSE_SECONDS = 1.0
REOPEN = Backoff(first=1.0, cap=30.0, reset_after=30.0)


class Keeper:
    """Owns the file: one process, one thread, one connection.

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
        self._opened = trio.Event()
        self._latencies = Latencies()

    @property
    def state(self) -> JournalState:
        """Whether it takes work, and why not."""
        fault = None if self._engine is None else self._engine.fault
        return self._state if fault is None else _unavailable(fault)

    @property
    def commit_seconds(self) -> Distribution:
        """From each call to its durable answer, since the start of the process."""
        return self._latencies.seconds

    async def wait_open(self) -> None:
        """Return when calls are taken; new work may still be refused for want of room."""
        while self._engine is None or self._engine.refuses:
            if self._opened.is_set():
                self._opened = trio.Event()
            await self._opened.wait()

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
                _log.error("journal unusable (%s)", fault.code, extra={"text": fault.text})
                raise Park(fault.reason, fault.code) from failure
            # A full disk now and then must not become an ever longer wait.
            if trio.current_time() - started > REOPEN.reset_after:
                delays.reset()
            delay = delays.next(REOPEN.first)
            _log.error(
                "journal unavailable (%s), opened again in %.0f s",
                fault.code,
                delay,
                extra={"text": fault.text},
            )
            ctx.ready()
            with ctx.idle():
                await trio.sleep(delay)

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
        room = partial(self._room, inode=self._path.stat().st_ino)
        try:
            # Judged before anybody learns that it is open: who waited would be refused once more.
            self._judge_room(await engine.execute(room))
            self._engine = engine
            self._opened.set()
            self._something.set()
            while True:
                ctx.ready()
                ctx.beat()
                await trio.sleep(PULSE_SECONDS)
                self._judge_room(await engine.execute(room))
        except JournalUnavailable:
            return  # the engine has failed and says why itself

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
                "draining", "journal_disk_full", f"Restam só {room >> 20} MiB no disco."
            )

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
            details={"reason": state.reason or about("journal_stopped").pt},
            retry_after=10.0 if state.name in ("draining", "unavailable") else 5.0,
        )


def _unavailable(fault: Fault) -> JournalState:
    return JournalState("unavailable", fault.code, fault.reason)


_STOPPED = JournalState("stopped", "journal_stopped", about("journal_stopped").pt)
