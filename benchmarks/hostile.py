"""Twenty clients do their worst with a key that may only read: what others notice of it."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import re
import socket
import time
from collections.abc import Callable

import httpx

from .figures import Result, percentiles
from .stage import Stage

CLIENTS = 20
SECONDS = 20.0
LAG_GOAL_MS = 250.0
HEALTH_GOAL_MS = 500.0
HUGE = 21 * 1024 * 1024
API = "/api/whatsapp-integration"


def run(stage: Stage, *, quick: bool = False) -> Result:
    """Ask for health every 20 ms, first in peace, then among the twenty."""
    seconds = 2.0 if quick else SECONDS
    runtime = stage.runtime().start()
    owner = str(runtime.backend.owner())
    scope = {"name": "leitor", "role": "owner", "ownerId": owner, "permissions": ["read"]}
    made = runtime.client.post(
        "/api/whatsapp-bootstrap/keys", json={**scope, "ratePerMinute": None}
    )
    key = made.json()["data"]["key"]
    result = Result(["", "health p50, ms", "health p99, ms", "event loop late by at most, ms"])
    peace = _watch(runtime.port, seconds)
    result.row("alone", *peace)
    with _attackers(runtime.port, key):
        among = _watch(runtime.port, seconds)
    result.row(f"among {CLIENTS} hostile clients", *among)
    result.goal("event loop, ≤ 250 ms", among[2], LAG_GOAL_MS, at_most=True, unit="ms")
    result.goal("health p99, ≤ 500 ms", among[1], HEALTH_GOAL_MS, at_most=True, unit="ms")
    return result


def _watch(port: int, seconds: float) -> tuple[float, float, float]:
    """Health p50 and p99, and the bound below which the event loop was late; all in ms."""
    times: list[float] = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        before = _late(client)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            client.get("/health/live").raise_for_status()
            times.append((time.perf_counter() - began) * 1000)
            time.sleep(0.02)
        late = _late(client)
    beats = late[_INF] - before[_INF]
    bound = min(one for one in late if late[one] - before[one] == beats)
    return (*percentiles(times), bound * 1000)


_INF = float("inf")


def _late(client: httpx.Client) -> dict[float, float]:
    """The histogram of the runtime's event loop: how many beats were late by at most so much."""
    text = client.get("/metrics").text
    lines = re.findall(
        r"^zapvisor_event_loop_lag_seconds_bucket\{(.*)\} (\S+)$", text, re.MULTILINE
    )
    found = {}
    for labels, count in lines:
        if '"runtime"' in labels:
            [bound] = re.findall(r'le="([^"]+)"', labels)
            found[float(bound)] = float(count)
    return found


@contextlib.contextmanager
def _attackers(port: int, key: str):  # noqa: ANN202 - a context manager
    """Processes of their own, so that what they burn is not ours."""
    context = multiprocessing.get_context("spawn")
    kinds = [_huge, _slow_headers, _slow_body, _streams, _lists]
    attackers = [
        context.Process(target=_for_ever, args=(kinds[n % len(kinds)], port, key), daemon=True)
        for n in range(CLIENTS)
    ]
    for one in attackers:
        one.start()
    try:
        yield
    finally:
        for one in attackers:
            one.terminate()
            one.join(10)


def _for_ever(attack: Callable[[int, str], None], port: int, key: str) -> None:
    while True:
        with contextlib.suppress(OSError, httpx.HTTPError):
            attack(port, key)


def _huge(port: int, key: str) -> None:
    body = b'{"content": [' + b"[]," * (HUGE // 3) + b"[]]}"
    headers = {"X-Api-Key": key, "Content-Type": "application/json"}
    httpx.post(
        f"http://127.0.0.1:{port}{API}/messages/send", content=body, headers=headers, timeout=30
    )


def _slow_headers(port: int, _key: str) -> None:
    sockets = []
    for _ in range(100):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(b"GET /health/live HTTP/1.1\r\n")
        sockets.append(one)
    for _ in range(50):
        for one in sockets:
            one.sendall(b"X")
        time.sleep(0.2)


def _slow_body(port: int, key: str) -> None:
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(
            f"POST {API}/messages/send HTTP/1.1\r\nHost: x\r\nX-Api-Key: {key}\r\n"
            "Content-Type: application/json\r\nContent-Length: 900000\r\n\r\n".encode()
        )
        for _ in range(200):
            one.sendall(b"[")
            time.sleep(0.05)


def _streams(port: int, key: str) -> None:
    url = f"http://127.0.0.1:{port}{API}/events"
    with (
        contextlib.ExitStack() as held,
        httpx.Client(headers={"X-Api-Key": key}, timeout=30) as client,
    ):
        for _ in range(30):
            held.enter_context(client.stream("GET", url))
        time.sleep(2)


def _lists(port: int, key: str) -> None:
    with httpx.Client(headers={"X-Api-Key": key}, timeout=30) as client:
        for _ in range(50):
            client.get(f"http://127.0.0.1:{port}{API}/atendimentos", params={"limit": 200})
            query = json.dumps({"search": "a" * 90})
            client.get(f"http://127.0.0.1:{port}{API}/atendimentos", params={"search": query[:99]})
