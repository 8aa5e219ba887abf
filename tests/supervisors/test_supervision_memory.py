"""Memory stays flat, however often children are restarted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

LONG = settings.get_current_profile_name() == "long"
RESTARTS = 100_000 if LONG else 10_000
HERE = Path(__file__).parent

GROWTH = 200
"""Blocks, of some 64 bytes: tasks and timers that happen to be there at one look and not at the
other. A leak of one block per restart would be thousands."""


@pytest.mark.timeout(0 if LONG else 180)
@pytest.mark.parametrize("kind", ["dynamic", "grouped"])
def test_restarts_leave_nothing_in_memory(kind):
    done = subprocess.run(
        [sys.executable, str(HERE / "supervision_flat.py"), kind, str(RESTARTS)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
    )
    assert int(done.stdout) < GROWTH
