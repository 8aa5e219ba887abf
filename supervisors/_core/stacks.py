"""Stacks as text: the frames that tell something, ``file:line in function``, outermost first."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import CodeType

OUTER = 6
INNER = 10
"""Frames kept at either end of a stack: its author's code is at the outer end, below any number of
a client library's frames; what it waits for is at the inner one."""

_HERE = Path(__file__).parents[1]
_TESTING = os.path.join(_HERE, "testing", "")


def lines(stack: Iterable[tuple[CodeType, int]]) -> tuple[str, ...]:
    """The code objects and line numbers as text, without trio's and this library's own frames
    (unless there are no others), the middle of a long stack left out."""
    every, homes = list(stack), _homes()
    told = [step for step in every if not _is_ours(step[0].co_filename, homes)] or every
    text = [f"{code.co_filename}:{line} in {code.co_name}" for code, line in told]
    if len(text) <= OUTER + INNER:
        return tuple(text)
    left_out = len(text) - OUTER - INNER
    return (*text[:OUTER], f"... {left_out} more ...", *text[-INNER:])


def _homes() -> tuple[str, ...]:
    """Where this library and trio are."""
    trio = sys.modules.get("trio")
    return tuple(os.path.join(home, "") for home in (_HERE, *getattr(trio, "__path__", ())))


def _is_ours(filename: str, homes: tuple[str, ...]) -> bool:
    return filename.startswith(homes) and not filename.startswith(_TESTING)
