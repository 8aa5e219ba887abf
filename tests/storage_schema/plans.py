"""PostgreSQL's plans as ``explain (analyze, format json)`` gives them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The node and all below it."""
    yield node
    for child in node.get("Plans", []):
        yield from walk(child)


def rows_touched(plan: dict[str, Any], table: str | None = None) -> float:
    """Rows that scans have read, of one table or of all, whether they were wanted or not."""
    return sum(
        (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        for node in walk(plan)
        if "Scan" in node["Node Type"] and table in (None, node.get("Relation Name"))
    )
