"""Faults of the connection to WhatsApp, while messages flow both ways."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.harness import until

from .accounts import Traffic, check_running
from .rig import Phone

QUICK: list[dict[str, Any]] = [
    {"kind": "drop", "after": 7, "times": 1},
    {"kind": "duplicate", "times": 20},
    {"kind": "lose-receipts", "times": 10},
]
LONG: list[dict[str, Any]] = [
    {"kind": "silence", "durationMs": 3000},
    {"kind": "drop", "after": 5, "reset": True, "times": 2},
    {"kind": "freeze", "durationMs": 3000},
    {"kind": "delay", "ms": 200, "durationMs": 4000},
    {"kind": "lose-acks", "times": 2},
    {"kind": "lose-sends", "times": 2},
    {"kind": "stream-error", "code": 503},
]


@pytest.mark.parametrize(
    "fault",
    [*QUICK, *(pytest.param(fault, marks=pytest.mark.long) for fault in LONG)],
    ids=lambda fault: fault["kind"] + ("-reset" if fault.get("reset") else ""),
)
def test_nothing_is_lost_or_doubled(fault: dict[str, Any], survivor: Phone) -> None:
    simulator = survivor.simulator
    label = f"{fault['kind']} {fault.get('times', '')}"
    traffic = Traffic(survivor, label)
    with traffic.flowing(incoming=60, outgoing=20):
        survivor.wait_text(f"{traffic.label} 5")
        simulator.post("/faults", phone=survivor.number, **fault)
    if fault["kind"] == "lose-receipts":
        # What WhatsApp does not know to be delivered comes again at the next login.
        simulator.post("/faults", kind="drop", phone=survivor.number)
    check_running(survivor)


@pytest.mark.long
def test_a_path_that_stays_half_open_is_noticed_and_replaced(survivor: Phone) -> None:
    """Nothing ends the silence but the product itself."""
    simulator = survivor.simulator
    traffic = Traffic(survivor, "half-open")
    with traffic.flowing(incoming=30, outgoing=10):
        survivor.wait_text(f"{traffic.label} 3")
        before = survivor.runtime.connection(survivor.name)["counters"]["disconnects"]
        silence = simulator.post("/faults", phone=survivor.number, kind="silence")
        until(
            lambda: survivor.runtime.connection(survivor.name)["counters"]["disconnects"] > before,
            what="the silence is noticed",
            seconds=90,
        )
        simulator.admin.delete(f"/faults/{silence['id']}")
    check_running(survivor)


@pytest.mark.long
def test_a_server_that_refuses_for_a_while(survivor: Phone) -> None:
    simulator = survivor.simulator
    traffic = Traffic(survivor, "refused")
    with traffic.flowing(incoming=60, outgoing=20):
        survivor.wait_text(f"{traffic.label} 5")
        upgrade = simulator.post("/faults", kind="refuse-upgrade", code=503)
        simulator.post("/faults", kind="drop", phone=survivor.number)
        time.sleep(1.5)
        simulator.post("/faults", kind="refuse-login", phone=survivor.number, code=503, times=1)
        simulator.admin.delete(f"/faults/{upgrade['id']}")
    check_running(survivor)


def test_what_cannot_be_decrypted_is_sent_again_and_takes_its_place(survivor: Phone) -> None:
    simulator = survivor.simulator
    [customer] = [survivor.customer("Com defeito")]
    survivor.write(customer, "antes")
    survivor.wait_text("antes")
    simulator.post("/faults", kind="undecryptable", phone=survivor.number, times=2)
    survivor.write(customer, "ilegível 1", "ilegível 2", "depois")
    for text in ("ilegível 1", "ilegível 2", "depois"):
        survivor.wait_text(text)
    assert sorted(survivor.texts(customer)) == sorted(
        ["antes", "ilegível 1", "ilegível 2", "depois"]
    )
