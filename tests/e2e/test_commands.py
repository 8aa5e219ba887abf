"""The commands with which people operate a running zapvisor."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from http_api.cli.doctor import Accounts, Ailing

from .conftest import fresh_number
from .harness import API_KEY, Process, until

SECONDS = 60


@pytest.fixture
def command(shared_product, tmp_path):
    """Runs ``zapvisor …`` against the running product."""
    return [sys.executable, "-m", "http_api.cli"], {
        **os.environ,
        "ZAPVISOR_URL": str(shared_product.client.base_url),
        "ZAPVISOR_API_KEY": API_KEY,
        "ZAPVISOR_DATA_DIR": str(shared_product.directory / "data"),
        "PORT": str(shared_product.port),
    }


@pytest.fixture
def zapvisor(command):
    program, environment = command

    def run(*arguments, stdin="", **changes):
        return subprocess.run(
            [*program, *arguments],
            env={**environment, **changes},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return run


def test_a_number_is_created_paired_from_the_terminal_and_written_from(
    zapvisor, command, shared_product, simulator, customer
):
    number = fresh_number()
    simulator.post("/phones", number=number, name="Terminal")
    owner = str(shared_product.owner())
    created = zapvisor("connections", "create", "terminal", "--owner", owner, "--name", "Loja")
    assert created.returncode == 0, created.stderr
    program, environment = command
    pairing = Process([*program, "qr", "terminal"], env=environment)
    pairing.wait_line(lambda line: "scan this" in line, SECONDS)
    pairing.wait_line(lambda line: "█" in line, SECONDS)
    qr = shared_product.data("GET", "/api/whatsapp-integration/connections/terminal/qr")
    simulator.post(f"/phones/{number}/scan", qr=qr["qrCode"])
    pairing.wait_line(lambda line: f"connected as +{number}" in line, SECONDS)
    assert pairing.popen.wait(SECONDS) == 0

    table = zapvisor("connections").stdout.splitlines()
    assert table[0].split() == ["id", "name", "state", "phone", "since", "reason"]
    (line,) = [row.split() for row in table if row.startswith("terminal ")]
    assert line[1:4] == ["Loja", "connected", number]
    (listed,) = [
        one
        for one in json.loads(zapvisor("connections", "--json").stdout)
        if one["id"] == "terminal"
    ]
    assert listed["isConnected"] is True

    maria = customer("Maria")
    sent = zapvisor("send", "terminal", maria, "Olá do terminal", "--key", "um")
    again = zapvisor("send", "terminal", maria, "Olá do terminal", "--key", "um")
    assert sent.stdout.split()[1] == again.stdout.split()[1]
    piped = zapvisor("send", "terminal", maria, "--json", stdin="duas\nlinhas\n")
    assert json.loads(piped.stdout)["messageId"]
    until(
        lambda: (
            [m["text"] for m in simulator.get(f"/contacts/{maria}/inbox")]
            == ["Olá do terminal", "duas\nlinhas"]
        ),
        what="both messages, once each",
    )


def test_the_tree_is_drawn_and_a_parked_part_goes_on(
    zapvisor, shared_product, simulator, open_shop
):
    shop = open_shop(shared_product, "galho")
    simulator.post(f"/phones/{shop.number}/logout")
    until(lambda: shared_product.connection("galho")["statusCode"], what="it parks")
    drawn = zapvisor("tree").stdout
    (line,) = [row for row in drawn.splitlines() if " galho " in row]
    assert "parked" in line
    assert "QR" in line
    assert zapvisor("qr", "galho").returncode == 1
    root = json.loads(zapvisor("tree", "--json").stdout)
    assert root["name"] == "zapvisor"
    done = zapvisor("unpark", "core/whatsapp/connections/galho")
    assert done.returncode == 0, done.stderr
    shop.pair()
    twice = zapvisor("unpark", "core/whatsapp/connections/galho")
    assert twice.returncode == 1
    assert "(not_parked)" in twice.stderr


def test_the_queue_of_a_running_zapvisor_is_shown(zapvisor, shared_product, open_shop):
    open_shop(shared_product, "fila")
    figures = json.loads(zapvisor("journal", "--json").stdout)
    assert figures["accepted"] == figures["stored"] + figures["dead"] + figures["pending"]
    assert figures["accepted"] > 0
    assert "drain_rate" in zapvisor("journal").stdout
    assert zapvisor("journal", "dead-letters").stdout == "no dead letters\n"
    missing = zapvisor("journal", "retry", "999999")
    assert missing.returncode == 1
    assert "(dead_letter_not_found)" in missing.stderr
    assert zapvisor("journal", "archive").stdout == "0 dead letters archived\n"
    verified = zapvisor("journal", "verify")
    assert verified.returncode == 1
    assert "stop it first" in verified.stderr


def test_events_are_followed_without_contents_and_harmlessly(
    zapvisor, command, shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "cauda")
    eve = customer("Eve\x1b[31m vermelha")
    program, environment = command
    tail = Process([*program, "tail", "--recent", "0", "--connection", "cauda"], env=environment)
    whole = Process(
        [*program, "tail", "--recent", "50", "--event", "messageReceived", "--json"],
        env=environment,
    )
    try:
        # The first is there to know that the stream is open.
        until(
            lambda: (
                simulator.post(f"/contacts/{eve}/send", to=shop.number, text="segredo")
                and any("messageReceived" in line for line in tail.lines)
            ),
            seconds=SECONDS,
            what="the event in the terminal",
        )
        event = json.loads(whole.wait_line(lambda line: "cauda" in line, SECONDS))
        assert event["event"] == "messageReceived"
        assert event["connectionId"] == "cauda"
        assert "segredo" not in tail.output()
        assert "\x1b" not in tail.output()
    finally:
        tail.kill()
        whole.kill()


def test_a_refusal_is_one_sentence_and_exit_code_one(zapvisor):
    for arguments, word, changes in (
        (("send", "nenhuma", "5511987654321", "oi"), "connection_not_found", {}),
        (("connections",), "invalid_credential", {"ZAPVISOR_API_KEY": "zv_wrong"}),
        (("tree",), "is `zapvisor up` running", {"ZAPVISOR_URL": "http://127.0.0.1:9"}),
        (("tree",), "ZAPVISOR_URL", {"ZAPVISOR_URL": "ftp://127.0.0.1"}),
        (("tree",), "set ZAPVISOR_API_KEY", {"ZAPVISOR_API_KEY": ""}),
    ):
        refused = zapvisor(*arguments, **changes)
        assert refused.returncode == 1, refused
        assert word in refused.stderr
        assert refused.stderr.count("\n") == 1
        assert refused.stdout == ""


def test_completion_knows_the_commands_and_the_connections(zapvisor, shared_product, open_shop):
    open_shop(shared_product, "completa")
    script = zapvisor("completion", "zsh")
    assert script.returncode == 0
    assert "_ZAPVISOR_COMPLETE" in script.stdout
    offered = zapvisor(
        _ZAPVISOR_COMPLETE="zsh_complete", COMP_WORDS="zapvisor send compl", COMP_CWORD="2"
    )
    assert "completa" in offered.stdout.split()


def test_doctor_shows_that_the_accounts_balance(zapvisor):
    report = zapvisor("doctor")
    (journal,) = [line for line in report.stdout.splitlines() if " journal " in line]
    assert journal.startswith("ok")
    assert "accepted" in journal
    Accounts(accepted=6, stored=3, dead=1, pending=2).balance()
    with pytest.raises(Ailing, match="do not balance"):
        Accounts(accepted=7, stored=3, dead=1, pending=2).balance()
