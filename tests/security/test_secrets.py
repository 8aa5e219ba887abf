"""The whole product with a mark in every secret, each part broken in turn: the mark is nowhere.

The product is whole but for Supabase, which here repeats the key in whatever it says.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import psutil
import pytest

from runtime.node_parts import prepare
from tests.e2e.harness import READY_SECONDS, Process, Simulator, free_port, until
from tests.e2e.receiver import Receiver

from .talkative import MOODS, Talkative

pytestmark = pytest.mark.timeout(600)

MARK = "M4RKED"
SERVICE_KEY = f"sb_secret_{MARK}_of-the-service-0123456789"
API_KEY = f"zk.{MARK}.of-an-admin-0123456789"
JWT_SECRET = f"{MARK} signs: 0123456789/+=0123456789abcdef"
PASSWORD = f"{MARK}%40of%2Fthe:database%25%23"
SECRETS = {
    "SUPABASE_SERVICE_ROLE_KEY": f'"{SERVICE_KEY}"\n',
    "SUPABASE_JWT_SECRET": f"  \u201c{JWT_SECRET}\u201d\r\n",
    "SUPABASE_DB_URL": f"'postgresql://postgres:{PASSWORD}@127.0.0.1:1/postgres'\n",
    "ZAPVISOR_API_KEY": f"\ufeff{API_KEY}\n",
}
OWNER = uuid.uuid4()
API, BOOTSTRAP = "/api/whatsapp-integration", "/api/whatsapp-bootstrap"


def forms() -> list[str]:
    """The mark, also where it stands inside something coded."""
    raw = MARK.encode()
    coded = [
        base64.b64encode(bytes(shift) + raw).decode()[(shift * 8 + 5) // 6 : -2].rstrip("=")
        for shift in range(3)
    ]
    return [MARK, MARK.lower(), raw.hex(), *coded]


def marks(text: str) -> list[str]:
    """Where the mark is in a text, with what stands around it."""
    found = ((form, text.find(form)) for form in forms())
    return [text[max(0, at - 60) : at + 60] for _, at in found if at >= 0]


class Marked:
    """``zapvisor up`` with a mark in every secret, and everything that comes out of it."""

    def __init__(self, directory: Path, simulator: Simulator) -> None:
        self.directory = directory
        self.supabase = Talkative()
        self.receiver = Receiver()
        self.port = free_port()
        self.environment = {
            **os.environ,
            **simulator.environment(),
            **SECRETS,
            "SUPABASE_URL": f"{self.supabase.url}/\n",
            "ZAPVISOR_DATA_DIR": f'"{directory / "data"}"',
            "ZAPVISOR_WEBHOOK_PRIVATE_HOSTS": f"127.0.0.1:{self.receiver.port}\n",
            "PORT": f" {self.port}\n",
        }
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)
        self.streamed = ""
        self.process = Process(
            [sys.executable, "-m", "http_api.cli", "up"], env=self.environment, cwd=directory
        )
        until(lambda: self.get("/health/ready").status_code == 200, seconds=READY_SECONDS)
        threading.Thread(target=self._follow, daemon=True).start()

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers=headers)

    def admin(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.client.request(method, path, headers={"X-Api-Key": API_KEY}, **options)

    def _follow(self) -> None:
        with (
            contextlib.suppress(httpx.HTTPError),
            httpx.stream(
                "GET",
                f"{self.client.base_url}{API}/events",
                headers={"X-Api-Key": API_KEY},
                timeout=None,
            ) as answer,
        ):
            for line in answer.iter_lines():
                self.streamed += f"{line}\n"

    def routes(self) -> list[str]:
        """Every path that can be read, with something in the place of each parameter."""
        names = {"connectionId": "loja", "seq": "1", "webhookId": "wh_0", "keyId": "x"}
        document = self.get("/openapi.json").json()
        found = ["/", "/health", "/health/live", "/health/ready", "/metrics", "/openapi.json"]
        for path, calls in document["paths"].items():
            if "get" in calls and not path.endswith("/events"):
                parts = [
                    names.get(part[1:-1], str(OWNER)) if part.startswith("{") else part
                    for part in path.split("/")
                ]
                found.append("/".join(parts))
        return sorted(set(found))

    def check(self, when: str) -> None:
        """AssertionError when the mark is in anything that anybody is told."""
        token = jwt.encode(
            {"aud": "authenticated", "sub": str(OWNER), "exp": int(time.time()) + 600}, JWT_SECRET
        )
        credentials: list[dict[str, str]] = [
            {},
            {"X-Api-Key": API_KEY},
            {"Authorization": f"Bearer {token}"},
            {"Authorization": f"Bearer {MARK}-that-is-wrong"},
        ]
        query = f"?ownerId={OWNER}&phones=5511987654321"
        for path in self.routes():
            for headers in credentials:
                answer = self.get(f"{path}{query if path.startswith('/api') else ''}", **headers)
                told = f"{answer.headers}\n{answer.text}"
                assert marks(told) == [], f"{when}: {path} {answer.status_code}"
                assert answer.status_code != 500, f"{when}: {path}"
        for method, path, body in (
            ("POST", f"{BOOTSTRAP}/test", None),
            ("POST", f"{API}/connections", {"connectionId": "x", "name": "x", "ownerId": "x"}),
            ("POST", f"{API}/robot", {"ownerId": str(OWNER), "nome": "x"}),
        ):
            answer = self.admin(method, path, json=body)
            assert marks(answer.text) == [], f"{when}: {path}"
        assert marks(self.streamed) == [], f"{when}: event stream"
        for headers, content in self.receiver.deliveries:
            assert marks(f"{headers}{content.decode()}") == [], f"{when}: webhook"
        self.check_output(when)

    def check_output(self, when: str) -> None:
        assert marks(self.process.output()) == [], f"{when}: terminal"
        for path in (*self.directory.glob("server.log*"), *self.directory.glob("logs/*")):
            assert marks(path.read_text(errors="replace")) == [], f"{when}: {path.name}"

    def run(self, *arguments: str, **environment: str) -> str:
        """What a command prints, on both channels."""
        run = subprocess.run(
            [sys.executable, "-m", "http_api.cli", *arguments],
            cwd=self.directory,
            env={**self.environment, "PYTHONPATH": os.getcwd(), **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return f"{run.stdout}\n{run.stderr}"

    def become(self, mood: str, code: str | None) -> None:
        """Let Supabase be so, and wait until readiness says it."""
        self.supabase.mood = mood
        until(
            lambda: self.get("/health/ready").json(),
            what="readiness answers",
        )
        until(lambda: self.supabase_error() == code, seconds=60, what=f"{mood} is {code}")

    def supabase_error(self) -> str | None:
        body = self.get("/health/ready").json()
        error: str | None = (body.get("data") or body.get("details"))["supabaseError"]
        return error

    def events(self, name: str) -> list[dict[str, Any]]:
        return [body for body in self.receiver.bodies() if body["event"] == name]

    def close(self) -> None:
        self.process.stop()
        self.client.close()
        self.receiver.close()
        self.supabase.close()


@pytest.fixture(scope="module")
def marked() -> Iterator[Marked]:
    directory = Path(tempfile.mkdtemp(prefix="zapvisor secrets "))
    simulator = Simulator(prepare(Path("data")))
    product = Marked(directory, simulator)
    try:
        answer = product.admin(
            "POST", f"{API}/webhooks", json={"url": product.receiver.url, "events": []}
        )
        assert answer.status_code == 200, answer.text
        yield product
    finally:
        product.close()
        simulator.close()
        shutil.rmtree(directory, ignore_errors=True)


def test_while_all_is_well_the_cleaned_key_is_used(marked: Marked) -> None:
    answer = marked.admin(
        "POST",
        f"{API}/connections",
        json={"connectionId": "loja", "name": "Loja", "ownerId": str(OWNER)},
    )
    assert answer.status_code == 200, answer.text
    marked.check("all is well")
    assert marked.supabase.keys - {""} == {SERVICE_KEY}


@pytest.mark.parametrize("mood", MOODS)
def test_a_supabase_that_tells_the_key_to_us_tells_nobody_else(marked: Marked, mood: str) -> None:
    marked.become(mood, MOODS[mood])
    marked.check(mood)
    status = marked.admin("GET", f"{BOOTSTRAP}/status").json()["data"]
    assert status["errors"][0].startswith("supabase: ")
    assert status["errors"][0].endswith(f"({MOODS[mood]})")
    told = marked.run("doctor")
    assert marks(told) == []
    assert MOODS[mood] in told
    marked.become("well", None)


def test_an_outage_is_told_to_webhooks_by_its_code(marked: Marked) -> None:
    marked.become("401", "PGRST301")
    until(
        lambda: [one for one in marked.events("supabaseOffline") if one["data"]["code"]],
        what="supabaseOffline arrives",
    )
    marked.check("an outage")
    marked.become("well", None)


def test_what_a_trigger_says_is_for_the_list_of_dead_letters_alone(marked: Marked) -> None:
    marked.become("refusing", None)
    marked.admin("POST", f"{API}/connections/loja/restart")
    letters = until(
        lambda: marked.admin("GET", f"{API}/dead-letters").json()["data"], what="a dead letter"
    )
    assert letters[0]["code"] == "P0001"
    assert "and its row" in letters[0]["reason"]
    [event, *_] = until(lambda: marked.events("deadLetter"), what="its event")
    assert event["data"]["reason"] == "Um gatilho do projeto recusa a linha."
    marked.check("refused rows")
    marked.become("well", None)


def test_a_bridge_that_is_killed(marked: Marked) -> None:
    for child in psutil.Process(marked.process.popen.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if "node" in child.name():
                child.send_signal(signal.SIGKILL)
    marked.check("the bridge is killed")
    until(lambda: marked.get("/health/ready").status_code == 200, seconds=60)


def test_a_webhook_that_fails(marked: Marked) -> None:
    marked.receiver.failing = True
    marked.become("cut", "network")
    marked.check("a webhook fails")
    marked.receiver.failing = False
    marked.become("well", None)


def test_a_journal_that_is_gone(marked: Marked) -> None:
    journal = marked.directory / "data" / "journal.sqlite"
    aside = journal.with_suffix(".aside")
    journal.rename(aside)
    journal.mkdir()
    try:
        until(
            lambda: (
                marked.get("/health/ready").json().get("details", {}).get("journalState")
                not in (None, "available")
            ),
            seconds=60,
            what="the journal is missed",
        )
        marked.check("the journal is gone")
        assert marks(marked.run("doctor")) == []
    finally:
        journal.rmdir()
        aside.rename(journal)
    until(lambda: marked.get("/health/ready").status_code == 200, seconds=90)


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://postgres:{PASSWORD}@127.0.0.1:1/postgres",
        f"postgresql://postgres:{MARK}@w@127.0.0.1:1/postgres",
        f"postgresql://postgres:a:{MARK}/#@127.0.0.1:1/postgres",
        f"postgresql://postgres:{MARK}%zz@127.0.0.1:1/postgres",
        f"host=127.0.0.1 port=1 password='{MARK} @' user=x",
        f"host=127.0.0.1 port=1 passwort={MARK}",
        f"{MARK}",
        f"https://{MARK}@example.com",
    ],
)
def test_migrate_tells_nothing_of_its_address(marked: Marked, address: str) -> None:
    told = marked.run("migrate", SUPABASE_DB_URL=address)
    assert marks(told) == []
    assert "SUPABASE_DB_URL" in told or "database" in told or "connection string" in told
    assert "Traceback" not in told
    marked.check_output("migrate")


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("command", ["up", "doctor", "migrate", "tree", "keys list"])
def test_a_secret_that_cannot_be_one_is_named_at_start(
    marked: Marked, name: str, command: str
) -> None:
    told = marked.run(*command.split(), **{name: f"{MARK}\n{MARK} \u201d"})
    assert marks(told) == []
    assert f"the settings are not usable: {name}: " in told
    assert "Traceback" not in told
