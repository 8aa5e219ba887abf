"""The event log as a supervised child: writes down what is published, and knows the newest.

What the journal does not write itself (see ``TOLD_WITH_ITS_CAUSE``) comes from the bus. Readers ask
for what is behind a position; the newest events are in memory, so that many readers at the end of
the log cost the journal no more than one.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import trio

from supervisors import ChildContext

from .errors import JournalUnavailable
from .events import TOLD_WITH_ITS_CAUSE, Event, EventBus, EventName, Subscription
from .journal import Journal

logger = logging.getLogger("zapvisor.events")

T = TypeVar("T")

BACKLOG = 10_000
"""Published events that wait for the journal at most; further ones are not recorded."""
BATCH = 200
READ_BATCH = 500
RECENT = 2000
"""Events kept in memory for readers."""
HEALTH_SECONDS = 60.0
"""Between two ``healthCheck`` events."""
LAST_WORDS_SECONDS = 2.0
"""How long a stop goes on writing down what was published before it."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a reader wants (empty or None: everything), and what is ``hidden`` from it."""

    events: frozenset[EventName] = frozenset()
    hidden: frozenset[EventName] = frozenset()
    connection_id: str | None = None
    owner_id: str | None = None

    def __call__(self, event: Event) -> bool:
        return (
            (not self.events or event.event in self.events)
            and event.event not in self.hidden
            and self.connection_id in (None, event.connection_id)
            and self.owner_id in (None, event.owner_id)
        )


class EventFeed:
    """A reader's place in the log. ``begin``: what comes before the first `read`."""

    def __init__(self, log: EventLog, wanted: EventFilter, position: str) -> None:
        self._log = log
        self._wanted = wanted
        self._position = position
        self.begin: list[Event] = []
        self.at_end = False
        """Whether the last `read` found the end of the log."""

    @property
    def grown(self) -> trio.Event:
        """As ``EventLog.grown``."""
        return self._log.grown

    async def read(self) -> list[Event]:
        """The next ones that are wanted, maybe none though there are more behind."""
        found = await self._log.read(self._position)
        self.at_end = not found
        if found:
            self._position = found[-1].id
        return [event for event in found if self._wanted(event)]


class EventLog:
    """Run it under a supervisor; read from any task. Reading raises JournalUnavailable."""

    def __init__(
        self, journal: Journal, bus: EventBus, health: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._journal = journal
        self._bus = bus
        self._health = health
        self._recent: deque[Event] = deque(maxlen=RECENT)
        self._recent_from: str | None = None  # everything behind this is in memory
        self._grown = trio.Event()

    async def run(self, ctx: ChildContext) -> None:
        """Until cancelled. What is published while the journal is away is written afterwards."""
        async with self._bus.subscribe(BACKLOG) as published, trio.open_nursery() as nursery:
            nursery.start_soon(self._record, published, ctx)
            nursery.start_soon(self._follow, ctx)
            nursery.start_soon(self._tell_health)
            ctx.ready()

    # --- readers

    @property
    def grown(self) -> trio.Event:
        """Set when there is more than when it was asked for: ask before `read`, wait after."""
        return self._grown

    async def read(self, after: str) -> list[Event]:
        """The next events behind ``after``, at most ``READ_BATCH``; empty at the end of the log."""
        if self._recent_from is None or after < self._recent_from:
            return await self._journal.events(after, limit=READ_BATCH)
        found: list[Event] = []
        for event in reversed(self._recent):
            if event.id <= after:
                break
            found.append(event)
        found.reverse()
        return found[:READ_BATCH]

    async def follow(self, wanted: EventFilter, *, after: str | None, recent: int) -> EventFeed:
        """What is wanted of the log from a position on.

        Args:
            after: an event's id, also of one that is gone; None: from now on.
            recent: where there is no ``after``, begin with the last so many that are wanted, of
                the last ``RECENT``.
        """
        if after is not None:
            return EventFeed(self, wanted, after)
        if recent == 0:
            return EventFeed(self, wanted, await self._end())
        feed = EventFeed(self, wanted, await self._journal.before_last_events(RECENT))
        kept: deque[Event] = deque(maxlen=recent)
        while not feed.at_end:
            kept.extend(await feed.read())
        feed.begin = list(kept)
        return feed

    async def _end(self) -> str:
        """The position behind which nothing is yet."""
        if self._recent:
            return self._recent[-1].id
        return self._recent_from or await self._journal.before_last_events(0)

    # --- tasks

    async def _record(self, published: Subscription, ctx: ChildContext) -> None:
        missed = 0
        batch: list[Event] = []
        try:
            async for first in published:
                batch = _to_record([first, *published.take(BATCH - 1)])
                if batch:
                    await self._insist(ctx, partial(self._journal.record, batch))
                batch = []
                if published.missed != missed:
                    logger.error("events not recorded", extra={"rows": published.missed - missed})
                    missed = published.missed
        finally:
            batch += _to_record(published.take(BACKLOG))
            if batch:
                with trio.move_on_after(LAST_WORDS_SECONDS, shield=True):
                    await self._record_if_possible(batch)

    async def _record_if_possible(self, batch: list[Event]) -> None:
        try:
            await self._journal.record(batch)
        except JournalUnavailable:
            logger.warning("events not recorded", extra={"rows": len(batch)})

    async def _tell_health(self) -> None:
        while True:
            await trio.sleep(HEALTH_SECONDS)
            self._bus.publish(EventName.HEALTH_CHECK, self._health())

    async def _follow(self, ctx: ChildContext) -> None:
        if self._recent_from is None:
            self._recent_from = await self._insist(
                ctx, partial(self._journal.before_last_events, 0)
            )
        end = await self._end()
        while True:
            ctx.beat()
            news = self._journal.news
            fresh = await self._insist(ctx, partial(self._journal.events, end, limit=READ_BATCH))
            for event in fresh:
                if len(self._recent) == RECENT:
                    self._recent_from = self._recent[0].id
                self._recent.append(event)
                end = event.id
            if fresh:
                self._grown.set()
                self._grown = trio.Event()
            else:
                with ctx.idle():
                    await news.wait()

    async def _insist(self, ctx: ChildContext, call: Callable[[], Awaitable[T]]) -> T:
        """Until the journal is there. Repeating a record may write its events twice, never not."""
        while True:
            try:
                return await call()
            except JournalUnavailable:
                with ctx.idle():
                    await self._journal.wait_open()


def _to_record(events: list[Event]) -> list[Event]:
    return [event for event in events if event.event not in TOLD_WITH_ITS_CAUSE]
