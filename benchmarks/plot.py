"""The picture of ``docs/performance.md``: horizontal bars in plain SVG, no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from .figures import text

WIDTH, LABELS, VALUES = 760, 290, 90
BAR, GAP = 18, 8
COLOURS = ("#1f7a5c", "#7fb7a2", "#c9c9c9", "#e0a458", "#5b7db1", "#a3647f")
PARTS = ("bridge", "runtime", "gateway", "PostgREST", "PostgreSQL")

Bar = tuple[str, Sequence[float]]
"""A label, and the lengths of its parts from left to right."""


def draw(plots: Mapping[str, Mapping[str, Any]]) -> str:
    """An SVG document of the benchmarks that were run."""
    drawing = _Drawing()
    if storage := plots.get("storage"):
        bars = [
            ("earlier design, an insert awaited each", [storage["earlier"]]),
            ("zapvisor, draining its queue", [storage["drained"]]),
            ("COPY in one transaction, the limit", [storage["copied"]]),
        ]
        drawing.panel("Rows per second into the table", bars)
    if pipeline := plots.get("pipeline"):
        bars = [
            ("Evolution API 2.3, measured elsewhere", [28.0]),
            ("zapvisor, WhatsApp to table", [pipeline["rate"]]),
            ("bare Baileys client, the limit", [pipeline["bare_rate"]]),
        ]
        drawing.panel("Messages per second", bars)
        bars = [
            ("zapvisor", [pipeline["cpu"][part] for part in PARTS]),
            ("bare Baileys client", [pipeline["bare_cpu"]["client"]]),
        ]
        drawing.panel("CPU per message, ms: " + ", ".join(PARTS), bars)
    if memory := plots.get("memory"):
        total = memory["total"]
        bars = [(f"{count} connections", [total[count]]) for count in total]
        drawing.panel("Memory of bridge and runtime, MB", bars)
    return drawing.document()


class _Drawing:
    def __init__(self) -> None:
        self._shapes: list[str] = []
        self._y = 10.0

    def panel(self, title: str, bars: Sequence[Bar]) -> None:
        self._text(8, self._y + 14, title, "bold")
        self._y += 26
        longest = max(sum(parts) for _, parts in bars)
        scale = (WIDTH - LABELS - VALUES) / longest
        for label, parts in bars:
            self._text(LABELS - 8, self._y + 13, label, "normal", "end")
            x = float(LABELS)
            for colour, part in zip(COLOURS, parts, strict=False):
                width = part * scale
                self._shapes.append(
                    f'<rect x="{x:.1f}" y="{self._y:.0f}" width="{width:.1f}" '
                    f'height="{BAR}" fill="{colour}"/>'
                )
                x += width
            self._text(x + 6, self._y + 13, text(float(sum(parts))))
            self._y += BAR + GAP
        self._y += 14

    def document(self) -> str:
        height = round(self._y)
        size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        font = 'font-family="sans-serif" font-size="13"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>',
                f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
                *self._shapes,
                "</svg>\n",
            ]
        )

    def _text(
        self, x: float, y: float, content: str, weight: str = "normal", anchor: str = "start"
    ) -> None:
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.0f}" font-weight="{weight}" text-anchor="{anchor}" '
            f'fill="#222">{escape(content)}</text>'
        )
