"""``kill -9`` of a supervised program, in every stage of its child: no process is left."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from supervision_victims import kill, marked, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
HERE = Path(__file__).parent
STAGES = ["spawning", "starting", "running", "draining", "stopping", "restarting"]


@pytest.mark.parametrize("stdin", ["empty", "pipe"])
@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_left_of_a_tree_that_is_killed(stage, stdin):
    marker = uuid.uuid4().hex
    owner = subprocess.Popen(
        [sys.executable, str(HERE / "supervision_killed.py"), stage, stdin],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "MARKER": marker},
    )
    try:
        assert owner.stdout.readline() == f"{stage}\n"
        if stage not in ("spawning", "restarting"):
            until(lambda: len(marked(marker)) > 3, "owner, leash, guardian and program run")
    finally:
        kill(owner.pid)
        owner.communicate()
    until(lambda: not marked(marker), f"{marked(marker)} of {stage} is left")
