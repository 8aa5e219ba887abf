"""The way out: ``POST /messages/send`` until the customer's phone shows the message."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.harness import until
from tests.faults.rig import Phone

from .figures import Result, percentiles
from .stage import PATIENCE, Stage

AT_ONCE = 16


def run(stage: Stage, *, quick: bool = False) -> Result:
    """One request after the other, then sixteen callers."""
    turns, many = (10, 32) if quick else (300, 1_600)
    result = Result(["", "accepted/s", "p50, ms", "p99, ms", "on the phone/s", "Evolution 2.3"])
    runtime = stage.runtime().start()
    [phone] = stage.phones(runtime, 0, 1, customers=3)
    _send(phone, phone.customers[0], 5, 1)
    result.row("in turn", *_send(phone, phone.customers[1], turns, 1), "7.6/s")
    result.row(f"{AT_ONCE} at once", *_send(phone, phone.customers[2], many, AT_ONCE), "10.9/s")
    return result


def _send(phone: Phone, customer: str, count: int, at_once: int) -> tuple[float, ...]:
    def one(number: int) -> float:
        began = time.monotonic()
        answer = phone.runtime.post_message(phone.name, customer, f"Resposta {number}")
        assert answer.is_success, answer.text
        return (time.monotonic() - began) * 1000

    began = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        latencies = list(pool.map(one, range(count)))
    accepted = count / (time.monotonic() - began)
    inbox = f"/contacts/{customer}/inbox"
    until(
        lambda: len(phone.simulator.get(inbox)) >= count,
        seconds=PATIENCE,
        what="the phone shows everything",
    )
    return accepted, *percentiles(latencies), count / (time.monotonic() - began)
