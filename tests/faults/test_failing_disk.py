"""The system's own errors, at every write and sync of SQLite, in the journal and in the bridge.

`disk/failing.c` stands between the processes and their files; it takes a C compiler (`cc`).
"""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.harness import Simulator, until

from .accounts import Traffic, check
from .rig import Phone, Runtime

SOURCE = Path(__file__).parent / "disk" / "failing.c"
pytestmark = pytest.mark.long


class Disk:
    """Fails while it is told to."""

    def __init__(self, directory: Path) -> None:
        self.library = directory / "failing.so"
        self._control = directory / "disk"
        self._struck = directory / "disk.struck"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self.library, SOURCE, "-ldl"], check=True)

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "DISK_FAULTS_FILE": str(self._control)}

    @property
    def struck(self) -> int:
        """How many calls have failed."""
        return self._struck.stat().st_size if self._struck.exists() else 0

    @contextmanager
    def failing(self, call: str, code: int, suffix: str) -> Iterator[None]:
        written = self._control.with_suffix(".new")
        written.write_text(f"{call} {code} {suffix}")
        written.replace(self._control)
        try:
            yield
        finally:
            self._control.unlink()


@pytest.fixture
def disk(runtime: Runtime, tmp_path: Path) -> Disk:
    return Disk(tmp_path)


JOURNAL_LOG, JOURNAL, BRIDGE_LOG, BRIDGE = (
    "/journal.sqlite-wal",
    "/journal.sqlite",
    "/loja.sqlite-wal",
    "/loja.sqlite",
)
FAILURES = [
    ("write", errno.EIO, JOURNAL_LOG),
    ("write", errno.ENOSPC, JOURNAL_LOG),
    ("sync", errno.EIO, JOURNAL_LOG),
    ("sync", errno.ENOSPC, JOURNAL_LOG),
    # The main file is written by checkpoints alone.
    ("write", errno.EIO, JOURNAL),
    ("write", errno.ENOSPC, JOURNAL),
    ("sync", errno.EIO, JOURNAL),
    ("write", errno.EIO, BRIDGE_LOG),
    ("write", errno.ENOSPC, BRIDGE_LOG),
    ("sync", errno.EIO, BRIDGE_LOG),
]


@pytest.mark.parametrize(
    ("call", "code", "suffix"),
    FAILURES,
    ids=[f"{call} {errno.errorcode[code]} {suffix[1:]}" for call, code, suffix in FAILURES],
)
def test_nothing_is_lost(
    call: str, code: int, suffix: str, runtime: Runtime, simulator: Simulator, disk: Disk
) -> None:
    runtime.start(**disk.environment)
    phone = Phone(runtime, simulator, "loja", customers=2).pair()
    # Many commits, so that checkpoints fall due, too.
    traffic = Traffic(phone, f"{call} {code}")
    with traffic.flowing(incoming=600, outgoing=60, interval_ms=5):
        phone.wait_text(f"{traffic.label} 3")
        with disk.failing(call, code, suffix):
            until(lambda: disk.struck > 0, what="the disk fails", seconds=60)
            phone.write(phone.customers[0], "durante a falha")
            until(lambda: not _is_well(runtime, phone), what="it is noticed", seconds=30)
    until(lambda: _is_well(runtime, phone), what="it works again", seconds=90)
    check(phone, seconds=240)


def _is_well(runtime: Runtime, phone: Phone) -> bool:
    ready = runtime.client.get("/health/ready").status_code == 200
    return ready and bool(runtime.connection(phone.name)["isConnected"])
