"""Where a task hangs: its await stack, and those of the tasks below it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import trio

from supervisors._core import stacks

MAX_TASKS = 4
MAX_DEPTH = 500
"""Frames of one task that are looked at."""


def where(task: trio.lowlevel.Task | None) -> tuple[str, ...]:
    """The frames of the task's leaves that tell something (see ``stacks``), outermost first.

    At most 4 tasks; a task's frames follow a ``task <name>`` line.
    """
    if task is None:
        return ("not started yet",)
    try:
        return tuple(_lines(task))
    except Exception as error:  # of whatever foreign awaitable it hangs in
        return (f"its stack cannot be read: {type(error).__name__}",)


def _lines(task: trio.lowlevel.Task) -> Iterator[str]:
    for leaf in islice(_leaves(task), MAX_TASKS):
        yield f"task {leaf.name}"
        frames = islice(leaf.iter_await_frames(), MAX_DEPTH)
        yield from stacks.lines((frame.f_code, line) for frame, line in frames)


def _leaves(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    todo = [task]
    while todo:
        present = todo.pop()
        children = [child for nursery in present.child_nurseries for child in nursery.child_tasks]
        if children:
            todo.extend(children)
        else:
            yield present
