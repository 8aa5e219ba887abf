"""What of a tree is still there, and where it hangs."""

from __future__ import annotations

from collections.abc import Iterator

from supervisors._core.slot import LIVE, State
from supervisors._trio.base import SupervisorBase
from supervisors._trio.hang import where

MAX_TOLD = 20


def leftovers(supervisor: SupervisorBase) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The path of each live child that runs no supervisor, and the frames it is in."""
    run = supervisor.present
    for slot in () if run is None else tuple(run.machine.slots.values()):
        if slot.state not in LIVE and slot.state is not State.ABANDONED:
            continue
        if slot.hosts:
            for host in slot.hosts:
                yield from leftovers(host)
        else:
            yield slot.path, where(None if slot.current is None else slot.current.task)


def describe(supervisor: SupervisorBase) -> tuple[str, ...]:
    """The same as lines of text, of at most 20 children."""
    lines: list[str] = []
    for number, (path, frames) in enumerate(leftovers(supervisor)):
        if number == MAX_TOLD:
            lines.append("... and more")
            break
        lines.append(path)
        lines += [f"    {frame}" for frame in frames]
    return tuple(lines)
