"""The product and the simulator as processes, driven from outside as a user would.

Everything is synchronous: these tests wait for conditions in other processes, with deadlines.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import psycopg

from runtime.local_stack import LocalStack
from runtime.node_parts import NodeParts
from tests import log_contents

T = TypeVar("T")
API_KEY = "zv_test_" + "k" * 40
READY_SECONDS = 180.0
"""Generous: a busy machine takes ten times as long as an idle one."""


def until(check: Callable[[], T], *, seconds: float = 20.0, what: str = "the condition") -> T:
    """Poll until ``check`` returns something true; its last answer is in the failure."""
    deadline = time.monotonic() + seconds
    answer: Any = None
    while time.monotonic() < deadline:
        try:
            answer = check()
        except (httpx.TransportError, httpx.HTTPStatusError, psycopg.OperationalError) as error:
            answer = error
        else:
            if answer:
                return answer
        time.sleep(0.03)
    raise AssertionError(f"not within {seconds} s: {what}; last: {answer!r}")


PORTS = range(16_000, 32_000)
"""Below those that the system gives to outgoing connections, which would take one meanwhile."""


def free_port() -> int:
    """A port that nobody listens on; whoever asked may use it later, and again after a restart."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Process:
    """A child process whose output lines are kept and which never outlives the test run."""

    def __init__(self, command: list[str], *, env: dict[str, str], cwd: Path | None = None) -> None:
        self.lines: list[str] = []
        self._queue: queue.Queue[str] = queue.Queue()
        self.popen = subprocess.Popen(
            command,
            # Compiled once, not at every start: that is half of the time that starting takes.
            env={name: env[name] for name in env.keys() - {"PYTHONDONTWRITEBYTECODE"}},
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.append(line)
            self._queue.put(line)

    def wait_line(self, matches: Callable[[str], bool], seconds: float) -> str:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                line = self._queue.get(timeout=min(left, 0.5))
                if matches(line):
                    return line
            if self.popen.poll() is not None and self._queue.empty():
                break
        raise AssertionError(f"{self.popen.args} said only:\n{self.output()}")

    def output(self) -> str:
        return "".join(self.lines[-200:])

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM, then wait; whatever is left after the deadline is killed and reported."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not stop within {seconds} s:\n{self.output()}") from None

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait(10)


class Simulator:
    """The WhatsApp simulator and its admin API."""

    def __init__(self, parts: NodeParts) -> None:
        self.process = Process(
            [str(parts.node), str(parts.simulator / "src" / "cli.ts"), "start", "--stdin-eof"],
            env=dict(os.environ),
            cwd=parts.simulator,
        )
        line = self.process.wait_line(lambda text: '"listening"' in text, 20)
        listening = json.loads(line)
        self.whatsapp_url: str = listening["whatsappUrl"]
        self.preload = (parts.simulator / "src" / "preload.ts").as_uri()
        self.admin = httpx.Client(base_url=listening["adminUrl"], timeout=30)

    def environment(self) -> dict[str, str]:
        """What makes a program's Baileys talk to this simulator."""
        return {
            "NODE_OPTIONS": f"--import {self.preload}",
            "WHATSAPP_SIMULATOR_URL": self.whatsapp_url,
        }

    def post(self, path: str, **body: Any) -> Any:
        log_contents.use(body)
        response = self.admin.post(path, json=body)
        assert response.is_success, f"{path}: {response.status_code} {response.text}"
        return response.json()

    def get(self, path: str, **params: Any) -> Any:
        response = self.admin.get(path, params=params)
        assert response.is_success, f"{path}: {response.status_code} {response.text}"
        return response.json()

    def close(self) -> None:
        self.admin.close()
        self.process.stop()


class Product:
    """``zapvisor up`` on a data directory; may be stopped, killed and started again."""

    def __init__(self, directory: Path, simulator: Simulator, parts: NodeParts) -> None:
        self.directory = directory
        self.port = free_port()
        self.stack = LocalStack(
            directory / "data" / "supabase",
            node_modules=parts.node_modules,
            migrations=parts.migrations,
            port=free_port(),
        )
        self._environment = {
            **os.environ,
            **simulator.environment(),
            "ZAPVISOR_DATA_DIR": str(directory / "data"),
            "ZAPVISOR_API_KEY": API_KEY,
            "ZAPVISOR_LOCAL_SUPABASE_PORT": str(self.stack.port),
            "PORT": str(self.port),
        }
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {API_KEY}"},
            timeout=30,
            event_hooks={"request": [log_contents.used_request]},
        )
        self.process: Process | None = None

    def start(self, **environment: str) -> Product:
        self.launch(**environment)
        until(self._is_ready, seconds=READY_SECONDS, what="the product is ready")
        return self

    def launch(self, **environment: str) -> None:
        """Start without waiting: it may be told to die before it is ready."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.process = Process(
            [sys.executable, "-m", "http_api.cli", "up"],
            env={**self._environment, **environment},
            cwd=self.directory,
        )

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.popen.poll() is not None:
            raise AssertionError(f"the product ended:\n{self.process.output()}")
        return self.client.get("/health/ready").status_code == 200

    def pids(self, name: str) -> list[int]:
        """The pids of the product's processes whose program is called ``name``."""
        assert self.process is not None
        found = []
        for child in psutil.Process(self.process.popen.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if Path(child.exe() or child.name()).name == name or child.name() == name:
                    found.append(child.pid)
        return found

    def postmaster(self) -> int:
        return min(
            self.pids("postgres"),
            key=lambda pid: psutil.Process(pid).create_time(),
        )

    def kill(self) -> None:
        """kill -9 of the runtime itself."""
        assert self.process is not None
        self.process.kill()

    def stop(self) -> int:
        assert self.process is not None
        return self.process.stop()

    def close(self) -> None:
        if self.process is not None and self.process.popen.poll() is None:
            self.process.stop()
        self.client.close()
        self.check_logs()

    def check_logs(self) -> None:
        """No secret, text or number that the suite used is in the logs."""
        stack = self.stack
        log_contents.check(self.directory, API_KEY, stack.service_role_key, stack.jwt_secret)

    # --- the API

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.client.request(method, path, **options)

    def data(self, method: str, path: str, **options: Any) -> Any:
        response = self.call(method, path, **options)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        body = response.json()
        assert body["success"] is True, body
        return body.get("data")

    def connection(self, connection_id: str) -> dict[str, Any]:
        return self.data("GET", f"/api/whatsapp-integration/connections/{connection_id}")

    def send(self, connection_id: str, to: str, content: str, **headers: str) -> dict[str, Any]:
        return self.data(
            "POST",
            "/api/whatsapp-integration/messages/send",
            json={"connectionId": connection_id, "to": to, "content": content, "type": "text"},
            headers=headers,
        )

    # --- the database

    def owner(self) -> uuid.UUID:
        """A new user of the CRM."""
        owner_id = uuid.uuid4()
        with psycopg.connect(self.stack.dsn, autocommit=True) as database:
            database.execute(
                "insert into auth.users (id, email) values (%s, %s)",
                (owner_id, f"{owner_id}@example.com"),
            )
        return owner_id

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.stack.dsn, autocommit=True) as database:
            return database.execute(sql, parameters).fetchall()

    def rest(self, table: str, token: str, **params: str) -> list[dict[str, Any]]:
        """Read a table through PostgREST as the user of ``token``."""
        response = httpx.get(
            f"{self.stack.url}/rest/v1/{table}",
            params=params,
            headers={"apikey": self.stack.anon_key, "Authorization": f"Bearer {token}"},
            timeout=10,
        )
        response.raise_for_status()
        return response.json()


class Shop:
    """One CRM user with one paired WhatsApp number."""

    def __init__(self, product: Product, simulator: Simulator, name: str, number: str) -> None:
        self.product, self.simulator, self.name, self.number = product, simulator, name, number
        self.owner = product.owner()
        simulator.post("/phones", number=number, name=name)
        product.data(
            "POST",
            "/api/whatsapp-integration/connections",
            json={"connectionId": name, "name": name, "ownerId": str(self.owner)},
        )

    def pair(self) -> Shop:
        """Scan the QR code with the simulated phone and wait until the connection is open."""
        qr = until(self._qr, what="a QR code")
        self.simulator.post(f"/phones/{self.number}/scan", qr=qr)
        self.wait_connected()
        return self

    def _qr(self) -> str | None:
        answer = self.product.call(
            "GET", f"/api/whatsapp-integration/connections/{self.name}/qr"
        ).json()
        return answer["data"]["qrCode"] if answer["success"] else None

    def wait_connected(self, seconds: float = 30.0) -> None:
        until(
            lambda: self.product.connection(self.name)["isConnected"],
            seconds=seconds,
            what=f"{self.name} is connected",
        )

    def rows(self) -> list[tuple[Any, ...]]:
        """(conteudo, remetente, numero_cliente) of every message, in the order of the tables."""
        return self.product.query(
            "select m.conteudo, m.remetente, a.numero_cliente"
            " from whatsapp_mensagens m join whatsapp_atendimentos a on a.id = m.atendimento_id"
            " where m.owner_id = %s order by m.timestamp, m.ordem",
            self.owner,
        )

    def texts(self, contact: str, sender: str = "CLIENTE") -> list[str]:
        return [text for text, who, number in self.rows() if (who, number) == (sender, contact)]


@contextlib.contextmanager
def running(directory: Path, simulator: Simulator, parts: NodeParts) -> Iterator[Product]:
    product = Product(directory, simulator, parts)
    try:
        yield product.start()
    finally:
        product.close()
