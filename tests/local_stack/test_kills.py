"""Whatever is killed comes back, and what was stored is still there."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from contextlib import suppress

import psutil
import psycopg
import pytest

from runtime.local_stack import account, binaries

from .conftest import Host, until

STORED: list[str] = []


def store(host: Host) -> None:
    """As the writer does: again until it works, which the message's id makes safe."""
    number = len(STORED) + 1
    item = {
        "kind": "message",
        "seq": number,
        "id": str(uuid.uuid4()),
        "owner_id": str(host.owner),
        "connection_id": "loja",
        "numero_cliente": "5511987654321",
        "conteudo": f"mensagem {number}",
        "tipo": "TEXTO",
        "remetente": "CLIENTE",
        "timestamp": "2026-01-31T12:00:00+00:00",
    }
    until(f"message {number} is stored", lambda: host.ingest(item))
    STORED.append(item["conteudo"])


@pytest.mark.parametrize("name", ["postgres", "postgrest"])
def test_a_killed_server_comes_back(own: Host, name: str) -> None:
    store(own)
    victim = own.program(name)
    victim.kill()
    own.program(name, other_than=victim)
    store(own)
    assert own.contents() == STORED


@pytest.mark.parametrize("name", ["postgres", "postgrest"])
def test_a_server_that_hangs_is_replaced(own: Host, name: str) -> None:
    own.stop()
    own.start("8")  # seconds of silence
    store(own)
    victim = own.program(name)
    victim.suspend()
    own.program(name, other_than=victim)
    store(own)
    assert own.contents() == STORED
    own.stop()


def test_a_killed_runtime_finds_everything_again(own: Host) -> None:
    store(own)
    own.kill()
    own.start()
    assert own.contents() == STORED
    store(own)


def test_everything_killed_at_once(own: Host) -> None:
    store(own)
    assert own.process is not None
    everything = psutil.Process(own.process.pid).children(recursive=True)
    own.process.send_signal(signal.SIGSTOP)  # so that it restarts nothing meanwhile
    for process in everything:
        with suppress(psutil.NoSuchProcess):  # it ended with one that we killed before
            process.kill()
    own.kill()
    own.start()
    assert own.contents() == STORED
    store(own)


def test_a_server_that_outlived_its_runtime_is_stopped_first(own: Host) -> None:
    store(own)
    own.stop()
    who = account.server_account()
    orphan = subprocess.Popen(
        [binaries.locate(who) / "postgres", "-D", own.stack._cluster.data],
        cwd="/",
        stderr=subprocess.DEVNULL,
        **who.popen_options(),
    )
    until("the orphan serves", lambda: psycopg.connect(own.stack.dsn).close() or True)
    own.start()
    assert orphan.wait(1) == 0
    assert own.contents() == STORED


def test_a_lock_file_with_the_pid_of_another_program(own: Host) -> None:
    store(own)
    data = own.stack._cluster.data
    own.stop()
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n1\n5432\n\n\n\nready\n")
    own.start()
    assert own.contents() == STORED


def test_a_stop_leaves_no_process(own: Host) -> None:
    assert own.servers()
    own.stop()
    assert own.servers() == []


def test_a_second_runtime_is_refused_and_harms_nobody(shared: Host) -> None:
    second = Host(shared.directory)
    try:
        with pytest.raises(AssertionError, match="another zapvisor is running on the database"):
            second.start()
        assert shared.ingest() == []
    finally:
        second.client.close()
