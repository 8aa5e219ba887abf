"""``zapvisor journal`` on a data directory that no zapvisor runs on."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import trio

from runtime.journal import DataDirectoryLock, Journal, NewEntry
from supervisors import ChildSpec, Supervisor, open_supervisor


def entry(number: int) -> NewEntry:
    return NewEntry(kind="message", key=f"key {number}", payload={"conteudo": f"oi {number}"})


@pytest.fixture
def data(tmp_path):
    """A data directory with two pending entries (1, 3) and a dead letter (2)."""

    async def fill() -> None:
        journal = Journal(tmp_path / "journal.sqlite")
        async with open_supervisor(Supervisor([ChildSpec("journal", journal.run)])):
            await journal.accept([entry(1), entry(2), entry(3)])
            await journal.bury(2, code="23503", reason="no such owner")

    trio.run(fill)
    return tmp_path


def zapvisor(data, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "http_api.cli", "journal", *arguments],
        env={**os.environ, "ZAPVISOR_DATA_DIR": str(data)},
        cwd=data,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_inspect_shows_the_accounts(data):
    figures = json.loads(zapvisor(data, "inspect", "--json").stdout)
    assert {name: figures[name] for name in ("accepted", "stored", "dead", "pending")} == {
        "accepted": 3,
        "stored": 0,
        "dead": 1,
        "pending": 2,
    }
    assert "pending                 2" in zapvisor(data, "inspect").stdout
    assert json.loads(zapvisor(data, "--json").stdout)["accepted"] == 3


def test_verify_finds_a_good_journal_good(data):
    answer = zapvisor(data, "verify")
    assert (answer.returncode, answer.stdout) == (0, "2 pending entries read; no problems found\n")


def test_export_writes_everything_and_never_over_a_file(data):
    target = data / "out.jsonl"
    assert zapvisor(data, "export", str(target)).returncode == 0
    lines = [json.loads(line) for line in target.open()]
    assert [(line["state"], line["seq"]) for line in lines] == [
        ("pending", 1),
        ("pending", 3),
        ("dead", 2),
    ]
    assert lines[0]["payload"] == {"conteudo": "oi 1"}
    again = zapvisor(data, "export", str(target))
    assert again.returncode == 1
    assert "exists" in again.stderr


def test_dead_letters_are_listed_retried_and_archived(data):
    assert "23503" in zapvisor(data, "dead-letters").stdout
    assert "no such owner" in zapvisor(data, "dead-letters", "--json").stdout
    assert zapvisor(data, "retry", "2").stdout == "2 is pending again\n"
    assert zapvisor(data, "dead-letters").stdout == "no dead letters\n"
    assert zapvisor(data, "retry", "2").returncode == 1
    assert zapvisor(data, "archive").stdout == "0 dead letters archived\n"


def test_a_dead_letter_is_corrected_on_its_way_back(data):
    answer = zapvisor(data, "retry", "2", "--changes", '{"owner_id": "o", "conteudo": "certo"}')
    assert answer.stdout == "2 is pending again\n"
    target = data / "out.jsonl"
    zapvisor(data, "export", str(target))
    payloads = [json.loads(line)["payload"] for line in target.open()]
    assert payloads[1] == {"conteudo": "certo", "owner_id": "o"}


@pytest.mark.parametrize("changes", ["{", "[]", '{"id": "x"}'])
def test_a_correction_that_makes_no_sense_is_refused(data, changes):
    answer = zapvisor(data, "retry", "2", "--changes", changes)
    assert answer.returncode == 1
    assert "--changes" in answer.stderr
    assert "23503" in zapvisor(data, "dead-letters").stdout


@pytest.mark.parametrize("command", [[], ["inspect"], ["verify"], ["dead-letters"]])
def test_a_directory_in_use_is_left_alone(data, command):
    with DataDirectoryLock(data, "journal.sqlite.lock"):
        answer = zapvisor(data, *command)
    assert answer.returncode == 1
    assert "zapvisor is running on this data directory" in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_no_journal_is_a_sentence(tmp_path):
    answer = zapvisor(tmp_path, "inspect")
    assert answer.returncode == 1
    assert "there is no journal" in answer.stderr
    assert "Traceback" not in answer.stderr
