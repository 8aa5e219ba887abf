"""The examples run and print what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def output_of(name):
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pipeline():
    lines = output_of("supervision_pipeline.py").splitlines()
    assert "stored: [1, 2, 4, 5, 6]" in lines
    assert lines[-4:] == [
        "root: running, 0 restarts",
        "  store: running, 0 restarts",
        "  writer: running, 1 restarts",
        lines[-1],
    ]
    assert lines[-1].startswith("  sensor: ")
    assert lines.index("root/sensor  ChildStarting") > lines.index("root/writer  ChildReady")


def test_sessions():
    assert output_of("supervision_sessions.py").splitlines() == [
        "ana says hello",
        "app/sessions/bob is parked because bob has to log in again",
        "bob says I am back",
        "the helper was killed and has been restarted",
        "all stopped",
    ]
