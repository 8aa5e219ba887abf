"""Group commit: one thread owns the connection and commits many callers at once.

A sync takes as long for one row as for a thousand, so whatever is queued when the thread comes
back from a commit goes into the next transaction together; each caller hears of its own outcome
only after that transaction is on the disk.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import trio

from ..errors import JournalUnavailable
from ..failpoints import failpoint
from .faults import Fault, diagnose, is_job_error
from .statistics import Latencies

_log = logging.getLogger("zapvisor.journal")

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

JOB_QUEUE_LIMIT = 1024
"""Calls waiting for the thread; further callers wait for a place."""

GROUP_LIMIT = 256
"""Calls that share one transaction at most, which bounds what a failed one takes along."""

DRAIN_SECONDS = 5.0
"""How long a stop goes on serving what was queued; the rest is refused."""


class _Call(Generic[T]):
    __slots__ = ("after", "answered", "error", "job", "submitted_at", "value")

    def __init__(self, job: Job[T], after: Callable[[T], None] | None) -> None:
        self.job = job
        self.after = after
        self.value: T | None = None
        self.error: BaseException | None = None
        self.answered = trio.Event()
        self.submitted_at = time.perf_counter()


class _Spoiled(Exception):
    """A job failed after it had written: what the group wrote must be undone."""


class GroupCommit:
    """Runs jobs on one SQLite connection in one thread.

    Args:
        connect: called in the thread; its connection is closed there.
        after_commit: called in the thread after each commit, when its callers are answered.
        latencies: receives the milliseconds from each call to its durable answer.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        after_commit: Callable[[sqlite3.Connection], None],
        latencies: Latencies,
    ) -> None:
        self._connect = connect
        self._after_commit = after_commit
        self._latencies = latencies
        self._queue: queue.SimpleQueue[_Call[Any] | None] = queue.SimpleQueue()
        self._places = trio.Semaphore(JOB_QUEUE_LIMIT, max_value=JOB_QUEUE_LIMIT)
        self._refusal: JournalUnavailable | None = None
        self.fault: Fault | None = None
        """Why the database failed, known before the connection is closed; None while it has not."""
        self._drain_until = float("inf")

    @property
    def refuses(self) -> bool:
        """Whether calls are refused: it stops, or its database has failed."""
        return self._refusal is not None

    async def run(self, opened: Callable[[], None]) -> None:
        """Open the connection, call ``opened``, and serve until cancelled or until it fails.

        When cancelled, what was queued is still served, for at most ``DRAIN_SECONDS``, before
        the connection is closed and the cancellation goes on; the thread is never left behind.
        A failure of the database is raised as it came; every unanswered caller gets
        JournalUnavailable.
        """
        token = trio.lowlevel.current_trio_token()
        failure: BaseException | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._stop_when_cancelled)
                # Not abandoned on cancel, and bounded by the stop above.
                failure = await trio.to_thread.run_sync(
                    self._work, token, opened, limiter=trio.CapacityLimiter(1)
                )
                nursery.cancel_scope.cancel()
        finally:
            self._refuse_rest()
        if failure is not None:
            raise failure

    async def execute(self, job: Job[T], after: Callable[[T], None] | None = None) -> T:
        """Run ``job`` in a transaction; returns its value once that is on the disk.

        What ``job`` raises is raised here, and nothing it wrote remains. It may run twice (the
        first run undone), so it must touch nothing but the connection. A cancelled caller leaves
        at once; its job may still be committed. ``after`` is called in the trio thread in the
        order of the commits, also when the caller has left.

        Raises JournalUnavailable when the journal stops or fails first: then the outcome is
        unknown, and repeating the call must be harmless.
        """
        try:
            self._places.acquire_nowait()
        except trio.WouldBlock:
            await self._places.acquire()
        if self._refusal is not None:
            self._places.release()
            raise self._refusal
        call = _Call(job, after)
        self._queue.put(call)
        await call.answered.wait()
        if call.error is not None:
            raise call.error
        return call.value  # type: ignore[return-value]

    async def _stop_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self._drain_until = time.monotonic() + DRAIN_SECONDS
            self._refusal = _stopped()
            self._queue.put(None)

    def _fail(self, failure: Exception, group: list[_Call[Any]]) -> None:
        """The database has failed: refuse whoever comes, answer those it concerns."""
        _log.error("journal database failed: %s", str(failure).partition("\n")[0])
        self.fault = diagnose(failure)
        self._refusal = _stopped() if self.fault is None else self.fault.as_error()
        for call in group:
            call.error = self._refusal
        self._answer(group)

    def _refuse_rest(self) -> None:
        """After the thread ended: answer everyone who still waits."""
        if self._refusal is None:
            self._refusal = _stopped()
        left: list[_Call[Any]] = []
        while True:
            try:
                call = self._queue.get_nowait()
            except queue.Empty:
                break
            if call is not None:
                call.error = self._refusal
                left.append(call)
        self._answer(left)

    # --- in the thread

    def _work(
        self, token: trio.lowlevel.TrioToken, opened: Callable[[], None]
    ) -> BaseException | None:
        group: list[_Call[Any]] = []
        try:
            connection = self._connect()
        except Exception as error:
            token.run_sync_soon(self._fail, error, group)
            return error
        try:
            token.run_sync_soon(opened)
            while group := self._next_group():
                commit(connection, group)
                token.run_sync_soon(self._answer, group)
                group = []
                self._after_commit(connection)
        except Exception as error:
            token.run_sync_soon(self._fail, error, group)
            return error
        finally:
            # Checkpoints: every committed page is written anew before that sync, so it rests on
            # no sync that failed before. It cannot take long: the log is a few MB.
            connection.close()
        return None

    def _next_group(self) -> list[_Call[Any]]:
        """Wait for a call, take what else is queued; empty means stop."""
        first = self._queue.get()
        if first is None or time.monotonic() > self._drain_until:
            if first is not None:
                self._queue.put(first)
            return []
        group = [first]
        while len(group) < GROUP_LIMIT:
            try:
                call = self._queue.get_nowait()
            except queue.Empty:
                break
            if call is None:
                self._queue.put(None)
                break
            group.append(call)
        return group

    def _answer(self, group: list[_Call[Any]]) -> None:
        """In the trio thread: tell each caller."""
        now = time.perf_counter()
        for call in group:
            self._places.release()
            if call.error is None:
                self._latencies.add((now - call.submitted_at) * 1000)
                if call.after is not None:
                    call.after(call.value)
            call.answered.set()


def _stopped() -> JournalUnavailable:
    return JournalUnavailable(
        "A fila durável não está em execução.", code="journal_stopped", retry_after=5.0
    )


def commit(connection: sqlite3.Connection, group: list[_Call[Any]]) -> None:
    """Run every job of the group in one transaction and sync it.

    A job that raises does not spoil the others. Raises only for a failure of the database, after
    which nothing of the group may be reported as done.
    """
    before = connection.total_changes
    connection.execute("BEGIN")
    try:
        for call in group:
            written = connection.total_changes
            try:
                call.value = call.job(connection)
            except Exception as error:
                if not is_job_error(error):
                    raise
                call.error = error
                if connection.total_changes != written:
                    raise _Spoiled from None
        _commit(connection, writes=connection.total_changes != before)
    except _Spoiled:
        # Savepoints cost a little, so only a group that needs them is run with them.
        connection.execute("ROLLBACK")
        _commit_with_savepoints(connection, group)


def _commit_with_savepoints(connection: sqlite3.Connection, group: list[_Call[Any]]) -> None:
    connection.execute("BEGIN")
    for call in group:
        connection.execute("SAVEPOINT job")
        call.error = None
        try:
            call.value = call.job(connection)
        except Exception as error:
            if not is_job_error(error):
                raise
            call.error = error
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
    _commit(connection, writes=True)


def _commit(connection: sqlite3.Connection, *, writes: bool) -> None:
    if writes:
        failpoint("journal-write")
    connection.execute("COMMIT")
    if writes:
        failpoint("fsync")
