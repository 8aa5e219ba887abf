"""``./zap`` on a machine that has Python and nothing else of ours.

The tests of this file build on one another's installation; each brings it into the state it needs.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import Somebody, finish

# Nobody answers there: what needs the network now fails.
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "npm_config_registry")
NO_NETWORK = dict.fromkeys(PROXIES, "http://127.0.0.1:9")


@pytest.fixture(scope="session")
def first_runs(clone: Path, ordinary_user: Somebody) -> list[subprocess.CompletedProcess[str]]:
    """Two first runs at the same time, from another working directory."""
    started = [ordinary_user.start(clone / "zap", "version", cwd=Path("/")) for _ in range(2)]
    return [finish(process) for process in started]


def test_two_first_runs_at_once_install_everything_once(first_runs):
    assert [run.returncode for run in first_runs] == [0, 0], first_runs
    assert all("zapvisor 0." in run.stdout for run in first_runs)
    assert sum("zap: making .venv" in run.stderr for run in first_runs) == 1
    assert sum("zap: installing the Node parts" in run.stderr for run in first_runs) == 1
    assert sum("waiting for another ./zap" in run.stderr for run in first_runs) == 1


@pytest.mark.usefixtures("first_runs")
def test_a_later_run_installs_nothing_and_needs_no_network(clone, ordinary_user):
    later = ordinary_user.run(clone / "zap", "--help", cwd=clone, **NO_NETWORK)

    assert later.returncode == 0
    assert later.stderr == ""
    for command in ("up", "demo", "test", "doctor", "migrate", "version"):
        assert f"\n  {command} " in later.stdout


@pytest.mark.usefixtures("first_runs")
def test_tools_for_the_checks_are_not_installed_for_running(clone):
    assert not (clone / ".venv" / "bin" / "pytest").exists()
    assert not (clone / "node_modules" / "typescript").exists()
    assert (clone / "node_modules" / "baileys").is_dir()


@pytest.mark.usefixtures("first_runs")
def test_an_interrupted_installation_is_completed(clone, ordinary_user):
    for stamp in (".venv/.zap-runtime", "node_modules/.zap-runtime", ".venv/bin/zapvisor"):
        (clone / stamp).unlink()
    shutil.rmtree(clone / "node_modules" / "baileys")

    run = ordinary_user.run(clone / "zap", "version", cwd=clone)

    assert run.returncode == 0, run.stderr
    assert "zapvisor 0." in run.stdout
    assert (clone / "node_modules" / "baileys" / "package.json").is_file()


@pytest.mark.usefixtures("first_runs")
def test_a_python_that_is_gone_and_a_moved_checkout_get_a_new_environment(
    clone, ordinary_user, place
):
    moved = clone.rename(place / "moved away")
    try:
        (moved / ".venv" / "bin" / "python").unlink()
        run = ordinary_user.run(moved / "zap", "version", cwd=moved)
    finally:
        moved.rename(clone)

    assert run.returncode == 0, run.stderr
    assert "zap: making .venv" in run.stderr
    assert "zapvisor 0." in run.stdout


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A PATH with the few standard tools that ``zap`` uses, and no Python."""
    for tool in ("sh", "dirname", "cat", "cmp", "rm"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    return tmp_path


def run_in(clone: Path, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", clone / "zap", "version"],
        env={"PATH": str(path)}, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip


@pytest.fixture
def untouched(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of its own in which nothing is installed."""
    copy = tmp_path_factory.mktemp("untouched")
    ignore = shutil.ignore_patterns(".venv", "node_modules")
    return Path(shutil.copytree(clone, copy, dirs_exist_ok=True, ignore=ignore))


def test_no_python_is_one_clear_sentence(untouched, bare_path):
    run = run_in(untouched, bare_path)

    assert run.returncode == 1
    assert run.stdout == ""
    assert run.stderr.startswith("zap: Python 3.11 or newer is needed and was not found")
    assert run.stderr.count("\n") == 1


def test_an_old_python_is_one_clear_sentence(untouched, bare_path):
    program(bare_path / "python3", "exit 1")

    assert run_in(untouched, bare_path).stderr.startswith("zap: Python 3.11 or newer is needed")


def test_a_python_without_ensurepip_is_one_clear_sentence(untouched, bare_path):
    program(bare_path / "python3.12", 'case "$2" in *ensurepip*) exit 1 ;; esac')

    run = run_in(untouched, bare_path)

    assert run.returncode == 1
    assert run.stderr.startswith("zap: python3.12 cannot make virtual environments; install")
    assert "python3.12-venv" in run.stderr
    assert run.stderr.count("\n") == 1


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("script", ["zap", "requirements/lock", ".ci/run"])
def test_the_scripts_are_executable_and_parse_as_posix_shell(script, clone):
    path = clone / script

    assert os.access(path, os.X_OK)
    assert subprocess.run(["sh", "-n", path], check=False).returncode == 0
