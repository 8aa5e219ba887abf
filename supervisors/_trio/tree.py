"""``tree()``: a frozen picture of what runs, what waits and why."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from supervisors._core.exits import Exit
from supervisors._core.slot import Slot, State

if TYPE_CHECKING:
    from supervisors._trio.mailbox import Mailbox


@dataclass(frozen=True, slots=True)
class MailboxStatistics:
    """Messages waiting, the bound, and how many senders wait for room."""

    waiting: int
    bound: float
    senders_waiting: int


@dataclass(frozen=True, slots=True)
class Node:
    """One child (or the root). Instants are the run's clock in seconds; ``*_utc`` are labels."""

    name: str
    path: str
    kind: str  # "worker" or "supervisor"
    state: State
    incarnation: int  # 0: never started
    restarts: int  # automatic ones since the child was added
    last_exit: Exit | None
    since: float  # of the present state
    since_utc: datetime.datetime
    next_restart_at: float | None
    next_restart_utc: datetime.datetime | None
    mailbox: MailboxStatistics | None  # None: nobody has used it
    children: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, path: str) -> Node | None:
        """The node of that path at or below this one."""
        return next((node for node in self.walk() if node.path == path), None)


def node(slot: Slot, children: tuple[Node, ...], kind: str) -> Node:
    """The picture of one slot."""
    return Node(
        name=slot.name,
        path=slot.path,
        kind=kind,
        state=slot.state,
        incarnation=slot.incarnation,
        restarts=slot.restarts,
        last_exit=slot.last_exit,
        since=slot.since,
        since_utc=utc(slot.since),
        next_restart_at=slot.due,
        next_restart_utc=None if slot.due is None else utc(slot.due),
        mailbox=_mailbox(slot.box),
        children=children,
    )


def utc(instant: float) -> datetime.datetime:
    """The wall clock's label for an instant of the run's clock; only for people to read."""
    wall = time.time() + (instant - trio.current_time())
    return datetime.datetime.fromtimestamp(wall, datetime.UTC)


def _mailbox(box: Mailbox | None) -> MailboxStatistics | None:
    if box is None:
        return None
    statistics = box.sender.statistics()
    return MailboxStatistics(
        waiting=statistics.current_buffer_used,
        bound=statistics.max_buffer_size,
        senders_waiting=statistics.tasks_waiting_send,
    )
