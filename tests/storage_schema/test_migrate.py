"""``runtime.migrate``: order, records, errors, secrets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from runtime import migrate


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "2_b.sql").write_text("insert into steps values ('b');")
    (tmp_path / "1_a.sql").write_text(
        "create table if not exists steps (name text); insert into steps values ('a');"
    )
    (tmp_path / "notes.txt").write_text("no migration")
    return tmp_path


def steps(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        return [name for (name,) in connection.execute("select name from steps")]


def test_they_are_applied_once_and_in_order(empty_dsn: str, directory: Path) -> None:
    lines: list[str] = []
    assert [m.version for m in migrate.pending(empty_dsn, directory)] == ["1_a", "2_b"]
    assert [m.version for m in migrate.apply(empty_dsn, directory, lines.append)] == ["1_a", "2_b"]
    assert lines == ["applied 1_a", "applied 2_b"]
    assert migrate.pending(empty_dsn, directory) == []
    assert migrate.apply(empty_dsn, directory) == []
    assert steps(empty_dsn) == ["a", "b"]


def test_pending_changes_nothing(empty_dsn: str, directory: Path) -> None:
    migrate.pending(empty_dsn, directory)
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("select to_regnamespace('zapvisor')").fetchone() == (None,)


def test_a_changed_one_runs_again_and_so_do_those_after_it(empty_dsn: str, directory: Path) -> None:
    migrate.apply(empty_dsn, directory)
    (directory / "1_a.sql").write_text("insert into steps values ('a2');")
    assert len(migrate.apply(empty_dsn, directory)) == 2
    assert steps(empty_dsn) == ["a", "b", "a2", "b"]


def test_a_failure_keeps_what_came_before_and_nothing_of_itself(
    empty_dsn: str, directory: Path
) -> None:
    (directory / "2_b.sql").write_text("insert into steps values ('b'); select 1 / 0;")
    with pytest.raises(migrate.MigrationError, match="22012"):
        migrate.apply(empty_dsn, directory)
    assert steps(empty_dsn) == ["a"]
    assert [m.version for m in migrate.pending(empty_dsn, directory)] == ["2_b"]


def test_two_appliers_at_a_time_apply_once(empty_dsn: str, directory: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        applied = list(pool.map(lambda _: migrate.apply(empty_dsn, directory), range(2)))
    assert sorted(m.version for part in applied for m in part) == ["1_a", "2_b"]
    assert steps(empty_dsn) == ["a", "b"]


def test_a_directory_without_migrations_is_an_error(empty_dsn: str, tmp_path: Path) -> None:
    with pytest.raises(migrate.MigrationError, match="no migrations"):
        migrate.apply(empty_dsn, tmp_path)


@pytest.mark.parametrize(
    "dsn",
    ["nonsense geheim", "postgresql://u:geheim@[bad", "host=127.0.0.1 port=1 password=geheim"],
)
def test_errors_do_not_tell_the_password(dsn: str, directory: Path) -> None:
    with pytest.raises(migrate.MigrationError) as failure:
        migrate.apply(dsn, directory)
    assert "geheim" not in str(failure.value)


def test_a_failure_is_told_by_code_and_rule_but_not_by_the_rows(
    empty_dsn: str, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (directory / "2_b.sql").write_text(
        "create table t (name text); insert into t values ('geheim'), ('geheim');"
        "create unique index only_one on t (name);"
    )
    with pytest.raises(migrate.MigrationError) as failure:
        migrate.apply(empty_dsn, directory)
    assert "23505" in str(failure.value)
    assert "only_one" in str(failure.value)
    assert "geheim" not in str(failure.value)
    assert failure.value.__cause__ is None
    (record,) = (one for one in caplog.records if one.name == "zapvisor.migrate")
    assert record.code == "23505"
    assert "geheim" not in record.text


def test_only_the_migrations_own_warnings_are_repeated(empty_dsn: str, directory: Path) -> None:
    (directory / "1_a.sql").write_text(
        "do $$ declare row text := 'geheim'; begin"
        " raise warning 'its index is not unique'; raise warning 'the row is %', row;"
        " end $$; create table steps (name text);"
    )
    lines: list[str] = []
    migrate.apply(empty_dsn, directory, lines.append)
    assert "warning: its index is not unique" in lines
    assert not any("geheim" in line for line in lines)
