"""Where benchmarks play: simulator, Supabase and product in processes of their own.

The parts are those of the fault tests, without the proxy between product and Supabase.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import psycopg

from runtime.node_parts import NodeParts, prepare
from tests.e2e.harness import Process, Simulator, until
from tests.faults.rig import Backend, Phone, Runtime

HERE = Path(__file__).parent
PAIRING_AT_ONCE = 4
PATIENCE = 240.0
"""Seconds for what is being measured; whatever takes longer has failed."""


class Stage:
    """A simulator and a Supabase, each started when first asked for, and products on demand."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.parts: NodeParts = prepare(root)
        self._ends = contextlib.ExitStack()
        self._products = contextlib.ExitStack()
        self._made = 0

    @cached_property
    def simulator(self) -> Simulator:
        """WhatsApp."""
        simulator = Simulator(self.parts)
        simulator.admin.timeout = PATIENCE
        self._ends.callback(simulator.close)
        return simulator

    @cached_property
    def backend(self) -> Backend:
        """Supabase."""
        backend = Backend(self.root / "supabase")
        self._ends.callback(backend.close)
        return backend

    def directory(self) -> Path:
        """A new one."""
        self._made += 1
        made = self.root / f"directory {self._made}"
        made.mkdir()
        return made

    def runtime(self) -> Runtime:
        """A product on a fresh data directory, not started."""
        runtime = Runtime(self.directory(), self.simulator, self.backend)
        runtime.environment["SUPABASE_URL"] = self.backend.stack.url
        del runtime.environment["ZAPVISOR_FAILPOINT"]
        self._products.callback(runtime.close)
        return runtime

    def node(self, program: str, *arguments: str, **environment: str) -> Process:
        """One of the Node programs beside this file."""
        process = Process(
            [str(self.parts.node), str(HERE / program), *arguments],
            env={**os.environ, **environment},
        )
        self._products.callback(process.kill)
        return process

    def phones(self, runtime: Runtime, first: int, last: int, customers: int = 1) -> list[Phone]:
        """Pair further numbers, called ``loja-<n>``, several at a time."""
        made = [
            Phone(runtime, self.simulator, f"loja-{number:03d}", customers)
            for number in range(first, last)
        ]
        with ThreadPoolExecutor(PAIRING_AT_ONCE) as pool:
            list(pool.map(Phone.pair, made))
        return made

    def clear(self) -> None:
        """End what was started on demand."""
        self._products.close()

    def close(self) -> None:
        """End every process, whatever fails in between."""
        with self._ends:
            self.clear()


@contextlib.contextmanager
def staged() -> Iterator[Stage]:
    """A stage in a temporary directory that PostgreSQL's own account can enter."""
    root = Path(tempfile.mkdtemp(prefix="zapvisor benchmark "))
    os.chmod(root, 0o755)
    stage = Stage(root)
    try:
        yield stage
    finally:
        stage.close()
        shutil.rmtree(root, ignore_errors=True)


class Bare:
    """A Baileys client that keeps nothing: ``bare.ts``."""

    def __init__(self, stage: Stage, number: str) -> None:
        self.number = number
        self.simulator = stage.simulator
        self.process = stage.node("bare.ts", **stage.simulator.environment())
        self.simulator.post("/phones", number=number, name="nada")
        qr = self._told("qr", 30)["qr"]
        self.simulator.post(f"/phones/{number}/scan", qr=qr)
        self._told("open", 30)

    def _told(self, event: str, seconds: float) -> dict[str, Any]:
        line = self.process.wait_line(lambda text: f'"event":"{event}"' in text, seconds)
        found: dict[str, Any] = json.loads(line)
        return found

    def expect(self, count: int) -> None:
        """Begin counting; returns when it does."""
        assert self.process.popen.stdin is not None
        self.process.popen.stdin.write(f"{count}\n")
        self.process.popen.stdin.flush()
        self._told("expecting", PATIENCE)

    def arrivals(self, seconds: float = PATIENCE) -> dict[str, float]:
        """When each of the expected messages was handed to the program (epoch, ms)."""
        arrivals: dict[str, float] = self._told("received", seconds)["at"]
        return arrivals


class Table:
    """When rows of messages become visible, as a front end is told: a NOTIFY at the commit."""

    def __init__(self, backend: Backend) -> None:
        self._database = psycopg.connect(backend.stack.dsn, autocommit=True)
        self._database.execute(_NOTIFY)
        self._database.execute("listen benchmark")

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the trigger away again."""
        self._database.execute("drop trigger benchmark on whatsapp_mensagens")
        self._database.close()

    def arrivals(self, count: int, clock: Callable[[], float], seconds: float) -> dict[str, float]:
        """Wait for so many rows: WhatsApp id → time."""
        seen: dict[str, float] = {}
        for note in self._database.notifies(timeout=seconds):
            seen[note.payload] = clock()
            if len(seen) == count:
                return seen
        raise AssertionError(f"only {len(seen)} of {count} rows within {seconds} s")


_NOTIFY = """
create or replace function benchmark_notify() returns trigger language plpgsql as $$
begin perform pg_notify('benchmark', new.whatsapp_id); return null; end $$;
create or replace trigger benchmark after insert on whatsapp_mensagens
    for each row execute function benchmark_notify();
"""


class Usage:
    """CPU seconds by part since this object was made."""

    def __init__(self, **parts: Callable[[], list[psutil.Process]]) -> None:
        self._parts = parts
        self._before = self._read()

    def _read(self) -> dict[str, dict[int, float]]:
        return {
            name: {process.pid: cpu_seconds(process) for process in find()}
            for name, find in self._parts.items()
        }

    def per_message(self, count: int) -> dict[str, float]:
        """Milliseconds of CPU for each of ``count`` messages, by part."""
        return {
            name: sum(used - self._before[name].get(pid, 0.0) for pid, used in now.items())
            / count
            * 1000
            for name, now in self._read().items()
        }


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time so far; 0 for what has ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def parts_of(phone: Phone) -> dict[str, Callable[[], list[psutil.Process]]]:
    """The processes that a message to this phone passes through, for `Usage`."""
    runtime, backend = phone.runtime, phone.runtime.backend
    return {
        "simulator": lambda: [psutil.Process(phone.simulator.process.popen.pid)],
        "bridge": lambda: [psutil.Process(runtime.bridge())],
        "runtime": lambda: [psutil.Process(runtime.pid)],
        "gateway": lambda: [psutil.Process(backend.process.popen.pid)],
        "PostgREST": lambda: backend.children("postgrest"),
        "PostgreSQL": lambda: backend.children("postgres"),
    }


def memory_mb(pid: int) -> float:
    """What the process alone would give back (unique set size), in MB."""
    return float(psutil.Process(pid).memory_full_info().uss) / 1e6


def write_all(phone: Phone, per_customer: int, to: str | None = None) -> None:
    """Every customer writes to the phone (or to another number), all at once.

    Returns when the simulator has it all.
    """
    with ThreadPoolExecutor(len(phone.customers)) as pool:
        list(
            pool.map(
                lambda customer: phone.simulator.post(
                    f"/contacts/{customer}/send", to=to or phone.number, count=per_customer
                ),
                phone.customers,
            )
        )


def wait_rows(phone: Phone, count: int, seconds: float = PATIENCE) -> None:
    """Until the phone's owner has so many messages of customers."""
    until(
        lambda: (
            phone.runtime.backend.query(
                "select count(*) from whatsapp_mensagens where owner_id = %s", phone.owner
            )[0][0]
            >= count
        ),
        seconds=seconds,
        what=f"{count} rows",
    )
