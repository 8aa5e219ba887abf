"""Where the cluster goes, and who may reach it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.local_stack import account, binaries, cluster
from runtime.local_stack.account import Account

from .conftest import Host


@pytest.mark.parametrize("place", ["private", "long"])
def test_awkward_directories(directories: Callable[[], Path], place: str) -> None:
    directory = directories()
    if place == "private":
        directory.parent.chmod(0o700)
    else:
        directory = directory / ("a" * 100)
    host = Host(directory)
    mode = directory.parent.stat().st_mode
    host.start()
    try:
        assert host.ingest() == []
        assert directory.parent.stat().st_mode == mode
        host.stop()
        host.start()
        assert host.contents() == []
    finally:
        host.close()


@pytest.fixture
def switched() -> Account:
    """Ourselves in the role of the server's account."""
    return Account("somebody", os.geteuid(), os.getegid(), switch=True)


def test_reach_follows_the_permissions_of_every_directory(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    stranger = Account("stranger", 54321, 54321, switch=True)
    reachable = {
        mode: stranger._can_enter(_with_mode(inner, mode)) for mode in (0o755, 0o711, 0o750, 0o700)
    }
    assert reachable == {0o755: True, 0o711: True, 0o750: False, 0o700: False}
    (tmp_path / "a").chmod(0o700)
    inner.chmod(0o755)
    assert not stranger.can_reach(inner)
    assert Account("stranger", 54321, 54321, switch=False).can_reach(inner)


def _with_mode(path: Path, mode: int) -> Path:
    path.chmod(mode)
    return path


@pytest.fixture
def out_of_reach(
    tmp_path: Path, switched: Account, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path]:
    """A stack directory that the account cannot enter, and the system directory in its stead."""
    directory, system = tmp_path / "home", tmp_path / "system"
    directory.mkdir()
    monkeypatch.setattr(cluster, "SYSTEM_DIRECTORY", system)
    monkeypatch.setattr(binaries, "SYSTEM_DIRECTORY", system)
    monkeypatch.setattr(cluster, "_short_socket_directory", lambda home: tmp_path / home.name)
    monkeypatch.setattr(Account, "can_reach", lambda self, path: path.is_relative_to(system))
    return directory, system


def test_a_cluster_out_of_reach_goes_to_the_system_directory_and_stays(
    out_of_reach: tuple[Path, Path], switched: Account
) -> None:
    directory, system = out_of_reach
    assert cluster.find(directory, switched) is None
    first = cluster.locate(directory, switched)
    assert first.home.parent == system
    assert first.home.stat().st_mode & 0o777 == 0o700
    assert cluster.locate(directory, switched) == first == cluster.find(directory, switched)


def test_the_database_of_a_removed_directory_is_left_alone(
    out_of_reach: tuple[Path, Path], switched: Account
) -> None:
    directory, _ = out_of_reach
    first = cluster.locate(directory, switched)
    (directory / cluster.LOCATION_FILE).unlink()  # as if the directory had been removed
    second = cluster.locate(directory, switched)
    assert second.home != first.home
    assert first.home.is_dir()


def test_a_database_that_vanished_is_an_error_and_not_an_empty_one(
    out_of_reach: tuple[Path, Path], switched: Account
) -> None:
    directory, _ = out_of_reach
    home = cluster.locate(directory, switched).home
    cluster.erase(directory)
    (directory / cluster.LOCATION_FILE).write_text(f"{home}\n")
    with pytest.raises(cluster.ClusterError, match="which is gone"):
        cluster.locate(directory, switched)


def test_programs_out_of_reach_are_copied_once(
    out_of_reach: tuple[Path, Path], switched: Account
) -> None:
    _, system = out_of_reach
    programs = binaries.locate(switched)
    assert programs.is_relative_to(system)
    assert cluster._run([str(programs / "initdb"), "--version"], switched).startswith("initdb")
    changed = (programs / "postgres").stat().st_ctime_ns
    assert binaries.locate(switched) == programs
    assert (programs / "postgres").stat().st_ctime_ns == changed
    assert [path.name for path in system.iterdir() if path.name.startswith("copying")] == []


def test_an_ordinary_user_runs_the_server_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1)
    found = account.server_account()
    assert (found.uid, found.switch, found.popen_options()) == (1, False, {})


def test_an_unknown_user_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 2**30)
    with pytest.raises(account.AccountError, match="no entry in the user database"):
        account.server_account()


def test_root_without_any_account_creates_one(monkeypatch: pytest.MonkeyPatch) -> None:
    created: list[str] = []
    name = account.pwd.getpwuid(os.geteuid()).pw_name
    monkeypatch.setattr(account, "ACCOUNTS", ("no-such-account-a", "no-such-account-b"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def create(wanted: str) -> None:
        created.append(wanted)
        monkeypatch.setattr(account.pwd, "getpwnam", lambda _: real(name))

    real = account.pwd.getpwnam
    monkeypatch.setattr(account, "_create", create)
    assert account.server_account().switch
    assert created == ["no-such-account-b"]


def test_a_claim_is_exclusive(out_of_reach: tuple[Path, Path], switched: Account) -> None:
    place = cluster.locate(out_of_reach[0], switched)
    claim = cluster.claim(place)
    with pytest.raises(cluster.ClusterError, match="another zapvisor"):
        cluster.claim(place)
    os.close(claim)
    os.close(cluster.claim(place))
