"""The product with its surroundings in processes of their own, so that each can be killed alone.

``Backend`` is PostgreSQL, PostgREST and the gateway; ``Runtime`` is ``zapvisor up`` with Node below
it, pointed at the backend through a ``FaultProxy``. Everything is synchronous.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from runtime.local_stack import LocalStack
from tests import log_contents
from tests.e2e.harness import API_KEY, READY_SECONDS, Process, Simulator, free_port, until
from tests.local_stack import host

from .proxy import FaultProxy

API = "/api/whatsapp-integration"


class Backend:
    """A local Supabase that survives every test."""

    def __init__(self, directory: Path) -> None:
        self.stack = LocalStack(directory, host.NODE_MODULES, host.MIGRATIONS, free_port())
        self._directory = directory
        self.start()

    def start(self) -> None:
        """Returns when it answers."""
        self.process = Process(
            [sys.executable, host.__file__, str(self._directory), str(self.stack.port)],
            env={**os.environ, "PYTHONPATH": str(host.REPOSITORY)},
        )
        self.process.wait_line(lambda line: line.startswith("{"), READY_SECONDS)

    def stop(self) -> None:
        """In order; what is in the database stays."""
        assert self.process.popen.stdin is not None
        self.process.popen.stdin.close()  # how it is asked to stop
        self.process.popen.wait(READY_SECONDS)

    def children(self, name: str) -> list[psutil.Process]:
        found = []
        for child in psutil.Process(self.process.popen.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.name() == name:
                    found.append(child)
        return found

    def postgrest(self) -> int:
        [server] = until(lambda: self.children("postgrest"), seconds=40, what="PostgREST runs")
        return server.pid

    def postmaster(self) -> int:
        servers = until(lambda: self.children("postgres"), seconds=40, what="PostgreSQL runs")
        pids = {server.pid for server in servers}
        [head] = [server for server in servers if server.ppid() not in pids]
        return head.pid

    def query(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.stack.dsn, autocommit=True) as database:
            cursor = database.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else []

    def owner(self) -> uuid.UUID:
        """A new user of the CRM."""
        owner_id = uuid.uuid4()
        self.query(
            "insert into auth.users (id, email) values (%s, %s)",
            owner_id,
            f"{owner_id}@example.com",
        )
        return owner_id

    def close(self) -> None:
        self.stop()
        self.stack.erase()


class Runtime:
    """``zapvisor up`` on a data directory; may be armed, killed, stopped and started again."""

    def __init__(self, directory: Path, simulator: Simulator, backend: Backend) -> None:
        self.directory = directory
        self.data_dir = directory / "data"
        self._failpoint = directory / "failpoint"
        self.backend = backend
        self.proxy = FaultProxy(backend.stack.port)
        self.port = free_port()
        self.process: Process | None = None
        self.environment = {
            **os.environ,
            **simulator.environment(),
            "SUPABASE_URL": self.proxy.url,
            "SUPABASE_SERVICE_ROLE_KEY": backend.stack.service_role_key,
            "ZAPVISOR_DATA_DIR": str(self.data_dir),
            "ZAPVISOR_API_KEY": API_KEY,
            "ZAPVISOR_FAILPOINT": f"@{self._failpoint}",
            "PORT": str(self.port),
        }
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Authorization": f"Bearer {API_KEY}"},
            timeout=30,
            event_hooks={"request": [log_contents.used_request]},
        )

    # --- the process

    def arm(self, failpoint: str) -> None:
        """Strike once, as ``runtime/failpoints.py`` and ``bridge/README.md`` say."""
        written = self._failpoint.with_suffix(".new")
        written.write_text(failpoint)
        written.replace(self._failpoint)

    def disarm(self) -> None:
        self._failpoint.unlink(missing_ok=True)

    @property
    def struck(self) -> bool:
        """Whether what was armed has happened (or is about to within microseconds)."""
        return not self._failpoint.exists()

    def launch(self, **environment: str) -> Process:
        """Start without waiting."""
        self.process = Process(
            [sys.executable, "-m", "http_api.cli", "up"],
            env={**self.environment, **environment},
            cwd=self.directory,
        )
        return self.process

    def start(self, **environment: str) -> Runtime:
        self.launch(**environment)
        until(self._is_ready, seconds=READY_SECONDS, what="the runtime is ready")
        return self

    def _is_ready(self) -> bool:
        if not self.alive:
            raise AssertionError(f"the runtime ended:\n{self.output()}")
        return self.client.get("/health/ready").status_code == 200

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.popen.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.popen.poll() is None

    def output(self) -> str:
        return self.process.output() if self.process is not None else ""

    def bridge(self) -> int:
        """The pid of the Node process."""
        [pid] = until(self._bridges, seconds=40, what="the bridge runs")
        return pid

    def _bridges(self) -> list[int]:
        found = []
        for child in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if Path(child.exe()).name == "node":
                    found.append(child.pid)
        return found

    def kill(self) -> None:
        """kill -9 of the runtime alone; its bridge ends with its standard input."""
        assert self.process is not None
        self.process.kill()

    def wait_death(self, seconds: float = 60.0) -> int:
        assert self.process is not None
        return self.process.popen.wait(seconds)

    def stop(self) -> int:
        """In order, as SIGTERM asks."""
        assert self.process is not None
        return self.process.stop()

    def close(self) -> None:
        try:
            if self.alive:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGCONT)
                self.stop()
        finally:
            self.client.close()
            self.proxy.close()
        stack = self.backend.stack
        log_contents.check(self.directory, API_KEY, stack.service_role_key, stack.jwt_secret)

    # --- the API

    def data(self, method: str, path: str, **options: Any) -> Any:
        response = self.client.request(method, path, **options)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json().get("data")

    def queue(self) -> dict[str, Any]:
        """The journal's figures from ``GET /stats``."""
        figures = self.data("GET", "/api/whatsapp-bootstrap/stats")["queue"]
        return figures or {}

    def connection(self, name: str) -> dict[str, Any]:
        return self.data("GET", f"{API}/connections/{name}")

    def post_message(
        self, connection: str, to: str, text: str, key: str | None = None, seconds: float = 30.0
    ) -> httpx.Response:
        return self.client.post(
            f"{API}/messages/send",
            json={"connectionId": connection, "to": to, "content": text, "type": "text"},
            headers={} if key is None else {"Idempotency-Key": key},
            timeout=seconds,
        )


@dataclass(frozen=True)
class Accepted:
    """An outgoing message that the API took: it answered with this id."""

    customer: str
    text: str
    message_id: str


class Phone:
    """One CRM user with one paired WhatsApp number, and some customers."""

    _numbers = iter(range(10_000_000))

    def __init__(self, runtime: Runtime, simulator: Simulator, name: str, customers: int) -> None:
        self.runtime, self.simulator, self.name = runtime, simulator, name
        self.owner = runtime.backend.owner()
        self.number = f"551197{next(self._numbers):07d}"
        simulator.post("/phones", number=self.number, name=name)
        self.accepted: list[Accepted] = []
        self.customers = [self.customer(f"Cliente {n}") for n in range(customers)]

    def customer(self, name: str) -> str:
        number = f"552198{next(self._numbers):07d}"
        self.simulator.post("/contacts", number=number, name=name)
        return number

    def pair(self) -> Phone:
        """Create the connection, scan its QR code, and wait until it is open."""
        body = {"connectionId": self.name, "name": self.name, "ownerId": str(self.owner)}
        self.runtime.data("POST", f"{API}/connections", json=body)
        return self.scan()

    def scan(self) -> Phone:
        """Pair a connection that shows its QR code, and wait until it is open."""
        self.simulator.post(
            f"/phones/{self.number}/scan", qr=until(self._qr, what="a QR code", seconds=40)
        )
        self.wait_connected()
        return self

    def restart(self) -> None:
        """Start the connection's actor anew."""
        self.runtime.data("POST", f"{API}/connections/{self.name}/restart")

    def _qr(self) -> str | None:
        answer = self.runtime.client.get(f"{API}/connections/{self.name}/qr").json()
        return answer["data"]["qrCode"] if answer["success"] else None

    def wait_connected(self, seconds: float = 90.0) -> None:
        until(
            lambda: self.runtime.connection(self.name)["isConnected"],
            seconds=seconds,
            what=f"{self.name} is connected",
        )

    def write(self, customer: str, *texts: str, interval_ms: int = 0) -> list[str]:
        """What a customer writes; returns the ids."""
        body = {"to": self.number, "texts": list(texts), "intervalMs": interval_ms}
        return self.simulator.post(f"/contacts/{customer}/send", **body)["ids"]

    def rows(self, sender: str = "CLIENTE") -> list[tuple[str, str, str]]:
        """(customer, WhatsApp id, text) in the order that the tables give."""
        return self.runtime.backend.query(  # type: ignore[return-value]
            "select a.numero_cliente, m.whatsapp_id, m.conteudo from whatsapp_mensagens m"
            " join whatsapp_atendimentos a on a.id = m.atendimento_id"
            " where m.owner_id = %s and m.remetente = %s order by m.timestamp, m.ordem",
            self.owner,
            sender,
        )

    def texts(self, customer: str) -> list[str]:
        return [text for number, _, text in self.rows() if number == customer]

    def wait_text(self, text: str, seconds: float = 60.0) -> float:
        """Seconds until a row with this text is there."""
        started = time.monotonic()
        until(
            lambda: self.runtime.backend.query(
                "select 1 from whatsapp_mensagens where owner_id = %s and conteudo = %s",
                self.owner,
                text,
            ),
            seconds=seconds,
            what=f"{text!r} is in the table",
        )
        return time.monotonic() - started


def is_stopped(pid: int) -> bool:
    """Whether the process is held by SIGSTOP."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def hold(pid: int, seconds: float) -> None:
    """SIGSTOP, and SIGCONT after a while (unless it was killed meanwhile)."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def in_background(work: Any, *arguments: Any) -> Iterator[threading.Thread]:
    """Run in a thread while the block runs; its error is raised at the end."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work(*arguments)
        except BaseException as error:  # raised below
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    thread.join(120)
    assert not thread.is_alive(), f"{work} did not end"
    if errors:
        raise errors[0]


def tables_of(path: Path) -> dict[str, Any]:
    """A journal file after its runtime has ended: the accounts, and what it still holds."""
    import sqlite3

    database = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        accepted, stored, dead, pending, archived = database.execute(
            "SELECT accepted, stored, dead, pending, archived FROM totals"
        ).fetchone()
        return {
            "accepted": accepted,
            "stored": stored,
            "dead": dead,
            "pending": pending,
            "archived": archived,
            "damage": [row[0] for row in database.execute("PRAGMA integrity_check")],
            "entries": database.execute("SELECT count(*) FROM entry").fetchone()[0],
            "letters": [
                (json.loads(payload), None if raw is None else json.loads(raw), code)
                for payload, raw, code in database.execute(
                    "SELECT payload, raw, code FROM dead_letter"
                )
            ],
            "commands": dict(database.execute("SELECT message_id, state FROM command")),
        }
    finally:
        database.close()
