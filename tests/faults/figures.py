"""What the fault tests measure, printed when they end; ``docs/reliability.md`` publishes it."""

from __future__ import annotations

import os
import statistics
from collections import defaultdict
from collections.abc import Iterable

NOTED: dict[str, str] = {}
SETTLED: defaultdict[str, list[float]] = defaultdict(list)
"""By test, seconds from the end of its fault until everything had arrived."""


def note(name: str, value: str) -> None:
    """Keep a figure for the end of the run."""
    NOTED[name] = value


def note_settled(seconds: float) -> None:
    """Keep how long the dust took to settle in the test that runs now."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
    SETTLED[test.rpartition("/")[2]].append(seconds)


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """p50, p99 and the largest; empty without values."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {
        "p50": round(statistics.median(ordered), 2),
        "p99": round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 2),
        "max": round(ordered[-1], 2),
    }


def report() -> list[str]:
    """Lines for a person."""
    lines = [f"{name}: {value}" for name, value in NOTED.items()]
    for test, seconds in SETTLED.items():
        lines.append(f"settled {max(seconds):6.1f} s after {test}")
    return lines
