"""Every mutant of the decision core dies; run again when the core or its tests have changed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import mutate
import pytest

HERE = Path(__file__).parent


@pytest.mark.timeout(1200)  # minutes of CPU, which a busy machine has for others too
def test_every_mutant_of_the_decision_core_dies(request):
    record = json.loads(mutate.RECORD.read_text())
    if record["sources"] == mutate.sources() and not request.config.getoption("--faults"):
        assert record["mutants"] > 400
        return
    done = subprocess.run(
        [sys.executable, str(HERE / "mutate.py")], capture_output=True, text=True, check=False
    )
    print(done.stdout)
    died, _, rest = done.stdout.partition(" of ")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(died) == int(rest.split()[0]) > 400
