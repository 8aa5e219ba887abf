"""Messages that waited at WhatsApp while the product was away."""

from __future__ import annotations

from .accounts import check_running
from .rig import Phone

WAITING = 1000


def test_a_thousand_waiting_messages_arrive_in_order(survivor: Phone) -> None:
    survivor.runtime.stop()
    for customer in survivor.customers:
        texts = [f"offline {n}" for n in range(WAITING // len(survivor.customers))]
        survivor.write(customer, *texts)
    survivor.runtime.start()
    check_running(survivor)
