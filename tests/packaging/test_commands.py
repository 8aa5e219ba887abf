"""What the commands say and how they end where something is missing or wrong."""

import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import ROOT, plain_environment

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def zapvisor(tmp_path: Path) -> Run:
    """The command in an empty working directory, with only these settings."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "http_api.cli", *arguments],
            cwd=tmp_path,
            env={**plain_environment(), "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def taken_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield str(server.getsockname()[1])


def test_help_names_every_command_and_says_what_to_do_first(zapvisor):
    run = zapvisor("--help")

    assert run.returncode == 0
    assert "First steps" in run.stdout
    for command in ("up", "demo", "test", "doctor", "journal", "migrate", "owner", "version"):
        assert re.search(rf"^  {command} +\w.*\.$", run.stdout, re.MULTILINE), command


def test_version_is_that_of_the_project(zapvisor):
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    lines = dict(line.split(" ", 1) for line in zapvisor("version").stdout.splitlines())

    assert lines["baileys"] == "7.0.0-rc14"
    assert lines["node"].startswith("24.")
    assert lines["zapvisor"] in (project["version"], "not installed")


def test_an_unknown_command_is_wrong_usage(zapvisor):
    run = zapvisor("watchdog")

    assert run.returncode == 2
    assert "No such command" in run.stderr


@pytest.mark.parametrize("command", ["up", "doctor"])
def test_bad_settings_are_one_sentence_that_names_them(zapvisor, command):
    run = zapvisor(command, PORT="many")

    assert run.returncode == 1
    assert run.stderr.startswith("zapvisor: the settings are not usable: PORT: ")
    assert run.stderr.count("\n") == 1


def test_a_port_in_use_is_one_sentence(zapvisor, taken_port):
    run = zapvisor("up", PORT=taken_port)

    assert run.returncode == 1
    assert run.stderr == (
        f"zapvisor: 127.0.0.1:{taken_port} is in use by another program; "
        "stop that one, or set PORT\n"
    )


def test_a_key_that_could_be_guessed_is_refused(zapvisor):
    run = zapvisor("up", PORT="0", ZAPVISOR_API_KEY="1234")

    assert run.returncode == 1
    assert "ZAPVISOR_API_KEY" in run.stderr
    assert "1234" not in run.stderr
    assert "Traceback" not in run.stderr


def test_migrate_without_a_database_says_what_to_set(zapvisor):
    run = zapvisor("migrate")

    assert run.returncode == 1
    assert run.stderr.startswith("zapvisor: SUPABASE_DB_URL is not set")
    assert run.stderr.count("\n") == 1


def test_migrate_takes_the_database_from_the_file_and_keeps_its_password_secret(zapvisor, tmp_path):
    (tmp_path / ".env.supabase").write_text(
        "SUPABASE_DB_URL=postgresql://me:hunter2@127.0.0.1:1/x\n"
    )

    run = zapvisor("migrate")

    assert run.returncode == 1
    assert run.stderr.startswith("zapvisor: cannot connect to the database")
    assert "hunter2" not in run.stdout + run.stderr


def test_owner_without_a_database_says_what_to_start(zapvisor):
    run = zapvisor("owner", "ana@example.com")

    assert run.returncode == 1
    assert run.stderr.startswith("zapvisor: the local database does not answer; start `up` first")


def findings(run: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return {line[7:23].strip(): line[:7].strip() for line in run.stdout.splitlines()}


def test_doctor_on_a_machine_where_all_is_well(zapvisor):
    run = zapvisor("doctor", PORT="0")

    assert run.returncode == 0, run.stdout
    assert set(findings(run).values()) == {"ok"}
    assert list(findings(run)) == [
        *("Python", "Node", "Node packages", "data directory", "journal", "address", "Supabase"),
    ]


def test_doctor_names_what_is_wrong_and_goes_on(zapvisor, tmp_path, taken_port):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "journal.sqlite").write_bytes(b"not a database" * 100)

    run = zapvisor(
        "doctor", PORT=taken_port, SUPABASE_URL="http://127.0.0.1:9", SUPABASE_SERVICE_ROLE_KEY="x"
    )

    assert run.returncode == 1
    failed = {name for name, mark in findings(run).items() if mark == "FAILED"}
    assert failed == {"journal", "address", "Supabase"}
    assert len(findings(run)) == 7
