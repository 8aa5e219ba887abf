"""Supabase away for long: a queue of 100,000, flat memory, and nobody starves while it drains."""

from __future__ import annotations

import time

import psutil
import pytest

from tests.e2e.harness import Simulator, until

from .accounts import check
from .figures import note, percentiles
from .filling import fill, message
from .rig import Phone, Runtime

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

QUEUED = 100_000
CUSTOMERS = 500
EVERY_SECONDS = 1.0
FLAT_BYTES = 96 * 1024 * 1024
"""What the process may grow by while all of it passes through."""


def test_a_hundred_thousand_queued(runtime: Runtime, simulator: Simulator) -> None:
    journal = runtime.data_dir / "journal.sqlite"
    owner = str(runtime.backend.owner())
    fill(
        journal,
        (message(owner, "antiga", f"5511980{n % CUSTOMERS:06d}", n) for n in range(QUEUED)),
    )
    per_million = journal.stat().st_size / QUEUED * 1e6
    note("journal file per million pending", f"{per_million / 1e6:.0f} MB")

    with runtime.proxy.away():
        runtime.start()
        phone = Phone(runtime, simulator, "loja", customers=3).pair()
        process = psutil.Process(runtime.pid)
        # New work is taken and receipted all the same.
        ids = phone.write(phone.customers[0], *[f"fora {n}" for n in range(50)])
        until(lambda: _delivered(phone) >= len(ids), what="receipts", seconds=60)
        assert runtime.client.get("/health/ready").status_code == 200
        before = process.memory_info().rss
        assert runtime.queue()["pending"] > QUEUED

    begun, pending, largest = time.monotonic(), runtime.queue()["pending"], before
    receipts: list[float] = []
    rows: list[float] = []
    written = 0
    while runtime.queue()["pending"] > 0:
        assert time.monotonic() - begun < 900, "it does not drain"
        asked = time.monotonic()
        phone.write(phone.customers[1], f"durante {written}")
        written += 1
        until(lambda: _delivered(phone) >= len(ids) + written, what="a receipt", seconds=30)  # noqa: B023
        receipts.append((time.monotonic() - asked) * 1000)
        phone.wait_text(f"durante {written - 1}", seconds=60)
        rows.append(time.monotonic() - asked)
        largest = max(largest, process.memory_info().rss)
        time.sleep(EVERY_SECONDS)
    drained = time.monotonic() - begun
    note("drain rate", f"{pending / drained:.0f} entries/s ({pending} in {drained:.0f} s)")
    note("time to receipt while it drains, ms", str(percentiles(receipts)))
    note("time to the row while it drains, s", str(percentiles(rows)))
    note("memory while it drains", f"+{(largest - before) / 2**20:.0f} MB of {before / 2**20:.0f}")
    assert largest - before < FLAT_BYTES
    # They did not wait for the queue: the first of them would have waited for all of it.
    assert max(rows) < drained / 3

    # As soon as the old ones are in, a new one takes no longer than ever.
    phone.write(phone.customers[2], "depois de tudo")
    assert phone.wait_text("depois de tudo") < 10
    [(stored,)] = runtime.backend.query(
        "select count(*) from whatsapp_mensagens where owner_id = %s", owner
    )
    assert stored == QUEUED
    [(inversions,)] = runtime.backend.query(
        "select count(*) from (select conteudo, lag(ordem) over w > ordem as inverted"
        " from whatsapp_mensagens where owner_id = %s"
        " window w as (partition by atendimento_id order by substr(conteudo, 10)::int)) as x"
        " where inverted",
        owner,
    )
    assert inversions == 0
    check(phone)


def _delivered(phone: Phone) -> int:
    ledger = phone.simulator.get("/ledger", phone=phone.number)["sent"]
    return sum(one["delivered"] for one in ledger)
