"""What the API answers while messages flow: each call ten times a second, beside a stream."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.rig import API, Phone

from .figures import Result, percentiles
from .stage import Stage, wait_rows, write_all

CUSTOMERS = 8
STREAM_PER_SECOND = 100
INTERVAL = 0.1


def run(stage: Stage, *, quick: bool = False) -> Result:
    """The same calls without and with the stream."""
    seconds = 2 if quick else 20
    result = Result(["", "idle p50, ms", "p99, ms", f"{STREAM_PER_SECOND} messages/s p50", "p99"])
    runtime = stage.runtime().start()
    [phone] = stage.phones(runtime, 0, 1, CUSTOMERS + 1)
    answering = phone.customers.pop()
    write_all(phone, 10)
    calls = _calls(phone, answering)
    idle = _measure(calls, seconds)
    messages = STREAM_PER_SECOND * seconds
    for customer in phone.customers:
        phone.simulator.post(
            f"/contacts/{customer}/send",
            to=phone.number,
            count=messages // CUSTOMERS,
            intervalMs=1000 * CUSTOMERS // STREAM_PER_SECOND,
        )
    busy = _measure(calls, seconds)
    wait_rows(phone, messages + 10 * CUSTOMERS)
    for name in calls:
        result.row(name, *percentiles(idle[name]), *percentiles(busy[name]))
    return result


def _calls(phone: Phone, customer: str) -> dict[str, Callable[[], object]]:
    client = phone.runtime.client

    def get(path: str) -> Callable[[], object]:
        return lambda: client.get(path).raise_for_status()

    return {
        "GET /metrics": get("/metrics"),
        "GET /health/ready": get("/health/ready"),
        "GET …/connections": get(f"{API}/connections"),
        "GET …/atendimentos/active": get(f"{API}/atendimentos/active?ownerId={phone.owner}"),
        "POST …/messages/send": lambda: phone.runtime.post_message(
            phone.name, customer, "Já respondo!"
        ).raise_for_status(),
    }


def _measure(calls: dict[str, Callable[[], object]], seconds: float) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in calls}
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        for name, call in calls.items():
            asked = time.monotonic()
            call()
            found[name].append((time.monotonic() - asked) * 1000)
        time.sleep(max(0.0, began + INTERVAL - time.monotonic()))
    return found
