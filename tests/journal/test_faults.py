"""Full disks, damage, a second process: refused clearly, nothing acknowledged is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import trio
from journal_support import connection, everything_pending, message, running, until

from runtime.errors import JournalUnavailable
from runtime.journal import DataDirectoryInUse, DataDirectoryLock, Journal, NewEntry, Stored, keeper
from runtime.journal.database import open_database
from runtime.journal.faults import diagnose
from runtime.journal.schema import MIGRATIONS, migrate
from supervisors import Backoff, Escalate, Park
from tests.child_context import Context


async def fill(journal, limit=100_000):
    """Accept until it refuses; returns what was acknowledged and the refusal."""
    acknowledged = []
    for number in range(limit):
        key = f"k{number}"
        try:
            await journal.accept([message(key, "x" * 5000)])
        except JournalUnavailable as error:
            return acknowledged, error
        acknowledged.append(key)
    raise AssertionError("it never refused")


def limited(pages: dict[str, int]):
    """`open_database`, with a file that cannot grow beyond ``pages["max"]``."""

    def connect(path):
        opened = open_database(path)
        opened.execute(f"PRAGMA max_page_count = {pages['max']}")
        return opened

    return connect


async def test_a_full_database_refuses_and_goes_on_when_there_is_room(path, monkeypatch):
    pages = {"max": 200}
    monkeypatch.setattr(keeper, "open_database", limited(pages))
    monkeypatch.setattr(keeper, "REOPEN", Backoff(first=0.05, cap=30.0))
    async with running(path) as journal:
        acknowledged, error = await fill(journal)
        assert error.code == "journal_disk_full"
        assert error.retry_after > 0
        pages["max"] = 100_000
        await until(lambda: journal.state.name == "available")
        pending = [entry.key for entry in await everything_pending(journal)]
        # The refused one was rolled back or, at worst, stored without an answer.
        assert pending[: len(acknowledged)] == acknowledged
        await journal.accept([message("after")])
        assert await journal.audit() == []


async def test_who_waits_for_the_database_goes_on_when_it_is_open_again(path, monkeypatch):
    may_open = threading.Event()
    may_open.set()
    connect = limited({"max": 200})

    def connect_when_it_may(path):
        assert may_open.wait(20)
        return connect(path)

    monkeypatch.setattr(keeper, "open_database", connect_when_it_may)
    monkeypatch.setattr(keeper, "REOPEN", Backoff(first=0.05, cap=30.0))
    journal = Journal(path)
    with trio.move_on_after(0.05) as impatience:
        await journal.wait_open()
    assert impatience.cancelled_caught
    async with running(path) as journal:
        for _ in range(2):
            may_open.clear()
            await fill(journal)
            with pytest.raises(JournalUnavailable):
                await journal.pending(limit=1, max_bytes=1)
            with trio.move_on_after(0.05) as impatience:
                await journal.wait_open()
            assert impatience.cancelled_caught
            may_open.set()
            with trio.fail_after(10):
                await journal.wait_open()
            assert await journal.pending(limit=1, max_bytes=1)
            assert journal.state.name == "available"


async def test_a_full_file_system_refuses_and_what_was_acknowledged_is_there(small_disk):
    path = small_disk / "journal.sqlite"
    async with running(path, reserve_bytes=0) as journal:
        acknowledged, error = await fill(journal)
        assert error.code in ("journal_disk_full", "journal_io_error", "journal_stopped")
    assert len(acknowledged) > 20
    (small_disk / "ballast").unlink()
    async with running(path, reserve_bytes=0) as journal:
        pending = [entry.key for entry in await everything_pending(journal)]
        assert pending[: len(acknowledged)] == acknowledged
        assert await journal.audit() == []


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB with 1 MB of ballast, or a limit on the size of files without one."""
    point = tmp_path / "small"
    point.mkdir()
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", point],
            capture_output=True,
        ).returncode
        == 0
    )
    if not mounted:
        import resource

        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        import signal

        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * 1024 * 1024, before[1]))
    (point / "ballast").write_bytes(b"x" * 1024 * 1024)
    yield point
    if mounted:
        subprocess.run(["umount", point], check=True)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


async def test_with_little_room_it_refuses_new_work_but_lets_the_backlog_leave(path, monkeypatch):
    room = {"bytes": 10**9}
    monkeypatch.setattr(Journal, "_room", lambda _self, _connection, inode: room["bytes"])
    monkeypatch.setattr(keeper, "PULSE_SECONDS", 0.01)
    async with running(path, reserve_bytes=1000) as journal:
        await journal.accept([message("k")])
        room["bytes"] = 999
        await until(lambda: journal.state.name == "draining")
        for call in (journal.accept([message("l")]), journal.register(connection())):
            with pytest.raises(JournalUnavailable) as caught:
                await call
            assert caught.value.code == "journal_disk_full"
        (entry,) = await everything_pending(journal)
        await journal.settle([Stored(entry.seq, "inserted")])
        room["bytes"] = 1200
        await trio.sleep(0.05)
        assert journal.state.name == "draining", "it must not flap at the limit"
        room["bytes"] = 1300
        await until(lambda: journal.state.name == "available")
        await journal.accept([message("l")])


async def test_an_io_error_closes_the_file_and_opens_it_anew(path, monkeypatch):
    monkeypatch.setattr(keeper, "REOPEN", Backoff(first=0.05, cap=30.0))

    class BrokenDisk(sqlite3.OperationalError):
        sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        sqlite_errorname = "SQLITE_IOERR_FSYNC"

    connections = []

    class Failing(sqlite3.Connection):
        broken = False

        def execute(self, statement, *arguments):
            if self.broken and statement == "COMMIT":
                raise BrokenDisk("disk I/O error")
            return super().execute(statement, *arguments)

    connect = sqlite3.connect

    def failing(*arguments, **options):
        connections.append(connect(*arguments, factory=Failing, **options))
        return connections[-1]

    monkeypatch.setattr(sqlite3, "connect", failing)
    async with running(path) as journal:
        await journal.accept([message("before")])
        connections[-1].broken = True
        with pytest.raises(JournalUnavailable) as caught:
            await journal.accept([message("lost")])
        assert caught.value.code == "journal_io_error"
        await until(lambda: journal.state.name == "available" and len(connections) == 2)
        answers = await journal.accept([message("before"), message("lost")])
        assert [answer.duplicate for answer in answers] == [True, False]


async def give_up(journal):
    try:
        with trio.fail_after(10):
            await journal.run(Context())
    except (Park, Escalate) as verdict:
        return verdict
    raise AssertionError("it did not give up")


async def test_an_error_at_a_checkpoint_is_not_overlooked(path, monkeypatch):
    monkeypatch.setattr(keeper, "REOPEN", Backoff(first=0.05, cap=30.0))
    checkpoints = []

    def refuse(_self, _connection):
        checkpoints.append(1)
        if len(checkpoints) == 5:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr("runtime.journal.database.Checkpoints.__call__", refuse)
    async with running(path) as journal:
        for number in range(10):
            await accept_until_taken(journal, message(f"k{number}"))
        assert len(await everything_pending(journal)) == 10
        assert len(checkpoints) > 5


async def accept_until_taken(journal, entry):
    with trio.fail_after(10):
        while True:
            try:
                return await journal.accept([entry])
            except JournalUnavailable:
                await trio.sleep(0.01)


async def test_the_log_stays_small_while_much_is_written(path, monkeypatch):
    async with running(path) as journal:
        for _ in range(20):
            await journal.accept([NewEntry("session", None, {"x": "y" * 500})] * 1000)
            entries = await everything_pending(journal)
            await journal.settle([Stored(entry.seq, "updated") for entry in entries])
        log = path.with_name(f"{path.name}-wal")
        assert log.stat().st_size < 16 * 1024 * 1024


async def test_a_file_that_was_removed_is_noticed(path, monkeypatch):
    monkeypatch.setattr(keeper, "PULSE_SECONDS", 0.01)
    monkeypatch.setattr(keeper, "REOPEN", Backoff(first=0.05, cap=30.0))
    async with running(path) as journal:
        await journal.accept([message("k")])
        path.unlink()
        await until(path.exists)
        await until(lambda: journal.state.name == "available")
        answers = await journal.accept([message("k")])
        assert not answers[0].duplicate


@pytest.mark.parametrize("damage", ["header", "pages", "torn"])
async def test_a_damaged_file_parks_and_a_copy_is_kept(path, damage):
    async with running(path) as journal:
        await journal.accept([message(f"k{number}", "x" * 2000) for number in range(200)])
    content = bytearray(path.read_bytes())
    if damage == "header":
        content[0:16] = b"\xff" * 16
    elif damage == "pages":
        for page in range(2, len(content) // 4096, 3):
            content[page * 4096 : page * 4096 + 64] = os.urandom(64)
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)
    journal = Journal(path)
    verdict = await give_up(journal)
    assert isinstance(verdict, Park)
    assert verdict.code == "journal_corrupt"
    assert (journal.state.name, journal.state.code) == ("unavailable", "journal_corrupt")
    with pytest.raises(JournalUnavailable) as caught:
        await journal.accept([message("k")])
    assert caught.value.code == "journal_corrupt"
    copies = [file for file in path.parent.iterdir() if ".corrupt-" in file.name]
    assert any(file.read_bytes() == content for file in copies)
    await give_up(Journal(path))
    assert len(list(path.parent.glob("*.corrupt-*"))) == len(copies)


async def test_damage_found_while_running_parks_too(path):
    journal = Journal(path)
    verdicts = []

    async def run():
        verdicts.append(await give_up(journal))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await until(lambda: journal.state.name == "available")
        await journal.accept([message("k")])
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT"

        def fail(_connection):
            raise error

        with pytest.raises(JournalUnavailable):
            await journal._execute(fail)
    assert verdicts[0].code == "journal_corrupt"


async def test_a_file_of_a_newer_release_is_not_touched(path):
    async with running(path):
        pass
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    newer.close()
    verdict = await give_up(Journal(path))
    assert (type(verdict), verdict.code) == (Park, "journal_too_new")


def test_migrations_are_applied_once(tmp_path):
    opened = sqlite3.connect(tmp_path / "x.sqlite", isolation_level=None)
    assert migrate(opened) == len(MIGRATIONS)
    tables = opened.execute("SELECT name FROM sqlite_schema ORDER BY 1").fetchall()
    assert migrate(opened) == len(MIGRATIONS)
    assert opened.execute("SELECT name FROM sqlite_schema ORDER BY 1").fetchall() == tables
    opened.close()


async def test_files_are_for_the_owner_alone(path):
    async with running(path) as journal:
        await journal.accept([message("k")])
        files = [file for file in path.parent.iterdir() if file.is_file()]
        assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
        assert len(files) == 3, "the database, its log and the lock"
        assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_the_pragmas_that_the_promise_rests_on(path):
    async with running(path) as journal:

        def read(database):
            names = ("journal_mode", "synchronous", "locking_mode", "auto_vacuum")
            return [database.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

        assert await journal._execute(read) == ["wal", 2, "exclusive", 2]


# --- a second process


async def test_a_second_journal_on_the_same_file_is_refused_with_the_pid(path):
    async with running(path) as journal:
        verdict = await give_up(Journal(path))
        assert isinstance(verdict, Escalate)
        assert verdict.code == "data_directory_in_use"
        assert str(os.getpid()) in verdict.reason
        await journal.accept([message("k")])
    async with running(path):
        pass


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from runtime.journal import DataDirectoryLock\n"
        "with DataDirectoryLock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    root = Path(__file__).parents[2]
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=root
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataDirectoryInUse) as caught, DataDirectoryLock(tmp_path):
            pass
        assert caught.value.pid == holder.pid
        assert str(holder.pid) in caught.value.message
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with DataDirectoryLock(tmp_path):
        pass


@pytest.mark.parametrize(
    ("error", "code", "permanent"),
    [
        (OSError(28, "No space left on device"), "journal_disk_full", False),
        (OSError(122, "Disk quota exceeded"), "journal_disk_full", False),
        (OSError(5, "Input/output error"), "journal_io_error", False),
        (PermissionError(13, "Permission denied"), "journal_io_error", False),
    ],
)
def test_operating_system_errors(error, code, permanent):
    fault = diagnose(error)
    assert (fault.code, fault.permanent) == (code, permanent)


def test_bugs_are_not_faults_of_the_disk():
    assert diagnose(ValueError("x")) is None
    assert diagnose(sqlite3.ProgrammingError("closed")) is None
