"""Lines and tables for people to read. Pure, apart from printing.

What comes from WhatsApp may hold anything; characters that steer a terminal never reach it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

Cell = str | tuple[str, str]
"""A text, or a text and its colour."""

COLOURS = {
    "connected": "green",
    "running": "green",
    "connecting": "yellow",
    "starting": "yellow",
    "draining": "yellow",
    "stopping": "yellow",
    "backoff": "yellow",
    "error": "red",
    "parked": "red",
}


def clean(value: object) -> str:
    """``value`` as text without line breaks and control characters."""
    return "".join(one if one.isprintable() else " " for one in str(value))


def coloured(word: str) -> Cell:
    """A state in the colour of its urgency."""
    return (word, COLOURS[word]) if word in COLOURS else word


def print_json(value: Any) -> None:
    """One line of JSON."""
    click.echo(json.dumps(value, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Columns as wide as needed; the last one is not padded."""
    texts = [columns, *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in texts) for i in range(len(columns))]
    widths[-1] = 0
    click.secho(_line(columns, widths, [None] * len(columns)), bold=True)
    for row, text in zip(rows, texts[1:], strict=True):
        click.echo(_line(text, widths, [_colour(cell) for cell in row]))


def ago(iso: str | None, now: datetime | None = None) -> str:
    """How long ago, in one unit; empty for never."""
    if iso is None:
        return ""
    then = datetime.fromisoformat(iso)
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{max(0, int(seconds))} s ago"


def tree_lines(node: Mapping[str, Any]) -> list[str]:
    """The supervision tree, one child to a line."""
    lines: list[str] = []
    _branch(node, "", "", lines)
    return lines


def _branch(node: Mapping[str, Any], own: str, below: str, lines: list[str]) -> None:
    state = str(node["state"])
    facts = [click.style(state, fg=COLOURS.get(state))]
    if node["restarts"]:
        facts.append(click.style(f"{node['restarts']} restarts", fg="yellow"))
    facts.append(ago(node["since"]))
    last = node["lastExit"]
    if state in ("parked", "backoff") and last is not None and last["reason"]:
        facts.append(clean(last["reason"]))
    label = f"{own}{clean(node['name'])}"
    lines.append(f"{label:36}  {'  '.join(facts)}")
    children = node["children"]
    for child in children:
        is_last = child is children[-1]
        _branch(
            child,
            f"{below}{'└─ ' if is_last else '├─ '}",
            f"{below}{'   ' if is_last else '│  '}",
            lines,
        )


def _text(cell: Cell) -> str:
    return clean(cell[0] if isinstance(cell, tuple) else cell)


def _colour(cell: Cell) -> str | None:
    return cell[1] if isinstance(cell, tuple) else None


def _line(texts: Sequence[str], widths: Sequence[int], colours: Sequence[str | None]) -> str:
    cells = zip(texts, widths, colours, strict=True)
    return "  ".join(
        click.style(text.ljust(width), fg=colour) if colour else text.ljust(width)
        for text, width, colour in cells
    ).rstrip()
