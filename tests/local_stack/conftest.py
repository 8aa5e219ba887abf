"""Local stacks in processes of their own, which tests may kill."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from runtime.local_stack import LocalStack

from . import host

DEADLINE = 60.0
SOCKET_VARIABLE = "PGRST_SERVER_UNIX_SOCKET"


def until(what: str, condition: Callable[[], Any], deadline: float = DEADLINE) -> Any:
    """The first truthy answer; errors of a server that is not there yet count as no."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        try:
            if answer := condition():
                return answer
        except (httpx.HTTPError, psycopg.OperationalError):
            pass
        time.sleep(0.02)
    raise AssertionError(f"not within {deadline} s: {what}")


class Host:
    """One directory with a stack in it, and the process that runs it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.stack = LocalStack(directory, host.NODE_MODULES, host.MIGRATIONS, 0)
        self.process: subprocess.Popen[str] | None = None
        self.owner = uuid.UUID(int=0)
        self.client = httpx.Client(base_url=f"{self.stack.url}/rest/v1", timeout=15)

    def start(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, host.__file__, str(self.directory), str(self.stack.port), *options],
            cwd=host.REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(host.REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.owner = uuid.UUID(json.loads(line)["owner"])

    def stop(self) -> None:
        if self.process is not None:
            self.process.communicate(timeout=DEADLINE)  # closes its standard input
            assert self.process.returncode == 0
            self.process = None

    def kill(self) -> None:
        """SIGKILL to the runtime alone."""
        assert self.process is not None
        self.process.kill()
        self.process.communicate(timeout=DEADLINE)
        self.process = None

    def children(self, name: str) -> list[psutil.Process]:
        assert self.process is not None
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in below if process.name() == name]

    def program(self, name: str, other_than: psutil.Process | None = None) -> psutil.Process:
        """The running server: of PostgreSQL's processes, the one with our leash as its parent."""

        def find() -> psutil.Process | None:
            with suppress(psutil.NoSuchProcess):
                for process in self.children(name):
                    parent = process.parent()  # None: it ended meanwhile
                    if process != other_than and parent is not None and parent.name() != name:
                        return process
            return None

        return until(f"{name} runs", find)

    def headers(self, user: uuid.UUID | None = None, key: str | None = None) -> dict[str, str]:
        """Of an end user, or of the service role."""
        key = key or (self.stack.anon_key if user else self.stack.service_role_key)
        token = self.stack.user_token(user) if user else key
        return {"apikey": key, "Authorization": f"Bearer {token}"}

    def ingest(self, *items: dict[str, Any]) -> Any:
        response = self.client.post(
            "/rpc/zapvisor_ingest", json={"items": items}, headers=self.headers()
        )
        response.raise_for_status()
        return response.json()

    def contents(self) -> list[str]:
        """What the owner reads."""
        response = self.client.get(
            "/whatsapp_mensagens?select=conteudo&order=ordem", headers=self.headers(self.owner)
        )
        response.raise_for_status()
        return [row["conteudo"] for row in response.json()]

    def close(self) -> None:
        self.client.close()
        try:
            self.stop()
        finally:
            if self.process is not None:
                self.kill()
            until("its servers have ended", lambda: not self.servers())
            self.stack.erase()

    def servers(self) -> list[psutil.Process]:
        """Whatever works on this cluster, whoever started it."""
        place = self.stack._cluster
        return [
            process
            for process in psutil.process_iter(["cwd", "environ"])
            if process.info["cwd"] == str(place.data)
            or str(place.sockets) in (process.info["environ"] or {}).get(SOCKET_VARIABLE, "")
        ]


@pytest.fixture(scope="session")
def directories() -> Iterator[Callable[[], Path]]:
    """Fresh directories with a space in their names."""
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="zapvisor stack ")))
        made[-1].chmod(0o755)
        return made[-1] / "supabase"

    yield make
    for path in made:
        shutil.rmtree(path)


@pytest.fixture(scope="session")
def shared(directories: Callable[[], Path]) -> Iterator[Host]:
    """A running stack for tests that leave it as it is."""
    running = Host(directories())
    running.start()
    yield running
    running.close()


@pytest.fixture(scope="session")
def _breakable(directories: Callable[[], Path]) -> Iterator[Host]:
    breakable = Host(directories())
    yield breakable
    breakable.close()


@pytest.fixture
def own(_breakable: Host) -> Host:
    """A running stack to be broken; its database is that of the tests before."""
    if _breakable.process is None:
        _breakable.start()
    return _breakable
