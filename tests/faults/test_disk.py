"""Disks that fail or are full: new work is refused clearly, nothing accepted is lost."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil
import pytest

from tests.e2e.harness import READY_SECONDS, until

from .accounts import Traffic, check, check_running
from .rig import Phone


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param("journal-write:enospc@5", marks=pytest.mark.long),
        pytest.param("journal-write:eio@5", marks=pytest.mark.long),
        "fsync:eio@5",
        pytest.param("fsync:enospc@5", marks=pytest.mark.long),
    ],
)
def test_a_write_or_sync_that_fails_once(failure: str, survivor: Phone) -> None:
    runtime = survivor.runtime
    traffic = Traffic(survivor, f"disk {failure}")
    with traffic.flowing(incoming=30, outgoing=12):
        runtime.arm(failure)
        until(lambda: runtime.struck, what="the disk fails")
        until(lambda: runtime.client.get("/health/ready").status_code == 200, what="it is back")
    check_running(survivor)


@pytest.mark.long
def test_a_checkpoint_that_fails_when_the_file_is_opened(survivor: Phone) -> None:
    runtime = survivor.runtime
    traffic = Traffic(survivor, "disk checkpoint")
    with traffic.flowing(incoming=30, outgoing=12):
        survivor.wait_text("disk checkpoint 3")
        runtime.kill()
        runtime.arm("checkpoint:eio")
        runtime.start()
    assert runtime.struck
    check_running(survivor)


@contextmanager
def no_more_writes(pid: int) -> Iterator[None]:
    """The kernel refuses every write of the process that makes a file longer (EFBIG)."""
    before = psutil.Process(pid).rlimit(resource.RLIMIT_FSIZE)
    psutil.Process(pid).rlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        psutil.Process(pid).rlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_takes_nothing_any_more(phone: Phone) -> None:
    """Refused with 503 and Retry-After, not ready; afterwards everything arrives."""
    runtime = phone.runtime
    phone.write(phone.customers[0], "antes")
    phone.wait_text("antes")
    with no_more_writes(runtime.pid):
        answer = until(lambda: _refused(phone), what="a send is refused")
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["code"].startswith("journal_")
        until(lambda: runtime.client.get("/health/ready").status_code == 503, what="not ready")
        ids = phone.write(phone.customers[0], *[f"durante {n}" for n in range(20)])
    until(
        lambda: runtime.client.get("/health/ready").status_code == 200,
        seconds=60,
        what="ready again",
    )
    traffic = Traffic(phone, "depois do disco".encode("ascii", "ignore").decode())
    with traffic.flowing(incoming=10, outgoing=4):
        pass
    check(phone)
    assert len(ids) == 20


def _refused(phone: Phone) -> httpx.Response | None:
    answer = phone.runtime.post_message(phone.name, phone.customers[0], "recusada")
    return answer if answer.status_code == 503 else None


def test_a_damaged_journal_refuses_and_is_kept(phone: Phone) -> None:
    """Torn pages: parked with the reason, a copy beside it, nothing told delivered and lost."""
    runtime = phone.runtime
    path = runtime.data_dir / "journal.sqlite"
    phone.write(phone.customers[0], *[f"antes {n}" for n in range(50)])
    until(lambda: len(phone.texts(phone.customers[0])) == 50, what="all before")
    assert runtime.stop() == 0
    good = path.read_bytes()
    content = bytearray(good)
    for page in range(1, len(content) // 4096, 2):
        content[page * 4096 : page * 4096 + 64] = os.urandom(64)
    path.write_bytes(content)

    runtime.launch()
    until(
        lambda: runtime.client.get("/health/live").status_code == 200,
        seconds=READY_SECONDS,
        what="the API is up",
    )
    answer = until(lambda: _refused(phone), what="a send is refused")
    assert answer.json()["code"] == "journal_corrupt"
    ready = runtime.client.get("/health/ready")
    assert (ready.status_code, "journal_corrupt" in ready.text) == (503, True)
    phone.write(phone.customers[0], "ninguém diz que recebeu")
    copies = [file for file in path.parent.iterdir() if ".corrupt-" in file.name]
    assert any(file.read_bytes() == content for file in copies)
    told = [
        one["text"]
        for one in phone.simulator.get("/ledger", phone=phone.number)["sent"]
        if one["delivered"]
    ]
    assert "ninguém diz que recebeu" not in told

    # Restored and unparked: the connections start without a restart of the process.
    path.write_bytes(good)
    runtime.data(
        "POST", "/api/whatsapp-bootstrap/tree/unpark", json={"path": "zapvisor/core/journal"}
    )
    phone.wait_text("ninguém diz que recebeu", seconds=90)
    check_running(phone)
