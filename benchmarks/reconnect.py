"""A long run in short: each connection loses its socket two hundred times, as WhatsApp asks (515).

Memory and CPU per message after it, against those before it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import psutil

from tests.e2e.harness import until
from tests.faults.rig import Phone, Runtime

from .figures import Result
from .stage import PATIENCE, Stage, Usage, memory_mb, wait_rows, write_all

CONNECTIONS = 3
WARM_UP = 10
SETTLE_SECONDS = 5.0
GOAL_GROWTH = 1.1


@dataclass(frozen=True, slots=True)
class State:
    """Of the product, at one moment."""

    bridge_mb: float
    runtime_mb: float
    bridge_ms: float
    runtime_ms: float


def run(stage: Stage, *, quick: bool = False) -> Result:
    """Warm up, read, reconnect, read again."""
    reconnections, messages = (3, 20) if quick else (200, 1_000)
    runtime = stage.runtime().start()
    phones = stage.phones(runtime, 0, 2 if quick else CONNECTIONS)
    _reconnect(phones, 1 if quick else WARM_UP)
    _read(phones, messages)
    before = _read(phones, messages)
    began = time.monotonic()
    _reconnect(phones, reconnections)
    each = (time.monotonic() - began) / (reconnections * len(phones))
    after = _read(phones, messages)
    made = _sockets(runtime)
    result = Result(["", "before", "after", "times"])
    for name, unit in (
        ("bridge_mb", "bridge, MB"),
        ("runtime_mb", "runtime, MB"),
        ("bridge_ms", "bridge, CPU ms per message"),
        ("runtime_ms", "runtime, CPU ms per message"),
    ):
        first, last = getattr(before, name), getattr(after, name)
        result.row(unit, first, last, last / first)
        result.goal(f"{unit} ≤ 1.1 times", last / first, GOAL_GROWTH, at_most=True, unit="times")
    result.row("sockets made", "", made, "")
    result.row("ms for a reconnection", "", each * 1000, "")
    return result


def _reconnect(phones: list[Phone], times: int) -> None:
    """All at once, each so many times."""
    runtime = phones[0].runtime
    for _ in range(times):
        before = {one["id"]: one["sockets"] for one in _connections(runtime)}
        for phone in phones:
            phone.simulator.post("/faults", kind="stream-error", code=515, phone=phone.number)
        until(
            partial(_are_open_again, runtime, before),
            seconds=60,
            what="every connection is open again",
        )


def _are_open_again(runtime: Runtime, before: dict[str, int]) -> bool:
    return all(
        one["sockets"] > before[one["id"]] and one["status"] == "connected"
        for one in _connections(runtime)
    )


def _connections(runtime: Runtime) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = runtime.data("GET", "/api/whatsapp-bootstrap/stats")[
        "connections"
    ]
    return found


def _sockets(runtime: Runtime) -> int:
    return sum(one["sockets"] for one in _connections(runtime))


def _read(phones: list[Phone], messages: int) -> State:
    runtime = phones[0].runtime
    count = "select count(*) from whatsapp_mensagens where owner_id = %s"
    before = {phone.name: runtime.backend.query(count, phone.owner)[0][0] for phone in phones}
    usage = Usage(
        bridge=lambda: [psutil.Process(runtime.bridge())],
        runtime=lambda: [psutil.Process(runtime.pid)],
    )
    for phone in phones:
        write_all(phone, messages // len(phones))
    for phone in phones:
        wait_rows(phone, before[phone.name] + messages // len(phones), PATIENCE)
    cpu = usage.per_message(messages)
    time.sleep(SETTLE_SECONDS)
    return State(memory_mb(runtime.bridge()), memory_mb(runtime.pid), cpu["bridge"], cpu["runtime"])
