"""Archives of credentials: what can be restored, how long they stay, and that deletion is whole."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from runtime.whatsapp.credential_files import MOST_ARCHIVES, RETENTION, CredentialFiles

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PAIRED = {"me": {"id": "5511987654321:3@s.whatsapp.net"}, "account": {"details": ""}}


def milliseconds(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def database(path, *, credentials=None, reason=None, events=0) -> None:
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("PRAGMA journal_mode = WAL")
        made.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT)")
        made.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY)")
        if credentials is not None:
            made.execute("INSERT INTO meta VALUES ('credentials', ?)", (json.dumps(credentials),))
        if reason is not None:
            made.execute("INSERT INTO meta VALUES ('retired', ?)", (reason,))
        made.executemany("INSERT INTO event VALUES (?)", [(n,) for n in range(events)])


def archived(directory, name, when, **more):
    path = directory / f"{name}.{milliseconds(when)}.archived.sqlite"
    database(path, **{"credentials": PAIRED, **more})
    return path


@pytest.fixture
def files(tmp_path):
    return CredentialFiles(tmp_path)


def test_archives_are_listed_newest_first_with_time_reason_and_number(files, tmp_path):
    archived(tmp_path, "loja", NOW, reason="logged_out")
    archived(tmp_path, "loja", NOW - timedelta(days=1))
    archived(tmp_path, "loja", NOW - timedelta(hours=1), credentials={"me": None})
    archived(tmp_path, "outra", NOW)
    (tmp_path / f"loja.{milliseconds(NOW) + 1}.archived.sqlite").write_bytes(b"no database")
    found = files.archives("loja", NOW - timedelta(days=9))
    assert [(one.archived_at, one.reason, one.phone_number) for one in found] == [
        (NOW, "logged_out", "5511987654321"),
        (NOW - timedelta(days=1), None, "5511987654321"),
    ]
    assert found[0].id == str(milliseconds(NOW))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".sqlite"] * 5, "left untouched"


def test_what_an_earlier_holder_of_the_id_left_is_not_the_next_ones(files, tmp_path):
    archived(tmp_path, "loja", NOW)
    assert files.archives("loja", NOW + timedelta(seconds=1)) == []


def test_old_and_surplus_archives_go_by_connection(files, tmp_path):
    recent = [
        archived(tmp_path, "loja", NOW - timedelta(hours=n)) for n in range(MOST_ARCHIVES + 2)
    ]
    old = archived(tmp_path, "outra", NOW - RETENTION - timedelta(minutes=1))
    young = archived(tmp_path, "outra", NOW - RETENTION + timedelta(minutes=1))
    database(tmp_path / "loja.sqlite", credentials=PAIRED)
    assert files.prune(NOW) == 3
    assert not old.exists()
    assert young.exists()
    assert [path.exists() for path in recent] == [True] * MOST_ARCHIVES + [False] * 2
    assert (tmp_path / "loja.sqlite").exists()
    assert files.prune(NOW) == 0


def test_deletion_leaves_nothing_of_it_and_everything_of_others(files, tmp_path):
    mine = ["loja.sqlite", "loja.next.sqlite", f"loja.{milliseconds(NOW)}.archived.sqlite"]
    others = ["loja-2.sqlite", "loja2.7.archived.sqlite", "xloja.sqlite", "loja.3.oversized.json"]
    for name in [*mine, *others]:
        for suffix in ("", "-wal", "-shm", "-journal") if name.endswith(".sqlite") else ("",):
            (tmp_path / f"{name}{suffix}").write_bytes(b"")
    files.delete("loja")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {
        *(name for name in others if name.endswith("json")),
        *(
            f"{name}{suffix}"
            for name in others
            if name.endswith(".sqlite")
            for suffix in ("", "-wal", "-shm", "-journal")
        ),
    }
    files.delete("loja")


def test_messages_that_only_the_bridges_file_has_are_seen(files, tmp_path):
    assert not files.holds_events("loja")
    database(tmp_path / "loja.sqlite", events=1)
    assert files.holds_events("loja")
    database(tmp_path / "empty.sqlite")
    assert not files.holds_events("empty")
    database(tmp_path / "cut.next.sqlite", events=1)
    assert files.holds_events("cut")
    (tmp_path / "damaged.sqlite").write_bytes(b"no database" * 1000)
    assert not files.holds_events("damaged")


def test_a_file_in_use_counts_as_full(files, tmp_path):
    path = tmp_path / "loja.sqlite"
    database(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN IMMEDIATE")
        holder.execute("INSERT INTO event VALUES (1)")
        holder.execute("COMMIT")
        assert files.holds_events("loja")


def test_no_directory_is_no_error(tmp_path):
    files = CredentialFiles(tmp_path / "not yet")
    assert files.archives("loja", NOW) == []
    assert files.prune(NOW) == 0
    files.delete("loja")
