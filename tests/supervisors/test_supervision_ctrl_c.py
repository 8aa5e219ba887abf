"""Ctrl-C at every line of the library: the tree stops in order and KeyboardInterrupt comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

LONG = settings.get_current_profile_name() == "long"
HERE = Path(__file__).parent


@pytest.mark.timeout(0 if LONG else 300)
def test_ctrl_c_at_every_line_stops_the_tree():
    done = subprocess.run(
        [sys.executable, str(HERE / "supervision_interrupted.py"), "5" if LONG else "1"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
    )
    told = json.loads(done.stdout)
    assert told["faults"] == []
    assert told["struck"] >= told["lines"] > 800
