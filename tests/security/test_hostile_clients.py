"""Twenty hostile clients with a key that may only read: others hardly notice them."""

from __future__ import annotations

import pytest

from benchmarks import hostile
from benchmarks.stage import staged

SLACK = 4
"""The goals are of a machine that does nothing else."""


@pytest.mark.timeout(300)
def test_others_hardly_notice() -> None:
    with staged() as stage:
        result = hostile.run(stage, quick=True)
    _, among = result.rows
    health_p99, late = (float(cell.replace(",", "")) for cell in among[2:])
    assert health_p99 <= SLACK * hostile.HEALTH_GOAL_MS, result.rows
    assert late <= SLACK * hostile.LAG_GOAL_MS, result.rows
