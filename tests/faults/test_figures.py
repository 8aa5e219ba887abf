"""The path without a fault: what its promises cost."""

from __future__ import annotations

import pytest

from .accounts import Traffic, check
from .figures import note, percentiles
from .rig import Phone

pytestmark = pytest.mark.long


def test_receipts_commits_and_acceptance(phone: Phone) -> None:
    traffic = Traffic(phone, "medida")
    with traffic.flowing(incoming=1000, outgoing=200, interval_ms=25):
        phone.wait_text(f"{traffic.label} 999", seconds=120)
    ledger = phone.simulator.get("/ledger", phone=phone.number)["sent"]
    receipts = [one["deliveredAt"] - one["sentAt"] for one in ledger]
    commit = phone.runtime.queue()["commitMs"]
    note("time to receipt, ms", str(percentiles(receipts)))
    note("journal commit, ms", f"p50 {commit['p50']:.2f}, p99 {commit['p99']:.2f}")
    note("POST /messages/send, ms", str(percentiles(traffic.answers.receipt_ms)))
    check(phone)
