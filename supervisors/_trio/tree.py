"""``tree()``: a frozen picture of what runs, what waits and why."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from typing import NamedTuple

import trio

from supervisors._core.exits import Exit
from supervisors._core.slot import Slot, State


class MailboxStatistics(NamedTuple):
    """Messages waiting, the bound, and how many senders wait for room."""

    waiting: int
    bound: int
    senders_waiting: int


class Node(NamedTuple):
    """One child (or the root). Instants are the run's clock in seconds; ``*_utc`` are labels."""

    name: str
    path: str
    kind: str  # "worker" or "supervisor" (also a worker that runs one inside)
    state: State
    incarnation: int  # 0: never started
    restarts: int  # automatic ones since the child was added
    last_exit: Exit | None
    since: float  # of the present state
    next_restart_at: float | None
    mailbox: MailboxStatistics | None  # None: nobody has used it
    children: tuple[Node, ...]
    wall: float  # seconds since the epoch at the clock's zero

    @property
    def since_utc(self) -> datetime.datetime:
        """``since`` as a date."""
        return datetime.datetime.fromtimestamp(self.wall + self.since, datetime.UTC)

    @property
    def next_restart_utc(self) -> datetime.datetime | None:
        """``next_restart_at`` as a date."""
        if self.next_restart_at is None:
            return None
        return datetime.datetime.fromtimestamp(self.wall + self.next_restart_at, datetime.UTC)

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, path: str) -> Node | None:
        """The node of that path at or below this one."""
        return next((node for node in self.walk() if node.path == path), None)


def wall() -> float:
    """Seconds since the epoch at the zero of the run's clock; only for people to read."""
    return time.time() - trio.current_time()


def node(slot: Slot, wall: float) -> Node:
    """The picture of one slot and of what runs inside it."""
    spec, box = slot.spec, slot.box
    hosts = slot.hosts
    return Node(
        spec.name,
        slot.path,
        "supervisor" if hosts or getattr(spec.run, "is_supervisor", False) else "worker",
        slot.state,
        slot.incarnation,
        slot.restarts,
        slot.last_exit,
        slot.since,
        slot.due,
        None if box is None else MailboxStatistics(box.waiting, box.bound, box.senders_waiting),
        tuple(child for host in hosts for child in host.nodes()) if hosts else (),
        wall,
    )
