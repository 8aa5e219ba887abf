"""What the commands say and how they end where something is missing or wrong."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from http_api.cli.doctor import CHECKS, Ailing
from http_api.cli.prerequisites import load_settings
from runtime.journal.schema import MIGRATIONS

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


def test_doctor_as_json_says_the_same(zapvisor, taken_port):
    run = zapvisor("doctor", "--json", PORT=taken_port)

    assert run.returncode == 1
    found = {one["name"]: one["ok"] for one in json.loads(run.stdout)}
    assert len(found) == 7
    assert not found["address"]
    assert found["Python"]


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


@pytest.fixture
def ailing(monkeypatch, tmp_path):
    """What one check of the doctor says is wrong, with only these settings."""
    for name in set(os.environ) - set(plain_environment()):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(name, **environment):
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        (check,) = (one for one in CHECKS if one.name == name)
        with pytest.raises(Ailing) as said:
            check.run(load_settings())
        return str(said.value)

    return run


@pytest.fixture
def answering():
    """Starts a server that answers every call with this status and body; returns its URL."""
    servers = []

    def start(status, body):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "advice"),
    [
        (401, '{"message": "Invalid API key"}', "check SUPABASE_SERVICE_ROLE_KEY"),
        (540, "", "whether the project is paused"),
        (404, '{"code": "PGRST202", "message": "no function"}', "run `zapvisor migrate`"),
        (200, "1", "schema 1 is too old; run `zapvisor migrate`"),
        (404, "not here", "check SUPABASE_URL: what answers there is no Supabase project"),
        (200, "<html>", "check SUPABASE_URL"),
        (502, "", "see Supabase's status page"),
    ],
)
def test_doctor_says_what_to_do_about_supabase(ailing, answering, status, body, advice):
    said = ailing(
        "Supabase", SUPABASE_URL=answering(status, body), SUPABASE_SERVICE_ROLE_KEY="a.b.c"
    )

    assert advice in said


@pytest.mark.parametrize(
    ("check", "environment", "advice"),
    [
        (
            "Supabase",
            {"SUPABASE_URL": "http://127.0.0.1:9"},
            "SUPABASE_SERVICE_ROLE_KEY is not; set it too",
        ),
        (
            "Supabase",
            {"SUPABASE_URL": "http://127.0.0.1:9", "SUPABASE_SERVICE_ROLE_KEY": "a.b.c"},
            "check SUPABASE_URL, DNS and the network",
        ),
        ("address", {"HOST": "192.0.2.1"}, "it is none of this machine: set HOST"),
        ("data directory", {"ZAPVISOR_DATA_DIR": "/proc/zapvisor"}, "set ZAPVISOR_DATA_DIR"),
    ],
)
def test_doctor_says_what_to_do_about_settings(ailing, check, environment, advice):
    assert advice in ailing(check, **environment)


@pytest.mark.parametrize("command", ["up", "doctor"])
def test_a_supabase_url_that_is_none_is_named(zapvisor, command):
    run = zapvisor(command, SUPABASE_URL="meu-projeto.supabase.co", SUPABASE_SERVICE_ROLE_KEY="x")

    assert run.returncode == 1
    assert "SUPABASE_URL" in run.stderr
    assert "must begin with https://" in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("version", "advice"),
    [(999, "run the release that wrote it, or a later one"), (None, "do not delete the file")],
)
def test_doctor_says_what_to_do_about_a_journal(zapvisor, tmp_path, version, advice):
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "journal.sqlite"
    if version is None:
        path.write_bytes(b"not a database" * 100)
    else:
        with sqlite3.connect(path) as journal:
            for script in MIGRATIONS:
                journal.executescript(script)
            journal.execute(f"PRAGMA user_version = {version}")
        journal.close()

    run = zapvisor("doctor", PORT="0")

    assert {name for name, mark in findings(run).items() if mark == "FAILED"} == {"journal"}
    assert advice in run.stdout
