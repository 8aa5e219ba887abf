"""What a benchmark returns. Plain values, so that they can be kept as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any


@dataclass(slots=True)
class Result:
    """One benchmark's table, the goals it was held against, and raw figures for the plot."""

    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    goals: list[list[str]] = field(default_factory=list)
    """Each: the goal, the figure, ``yes`` or ``no``."""
    plot: dict[str, Any] = field(default_factory=dict)
    busy: str = ""
    """What else the machine did: figures of a busy one are worse than they could be."""

    def row(self, *cells: object) -> None:
        """Add a row; numbers are rounded to what they are worth."""
        self.rows.append([text(cell) for cell in cells])

    def goal(self, name: str, figure: float, bound: float, *, at_most: bool, unit: str) -> None:
        """Hold a figure against its goal."""
        reached = figure <= bound if at_most else figure >= bound
        self.goals.append([name, f"{text(figure)} {unit}".strip(), "yes" if reached else "no"])


def text(value: object) -> str:
    """Three significant digits, thousands separated."""
    if isinstance(value, float):
        if value != 0 and abs(value) < 100:
            return f"{value:.3g}"
        return f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """p50 and p99."""
    if len(values) < 2:
        return values[0], values[0]
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def rounded(values: Sequence[float]) -> str:
    """Figures of several rounds in one cell."""
    return " / ".join(text(float(value)) for value in values)
