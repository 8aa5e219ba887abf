"""The supervised child that makes the attempts that are due."""

from __future__ import annotations

import logging
import math
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

import trio

from supervisors import ChildContext

from ..errors import JournalUnavailable
from ..journal import Attempt, Delivery, Endpoint, Journal, codec, deliveries, endpoints
from ..stopping import Waits, waits_of
from .retry import PAUSE_AFTER, pause, retry_delay
from .sender import Sender

logger = logging.getLogger("zapvisor.notifier")

IN_FLIGHT = 8
"""Attempts to one endpoint at the same time; to one chat of it there is never more than one."""
BEAT_SECONDS = 15.0


@dataclass(slots=True)
class _Course:
    """How it goes with one endpoint; forgotten at a restart."""

    busy: set[int] = field(default_factory=set)
    failures: int = 0
    not_before: float = -math.inf

    def is_plain(self) -> bool:
        """Whether there is nothing to remember."""
        return not self.busy and not self.failures

    def rests(self, present: float) -> bool:
        """Whether it is left alone for a moment."""
        return present < self.not_before

    def room(self, present: float) -> int:
        """How many attempts may begin now."""
        if self.rests(present):
            return 0
        return (IN_FLIGHT if self.failures < PAUSE_AFTER else 1) - len(self.busy)


class Notifier:
    """Delivers what the journal has for webhooks. At least once: a crash may repeat an attempt."""

    def __init__(
        self,
        journal: Journal,
        sender: Sender,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Random | None = None,
    ) -> None:
        self._journal = journal
        self._sender = sender
        self._now = now
        self._random = random or Random()  # noqa: S311 - jitter
        self._courses: defaultdict[str, _Course] = defaultdict(_Course)
        self._wake = trio.Event()

    def nudge(self) -> None:
        """There may be something to do that was not due before."""
        self._wake.set()

    async def run(self, ctx: ChildContext) -> None:
        """Until told to stop; the attempts under way are then finished. Those that are cancelled
        are made again later.
        """
        self._courses.clear()
        async with (
            self._sender,
            waits_of(ctx) as waits,
            trio.open_nursery() as attempts,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._watch)
            ctx.ready()
            await self._work(ctx, waits, attempts)
            nursery.cancel_scope.cancel(reason="nothing is begun any more")

    async def _work(self, ctx: ChildContext, waits: Waits, attempts: trio.Nursery) -> None:
        while not waits.over:
            ctx.beat()
            self._wake = trio.Event()
            try:
                patience = await self._begin_due(waits, attempts)
            except JournalUnavailable:
                with ctx.idle(), waits():
                    await self._journal.wait_open()
                continue
            with waits(patience):
                await self._wake.wait()

    async def _watch(self) -> None:
        while True:
            news = self._journal.news
            await news.wait()
            self.nudge()

    async def _begin_due(self, waits: Waits, nursery: trio.Nursery) -> float:
        """Begin what is due and has room; returns in how many seconds to look again at most."""
        now = self._now()
        present = trio.current_time()
        rooms = {
            name: (course.room(present), set(course.busy)) for name, course in self._courses.items()
        }
        pauses = [BEAT_SECONDS]
        pauses += [one.not_before - present for one in self._courses.values() if one.rests(present)]

        def look(connection: sqlite3.Connection) -> list[tuple[Endpoint, list[Delivery]]]:
            found = []
            for endpoint in endpoints.listening(connection):
                room, busy = rooms.get(endpoint.id, (IN_FLIGHT, set()))
                if room > 0:
                    ready = deliveries.due(connection, endpoint.id, codec.micros(now), room, busy)
                    found.append((endpoint, ready))
            return found

        looked = await self._journal.transact(look)
        for name in [name for name, course in self._courses.items() if course.is_plain()]:
            del self._courses[name]
        for endpoint, ready in looked if not waits.over else ():
            for delivery in ready:
                self._courses[endpoint.id].busy.add(delivery.seq)
                nursery.start_soon(self._deliver, endpoint, delivery)
        following = await self._journal.transact(
            lambda connection: deliveries.next_due(connection, codec.micros(now))
        )
        if following is not None:
            pauses.append((codec.moment(following) - now).total_seconds())
        return min(pauses)

    async def _deliver(self, endpoint: Endpoint, delivery: Delivery) -> None:
        course = self._courses[endpoint.id]
        try:
            attempt = await self._sender.send(endpoint, delivery.event, delivery.seq)
            course.failures = 0 if attempt.ok else course.failures + 1
            course.not_before = trio.current_time() + pause(course.failures)
            await self._note(endpoint, delivery, attempt)
        finally:
            course.busy.discard(delivery.seq)
            self.nudge()

    async def _note(self, endpoint: Endpoint, delivery: Delivery, attempt: Attempt) -> None:
        now = self._now()
        retry_at: int | None = None
        if not attempt.ok:
            logger.info("not delivered", extra={"webhook": endpoint.id, "code": attempt.error})
            delay = retry_delay(delivery.attempts + 1, attempt.retry_after, self._random)
            if not attempt.gone:
                retry_at = codec.micros(now + timedelta(seconds=delay))
        while True:
            try:
                state = await self._journal.transact(
                    lambda connection: deliveries.finish(
                        connection, delivery.seq, attempt, retry_at, codec.micros(now)
                    )
                )
            except JournalUnavailable:
                await self._journal.wait_open()  # until then there is nothing to do
            else:
                break
        if state == "dead":
            logger.warning(
                "delivery given up", extra={"webhook": endpoint.id, "delivery": delivery.seq}
            )
