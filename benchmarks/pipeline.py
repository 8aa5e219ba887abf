"""The whole way of a message, simulator → Baileys → journal → table, beside a bare Baileys client.

Rates: customers write as fast as the simulator can; bare client and product take turns. Latency:
20 messages a second, from the moment of writing until the bare client's program has the message, or
until a front end is told of the committed row.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from statistics import median

import psutil

from tests.faults.rig import Phone, Runtime, in_background

from .figures import Result, percentiles, rounded
from .stage import (
    PATIENCE,
    Bare,
    Stage,
    Table,
    Usage,
    memory_mb,
    parts_of,
    wait_rows,
    write_all,
)

CUSTOMERS = 8
STEADY_PER_SECOND = 20
BARE_NUMBER = "5511960000000"


@dataclass(slots=True)
class Side:
    """What was measured of one of the two."""

    rates: list[float] = field(default_factory=list)
    cpu: list[dict[str, float]] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)


def run(stage: Stage, *, quick: bool = False) -> Result:
    """Alternate the two; then the steady stream for each."""
    rounds, messages, steady = (1, 80, 40) if quick else (3, 1_200, 200)
    runtime = stage.runtime().start()
    [phone] = stage.phones(runtime, 0, 1, CUSTOMERS)
    bare = Bare(stage, BARE_NUMBER)
    ours, theirs = Side(), Side()
    write_all(phone, 20)  # sessions exist, code is compiled
    wait_rows(phone, 20 * CUSTOMERS)
    _stream_to_bare(bare, phone, 20 * CUSTOMERS, Side())
    for _ in range(rounds):
        _stream_to_bare(bare, phone, messages, theirs)
        _stream_to_product(phone, messages, ours)
    theirs.latencies = _steady_to_bare(bare, phone, steady)
    ours.latencies = _steady_to_product(stage, phone, steady)
    return _report(theirs, ours, memory_mb(bare.process.popen.pid), _memory(runtime))


def _stream_to_bare(bare: Bare, phone: Phone, messages: int, side: Side) -> None:
    usage = Usage(
        simulator=lambda: [psutil.Process(phone.simulator.process.popen.pid)],
        client=lambda: [psutil.Process(bare.process.popen.pid)],
    )
    bare.expect(messages)
    began = time.time()
    write_all(phone, messages // CUSTOMERS, bare.number)
    arrivals = bare.arrivals()
    side.rates.append(len(arrivals) / (max(arrivals.values()) / 1000 - began))
    side.cpu.append(usage.per_message(len(arrivals)))


def _stream_to_product(phone: Phone, messages: int, side: Side) -> None:
    count = "select count(*) from whatsapp_mensagens where owner_id = %s"
    [(before,)] = phone.runtime.backend.query(count, phone.owner)
    usage = Usage(**parts_of(phone))
    began = time.monotonic()
    write_all(phone, messages // CUSTOMERS)
    wait_rows(phone, before + messages)
    side.rates.append(messages / (time.monotonic() - began))
    side.cpu.append(usage.per_message(messages))


def _steady_to_bare(bare: Bare, phone: Phone, messages: int) -> list[float]:
    bare.expect(messages)
    ids = _write_steadily(phone, bare.number, messages)
    return _latencies(phone, ids, bare.arrivals())


def _steady_to_product(stage: Stage, phone: Phone, messages: int) -> list[float]:
    arrivals: dict[str, float] = {}
    with Table(stage.backend) as table:

        def listen() -> None:
            arrivals.update(table.arrivals(messages, lambda: time.time() * 1000, PATIENCE))

        with in_background(listen) as listener:
            ids = _write_steadily(phone, phone.number, messages)
            listener.join(PATIENCE)
    return _latencies(phone, ids, arrivals)


def _write_steadily(phone: Phone, to: str, messages: int) -> list[str]:
    """One customer begins to write at the steady pace; returns the ids at once."""
    interval = 1000 // STEADY_PER_SECOND
    body = {"to": to, "count": messages, "intervalMs": interval}
    ids: list[str] = phone.simulator.post(f"/contacts/{phone.customers[0]}/send", **body)["ids"]
    return ids


def _latencies(phone: Phone, ids: list[str], arrivals: dict[str, float]) -> list[float]:
    sent = {one["id"]: one["sentAt"] for one in phone.simulator.get("/ledger")["sent"]}
    return [arrivals[message] - sent[message] for message in ids]


def _memory(runtime: Runtime) -> float:
    return memory_mb(runtime.pid) + memory_mb(runtime.bridge())


def _report(theirs: Side, ours: Side, bare_mb: float, our_mb: float) -> Result:
    result = Result(["", "bare Baileys client", "zapvisor", "Evolution API 2.3, elsewhere"])
    rate, bare_rate = median(ours.rates), median(theirs.rates)
    (p50, p99), (bare_p50, bare_p99) = percentiles(ours.latencies), percentiles(theirs.latencies)
    cpu, bare_cpu = _cpu(ours), _cpu(theirs)
    result.row("messages/s, each round", rounded(theirs.rates), rounded(ours.rates), "28")
    for name in cpu:
        result.row(
            f"CPU ms per message, {name}",
            bare_cpu.get("client" if name == "bridge" else name, ""),
            cpu[name],
            "",
        )
    everything = sum(cpu.values()) - cpu["simulator"]
    result.row("CPU ms per message, without the simulator", bare_cpu["client"], everything, "22.6")
    result.row("latency p50, ms, at 20 messages/s", bare_p50, p50, "16")
    result.row("latency p99, ms", bare_p99, p99, "210")
    result.row("MB after it (client; bridge and runtime)", bare_mb, our_mb, "")
    result.goal(
        "rate ≥ 70 % of the bare client's", rate / bare_rate * 100, 70, at_most=False, unit="%"
    )
    result.goal("added at p50 ≤ 15 ms", p50 - bare_p50, 15, at_most=True, unit="ms")
    result.plot = {
        "rate": rate,
        "bare_rate": bare_rate,
        "cpu": cpu,
        "bare_cpu": bare_cpu,
    }
    return result


def _cpu(side: Side) -> dict[str, float]:
    return {name: median(round_[name] for round_ in side.cpu) for name in side.cpu[0]}
