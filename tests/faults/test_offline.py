"""Messages that waited at WhatsApp while the product was away."""

from __future__ import annotations

import pytest

from .accounts import check_running
from .rig import Phone


@pytest.mark.parametrize(
    "waiting", [300, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
def test_waiting_messages_arrive_in_order(waiting: int, survivor: Phone) -> None:
    survivor.runtime.stop()
    share = waiting // len(survivor.customers)
    for customer in survivor.customers:
        survivor.write(customer, *[f"offline {waiting}/{n}" for n in range(share)])
    survivor.runtime.start()
    check_running(survivor, seconds=600)
