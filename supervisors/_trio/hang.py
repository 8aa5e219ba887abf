"""Where a task hangs: its await stack, and those of the tasks below it."""

from __future__ import annotations

from collections.abc import Iterator

import trio

MAX_FRAMES = 8
MAX_TASKS = 4


def where(task: trio.lowlevel.Task | None) -> tuple[str, ...]:
    """The innermost frames of the task's leaves, ``file:line in function``, outermost first.

    At most 4 tasks with 8 frames each; a task's frames follow a ``task <name>`` line.
    """
    lines: list[str] = []
    if task is None:
        return ("not started yet",)
    for number, leaf in enumerate(_leaves(task)):
        if number == MAX_TASKS:
            break
        lines.append(f"task {leaf.name}")
        stack = [
            f"{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}"
            for frame, line in leaf.iter_await_frames()
        ]
        lines.extend(stack[-MAX_FRAMES:])
    return tuple(lines)


def _leaves(task: trio.lowlevel.Task) -> Iterator[trio.lowlevel.Task]:
    children = [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    if not children:
        yield task
    for child in children:
        yield from _leaves(child)
