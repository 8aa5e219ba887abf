"""The thread: many callers, one transaction, each its own outcome."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import asynccontextmanager

import pytest
import trio
from journal_support import until

from runtime.errors import Conflict, JournalUnavailable
from runtime.journal import thread as thread_module
from runtime.journal.statistics import Latencies
from runtime.journal.thread import GroupCommit


class Disk:
    """Opens a database of one table, counts commits, and can hold the thread back."""

    def __init__(self, path) -> None:
        self.path = path
        self.commits = 0
        self.closed = threading.Event()
        self.after_commit = lambda _connection: None

    def connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, factory=_Watched)
        connection.disk = self
        connection.execute("CREATE TABLE IF NOT EXISTS t (value UNIQUE)")
        return connection

    def rows(self) -> list:
        connection = sqlite3.connect(self.path)
        try:
            return [row[0] for row in connection.execute("SELECT value FROM t ORDER BY rowid")]
        finally:
            connection.close()


class _Watched(sqlite3.Connection):
    disk: Disk

    def execute(self, statement, *arguments):
        result = super().execute(statement, *arguments)
        self.disk.commits += statement == "COMMIT"
        return result

    def close(self):
        super().close()
        self.disk.closed.set()


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path / "t.sqlite")


@asynccontextmanager
async def serving(disk):
    engine = GroupCommit(disk.connect, disk.after_commit, Latencies())
    opened = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.run, opened.set)
        await opened.wait()
        yield engine
        nursery.cancel_scope.cancel()
    assert disk.closed.is_set()


def insert(value):
    return lambda connection: connection.execute("INSERT INTO t VALUES (?)", (value,)).rowcount


class Hold:
    """A job that keeps the thread busy until it is released."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._released = threading.Event()

    def __call__(self, _connection) -> None:
        self._begun.set()
        assert self._released.wait(10)

    async def begun(self) -> None:
        await until(self._begun.is_set)

    def release(self) -> None:
        self._released.set()


async def outcome(engine, job):
    try:
        return await engine.execute(job)
    except Exception as error:
        return error


async def together(engine, jobs):
    """The outcomes of jobs that are queued while the thread is busy: they form one group."""
    hold = Hold()
    results: dict[int, object] = {}

    async def run(index, job):
        results[index] = await outcome(engine, job)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(engine.execute, hold)
        await hold.begun()
        for index, job in enumerate(jobs):
            nursery.start_soon(run, index, job)
            await trio.testing.wait_all_tasks_blocked()
        hold.release()
    return [results[index] for index in range(len(jobs))]


async def test_callers_that_wait_together_share_one_commit(disk):
    async with serving(disk) as engine:
        await engine.execute(insert("first"))
        before = disk.commits
        assert await together(engine, [insert(number) for number in range(50)]) == [1] * 50
        assert disk.commits - before == 2  # the holder's and the group's
    assert disk.rows() == ["first", *range(50)]


async def test_a_job_that_raises_before_it_writes_spoils_nobody(disk):
    def refuse(_connection):
        raise Conflict("não")

    async with serving(disk) as engine:
        first, second, third = await together(engine, [insert(1), refuse, insert(3)])
    assert (first, third) == (1, 1)
    assert isinstance(second, Conflict)
    assert disk.rows() == [1, 3]


async def test_what_a_failed_job_wrote_is_undone_and_the_rest_kept(disk):
    def half(connection):
        connection.execute("INSERT INTO t VALUES ('half')")
        raise ValueError("late")

    def twice(connection):
        connection.execute("INSERT INTO t VALUES (1)")

    async with serving(disk) as engine:
        results = await together(engine, [insert(1), half, twice, insert(4)])
    assert (results[0], results[3]) == (1, 1)
    assert isinstance(results[1], ValueError)
    assert isinstance(results[2], sqlite3.IntegrityError)
    assert disk.rows() == [1, 4]


async def test_a_cancelled_caller_leaves_at_once_and_its_job_is_still_done(disk):
    hold = Hold()
    seen = []
    async with serving(disk) as engine, trio.open_nursery() as nursery:
        nursery.start_soon(engine.execute, hold)
        await hold.begun()
        with trio.move_on_after(0.01) as scope:
            await engine.execute(insert(1), seen.append)
        assert scope.cancelled_caught
        hold.release()
        await until(lambda: seen == [1])
    assert disk.rows() == [1]


async def test_when_the_queue_is_full_callers_wait_for_a_place(disk, monkeypatch):
    monkeypatch.setattr(thread_module, "JOB_QUEUE_LIMIT", 4)
    hold = Hold()
    done = []

    async def run(number):
        await engine.execute(insert(number))
        done.append(number)

    async with serving(disk) as engine, trio.open_nursery() as nursery:
        nursery.start_soon(engine.execute, hold)
        await hold.begun()
        for number in range(20):
            nursery.start_soon(run, number)
        await trio.testing.wait_all_tasks_blocked()
        assert engine._queue.qsize() == 3
        hold.release()
        await until(lambda: len(done) == 20)


async def test_a_stop_serves_what_was_queued_and_refuses_what_comes_later(disk):
    hold = Hold()
    results: dict[str, object] = {}

    async def run(name, job):
        results[name] = await outcome(engine, job)

    async with trio.open_nursery() as callers:
        async with serving(disk) as engine:
            callers.start_soon(run, "holding", hold)
            await hold.begun()
            callers.start_soon(run, "queued", insert(1))
            await trio.testing.wait_all_tasks_blocked()
            threading.Timer(0.1, hold.release).start()
        await run("late", insert(2))
    assert results["queued"] == 1
    assert isinstance(results["late"], JournalUnavailable)
    assert disk.rows() == [1]


async def test_a_stop_is_bounded_and_answers_everyone(disk, monkeypatch):
    monkeypatch.setattr(thread_module, "DRAIN_SECONDS", 0.0)
    hold = Hold()
    results: dict[int, object] = {}

    async def run(number):
        results[number] = await outcome(engine, insert(number))

    async with trio.open_nursery() as callers, serving(disk) as engine:
        callers.start_soon(engine.execute, hold)
        await hold.begun()
        for number in range(5):
            callers.start_soon(run, number)
        await trio.testing.wait_all_tasks_blocked()
        threading.Timer(0.05, hold.release).start()
    assert [type(result) for result in results.values()] == [JournalUnavailable] * 5
    assert disk.rows() == []


async def test_a_failed_commit_refuses_the_whole_group_and_all_that_follow(disk):
    class Full(sqlite3.OperationalError):
        sqlite_errorcode = sqlite3.SQLITE_FULL
        sqlite_errorname = "SQLITE_FULL"

    def fail(_connection):
        raise Full("database or disk is full")

    engine = GroupCommit(disk.connect, disk.after_commit, Latencies())
    opened = trio.Event()
    caught = []

    async def run():
        try:
            await engine.run(opened.set)
        except sqlite3.OperationalError as error:
            caught.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await opened.wait()
        results = await together(engine, [insert(1), fail, insert(3)])
    late = await outcome(engine, insert(4))
    assert [type(result) for result in (*results, late)] == [JournalUnavailable] * 4
    assert {result.code for result in results} == {"journal_disk_full"}
    assert len(caught) == 1
    assert disk.rows() == []
    assert disk.closed.is_set()


async def test_a_failure_after_a_commit_harms_only_those_who_come_later(disk):
    def fail(_connection):
        raise sqlite3.DatabaseError("malformed")

    disk.after_commit = fail
    engine = GroupCommit(disk.connect, disk.after_commit, Latencies())
    opened = trio.Event()
    async with trio.open_nursery() as nursery:

        async def run():
            with pytest.raises(sqlite3.DatabaseError):
                await engine.run(opened.set)

        nursery.start_soon(run)
        await opened.wait()
        assert await engine.execute(insert(1)) == 1
    assert isinstance(await outcome(engine, insert(2)), JournalUnavailable)
    assert disk.rows() == [1]


async def test_a_database_that_does_not_open_is_reported(tmp_path):
    missing = Disk(tmp_path / "missing" / "t.sqlite")
    engine = GroupCommit(missing.connect, missing.after_commit, Latencies())
    with pytest.raises(sqlite3.OperationalError):
        await engine.run(lambda: None)
