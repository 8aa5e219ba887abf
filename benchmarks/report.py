"""Tables for ``docs/performance.md``; see `plot` for the picture."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from . import plot
from .figures import Result

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "performance.md"
PICTURE = DOCS / "performance.svg"
KEPT = Path(__file__).parent / "results.json"


def table(result: Result) -> str:
    """The rows and the goals in Markdown."""
    tables = [_markdown(result.columns, result.rows)]
    if result.goals:
        tables.append(_markdown(["goal", "figure", "reached"], result.goals))
    if result.busy:
        tables.append(result.busy)
    return "\n\n".join(tables)


def keep(name: str, result: Result) -> None:
    """Put a table into the page and the figures into the plot."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    kept[name] = asdict(result)
    KEPT.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    page = re.sub(
        f"{begin}.*?{end}",
        lambda _: f"{begin}\n{table(result)}\n{end}",
        PAGE.read_text(),
        flags=re.DOTALL,
    )
    PAGE.write_text(page)
    PICTURE.write_text(plot.draw({name: one["plot"] for name, one in kept.items()}))


def _markdown(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
