"""``zapvisor up`` as a person at a terminal sees it."""

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from runtime.node_parts import node_executable

from .conftest import ROOT, plain_environment


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Ends the process in order when the block is left, or by force after 30 s."""
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=30)
        finally:
            process.kill()


@pytest.fixture
def simulator() -> Iterator[dict[str, str]]:
    """A simulator, as the environment of a program that takes it for WhatsApp."""
    command = [node_executable(), "src/cli.ts", "start", "--stdin-eof"]
    process = subprocess.Popen(
        command,
        cwd=ROOT / "simulator",
        env=plain_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with ended(process):
        listening = json.loads(process.stdout.readline())
        preload = (ROOT / "simulator" / "src" / "preload.ts").as_uri()
        yield {
            "NODE_OPTIONS": f"--import {preload}",
            "WHATSAPP_SIMULATOR_URL": listening["whatsappUrl"],
        }


@pytest.fixture
def directory(place: Path, request: pytest.FixtureRequest) -> Path:
    """A working directory that the account of PostgreSQL can enter."""
    made = place / request.node.name
    made.mkdir()
    return made


@pytest.fixture
def environment(simulator: dict[str, str]) -> dict[str, str]:
    ours = {"PYTHONPATH": str(ROOT), "PORT": "0", "ZAPVISOR_LOCAL_SUPABASE_PORT": "0"}
    return {**plain_environment(), **simulator, **ours}


def start_up(directory: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "http_api.cli", "up"],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )


def lines_until(process: subprocess.Popen[str], pattern: str) -> tuple[list[str], re.Match[str]]:
    """What is printed up to the first line that matches; the test's time limit bounds the wait."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if match := re.search(pattern, line):
            return lines, match
    raise AssertionError(f"ended, after: {''.join(lines)}")


def test_up_shows_the_key_once_then_qr_codes_and_stops_in_order(directory, environment):
    with ended(start_up(directory, environment)) as up:
        lines, match = lines_until(up, r"listens on (http://127\.0\.0\.1:\d+)")
        (key,) = re.findall(r"^ +(zv_\S{40,})$", "".join(lines), re.MULTILINE)
        api = httpx.Client(base_url=match[1], headers={"X-Api-Key": key}, timeout=30)
        owner = subprocess.run(
            [sys.executable, "-m", "http_api.cli", "owner", "ana@example.com"],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        created = api.post(
            "/api/whatsapp-integration/connections",
            json={"connectionId": "loja", "name": "Loja", "ownerId": owner},
        )
        shown, _ = lines_until(up, r"^ *[█▀▄ ]{20,}$")
    again = start_up(directory, environment)
    with ended(again):
        second, _ = lines_until(again, "listens on")

    assert created.is_success, created.text
    assert any("scan this with the phone of loja" in line for line in shown)
    assert up.returncode == 0
    assert again.returncode == 0
    assert not any("zv_" in line for line in second)
    assert key not in (directory / "logs" / "combined.log").read_text()


def test_a_second_up_on_the_same_data_is_one_sentence(directory, environment):
    with ended(start_up(directory, environment)) as up:
        lines_until(up, "listens on")
        second = subprocess.run(
            [sys.executable, "-m", "http_api.cli", "up"],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert second.returncode == 1
    assert second.stderr == (
        f"zapvisor: O diretório de dados {directory / 'data'} já está em uso por outro processo "
        f"(pid {up.pid}).\n"
    )
