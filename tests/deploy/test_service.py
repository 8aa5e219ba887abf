"""The product under a service manager: what it tells, how it stops, and an upgrade in place."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trio

from runtime.journal.schema import MIGRATIONS
from runtime.node_parts import prepare
from tests.e2e.harness import Product, Simulator, until

from .journals import age, connection, incoming, running

WATCHDOG_SECONDS = 2


class Manager:
    """systemd's side of ``NOTIFY_SOCKET``."""

    def __init__(self, path: Path) -> None:
        self.told: list[tuple[float, str]] = []
        self.environment = {
            "NOTIFY_SOCKET": str(path),
            "WATCHDOG_USEC": str(WATCHDOG_SECONDS * 1_000_000),
        }
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while state := self._socket.recv(4096).decode():
            self.told.append((time.monotonic(), state))

    def states(self) -> list[str]:
        return [state for _, state in list(self.told)]

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self.environment["NOTIFY_SOCKET"])
        self._socket.close()


@pytest.fixture
def directory() -> Iterator[Path]:
    """One that PostgreSQL's own account can enter."""
    path = Path(tempfile.mkdtemp(prefix="zapvisor-service-"))
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def manager(directory: Path) -> Iterator[Manager]:
    manager = Manager(directory / "notify")
    yield manager
    manager.close()


@pytest.fixture
def product(directory: Path) -> Iterator[Product]:
    """Not started yet."""
    parts = prepare(Path("data"))
    simulator = Simulator(parts)
    product = Product(directory, simulator, parts)
    yield product
    product.close()
    simulator.close()


async def leave_waiting(journal_file: Path, owner: str) -> None:
    async with running(journal_file) as journal:
        await journal.register(connection(owner))
        await journal.accept([incoming(owner, "antes da atualização")])


def test_a_service_manager_is_told_and_an_upgrade_stores_what_waited(product, manager, directory):
    product.start(**manager.environment)
    until(lambda: manager.states().count("WATCHDOG=1") >= 2, what="two pings")
    alive = product.call("GET", "/health/live")
    owner = str(product.owner())
    stopped = product.stop()
    first_run = manager.states()
    # The same data as the release before left them, with a message that Supabase has not seen.
    journal_file = directory / "data" / "journal.sqlite"
    trio.run(leave_waiting, journal_file, owner)
    age(journal_file, len(MIGRATIONS) - 1)

    product.start()
    rows = until(
        lambda: product.query("select conteudo from whatsapp_mensagens where owner_id = %s", owner),
        what="the message that waited is stored",
    )

    assert alive.status_code == 200
    assert stopped == 0
    assert first_run[0] == "READY=1"
    assert first_run[-1] == "STOPPING=1"
    assert set(first_run[1:-1]) == {"WATCHDOG=1"}
    assert rows == [("antes da atualização",)]


def test_a_process_that_stands_still_is_seen_from_outside_and_goes_on(product, manager):
    product.start(**manager.environment)
    until(lambda: manager.states().count("WATCHDOG=1") >= 2, what="two pings")

    product.process.popen.send_signal(signal.SIGSTOP)
    with pytest.raises(httpx.TimeoutException):
        product.call("GET", "/health/live", timeout=2.5 * WATCHDOG_SECONDS)
    silent = time.monotonic() - manager.told[-1][0]
    product.process.popen.send_signal(signal.SIGCONT)

    assert silent > WATCHDOG_SECONDS  # the manager would have started it anew
    pings = len(manager.states())
    until(lambda: product.call("GET", "/health/live").status_code == 200, what="it lives again")
    until(lambda: len(manager.states()) > pings, what="a ping")
    tree = product.data("GET", "/api/whatsapp-bootstrap/stats")["tree"]
    assert [one["name"] for one in below(tree) if one["restarts"]] == []  # no child is to blame


def below(node):
    yield node
    for child in node["children"]:
        yield from below(child)
