"""What a connection costs: memory of the product with more and more of them, each with traffic."""

from __future__ import annotations

import time

from .figures import Result
from .stage import Stage, memory_mb, wait_rows, write_all

COUNTS = (1, 10, 30, 50, 100)
MESSAGES_EACH = 5
SETTLE_SECONDS = 5.0
GOAL_MB = 8.0


def run(stage: Stage, *, quick: bool = False) -> Result:
    """Pair, let everyone write, wait a moment, read."""
    counts = (1, 3) if quick else COUNTS
    result = Result(["connections", "bridge, MB", "runtime, MB", "each beyond the first, MB"])
    figures = _figures(stage, counts, 0.5 if quick else SETTLE_SECONDS)
    first = sum(figures[counts[0]])
    each = 0.0
    for count, (bridge, runtime) in figures.items():
        each = (bridge + runtime - first) / (count - 1) if count > 1 else 0.0
        result.row(count, bridge, runtime, each if count > 1 else "")
    result.goal(
        f"each beyond the first, at {counts[-1]}, ≤ 8 MB", each, GOAL_MB, at_most=True, unit="MB"
    )
    result.plot = {"total": {str(count): sum(pair) for count, pair in figures.items()}}
    return result


def _figures(
    stage: Stage, counts: tuple[int, ...], settle: float
) -> dict[int, tuple[float, float]]:
    runtime = stage.runtime().start()
    found: dict[int, tuple[float, float]] = {}
    have = 0
    for count in counts:
        for phone in stage.phones(runtime, have, count):
            write_all(phone, MESSAGES_EACH)
            wait_rows(phone, MESSAGES_EACH)
        have = count
        time.sleep(settle)
        found[count] = (memory_mb(runtime.bridge()), memory_mb(runtime.pid))
    return found
