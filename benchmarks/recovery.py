"""kill -9 of each process with fifty connections: until a message to each of them is in its table.

Every connection is written to right after the kill. The runtime is started again at once, as a
service manager would.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.harness import until
from tests.faults.rig import Phone, Runtime

from .figures import Result
from .stage import PATIENCE, Stage, wait_rows, write_all

CONNECTIONS = 50
WRITERS = 8


def run(stage: Stage, *, quick: bool = False) -> Result:
    """Each process once."""
    result = Result(["killed", "first row, s", "all connections have their row, s"])
    runtime = stage.runtime().start()
    phones = stage.phones(runtime, 0, 2 if quick else CONNECTIONS)
    for phone in phones:
        write_all(phone, 1)
    for phone in phones:
        wait_rows(phone, 1)
    for name, kill in _kills(runtime).items():
        result.row(name, *_recover(phones, kill, name))
    return result


def _kills(runtime: Runtime) -> dict[str, Callable[[], None]]:
    backend = runtime.backend

    def of(pid: Callable[[], int]) -> Callable[[], None]:
        return lambda: os.kill(pid(), signal.SIGKILL)

    def runtime_itself() -> None:
        runtime.kill()
        runtime.launch()

    return {
        "PostgREST": of(backend.postgrest),
        "PostgreSQL": of(backend.postmaster),
        "bridge (Node)": of(runtime.bridge),
        "runtime": runtime_itself,
    }


def _recover(phones: list[Phone], kill: Callable[[], None], label: str) -> tuple[float, float]:
    backend = phones[0].runtime.backend
    kill()
    began = time.monotonic()

    def write(phone: Phone) -> None:
        body = {"to": phone.number, "text": f"Depois: {label}"}
        phone.simulator.post(f"/contacts/{phone.customers[0]}/send", **body)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, phones))

    def stored() -> int:
        count = "select count(*) from whatsapp_mensagens where conteudo = %s"
        return int(backend.query(count, f"Depois: {label}")[0][0])

    until(stored, seconds=PATIENCE, what="a row after the kill")
    first = time.monotonic() - began
    until(lambda: stored() == len(phones), seconds=PATIENCE, what="all rows after the kill")
    return first, time.monotonic() - began
