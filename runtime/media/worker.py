"""The supervised child that runs the due tasks of files, a few at a time, for ever."""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial

import trio

from supervisors import ChildContext

from ..errors import JournalUnavailable
from ..events import EventBus, EventName
from ..journal import Journal, Media, MediaTask
from ..journal import media as table
from ..stopping import Waits, waits_of
from .spool import Spool
from .tasks import GiveUp, Later, Tasks

logger = logging.getLogger("zapvisor.media")

AT_ONCE = 8
"""Tasks under way."""
AT_ONCE_PER_OWNER = 6
AT_ONCE_PER_CONNECTION = 3
"""Of them for one owner and for one connection, so that they leave room for the others."""
BEAT_SECONDS = 15.0

FIRST_DELAY = 1.0
CAPS = {"reupload_timeout": 3600.0, "reupload_failed": 3600.0, "supabase_unavailable": 60.0}
"""Longest seconds between two attempts, by what stood in the way."""
WAITING_CAPS = {"not_connected": 15.0, "bridge_down": 5.0}
"""The same where only a part of ours is awaited."""
DEFAULT_CAP = 600.0
MISTAKES = 5
"""Attempts that end in an error nobody foresaw, before the task is given up."""


def delay_before(code: str, attempts: int) -> float:
    """Seconds before the next attempt, after ``attempts`` that came to nothing. Random."""
    cap = WAITING_CAPS.get(code) or CAPS.get(code, DEFAULT_CAP)
    ceiling = min(cap, FIRST_DELAY * 2.0 ** min(attempts, 20))
    return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - jitter


class MediaWorker:
    """Everything durable is in the journal; this only knows what is under way."""

    def __init__(self, journal: Journal, tasks: Tasks, spool: Spool, events: EventBus) -> None:
        self._journal = journal
        self._tasks = tasks
        self._spool = spool
        self._events = events
        self._running: dict[tuple[str, str], Media] = {}
        self._done = trio.Event()

    async def run(self, ctx: ChildContext) -> None:
        """Until told to stop; the tasks under way are then finished."""
        self._running.clear()
        ctx.ready()
        async with (
            waits_of(ctx) as waits,
            trio.open_nursery() as tasks,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._hurry_connected)
            await self._work(ctx, waits, tasks)
            nursery.cancel_scope.cancel(reason="nothing is begun any more")

    async def _work(self, ctx: ChildContext, waits: Waits, tasks: trio.Nursery) -> None:
        tidy = False
        while not waits.over:
            ctx.beat()
            try:
                if not tidy:
                    await self._spool.prepare(await self._journal.transact(table.waiting))
                    tidy = True
                pause = await self._start_due(waits, tasks)
            except JournalUnavailable:
                with ctx.idle(), waits():
                    await self._journal.wait_open()
                continue
            with waits():
                await self._pause(min(pause, BEAT_SECONDS))

    async def _start_due(self, waits: Waits, nursery: trio.Nursery) -> float:
        """Start what may run; returns in how many seconds something else is due."""
        self._done = trio.Event()
        while len(self._running) < AT_ONCE and not waits.over:
            under_way = list(self._running.values())
            busy = _full((one.connection_id for one in under_way), AT_ONCE_PER_CONNECTION)
            crowded = _full((one.owner_id for one in under_way), AT_ONCE_PER_OWNER)
            now = _now()
            limit = AT_ONCE + len(self._running)
            # What runs while the journal is asked may be over before it answers: outdated then.
            running = set(self._running)
            tasks, later = await self._journal.transact(
                partial(table.due, now=now, limit=limit, busy=busy, crowded=crowded)
            )
            free = [task for task in tasks if _key(task) not in running]
            if waits.over:
                break
            if not free:
                return BEAT_SECONDS if later is None else max(0.0, (later - now) / 1e6)
            task = free[0]
            self._running[_key(task)] = task.media
            nursery.start_soon(self._attempt, task)
        return BEAT_SECONDS

    async def _pause(self, seconds: float) -> None:
        """Until something new may be done."""
        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:

                async def until_done() -> None:
                    await self._done.wait()
                    nursery.cancel_scope.cancel()

                nursery.start_soon(until_done)
                await self._journal.wait_media()
                nursery.cancel_scope.cancel()

    async def _attempt(self, task: MediaTask) -> None:
        try:
            await self._run(task)
        except JournalUnavailable:
            logger.info("journal away, task repeated later", extra={"task": task.name})
        finally:
            del self._running[_key(task)]
            self._done.set()

    async def _run(self, task: MediaTask) -> None:
        try:
            await self._tasks.run(task)
        except JournalUnavailable:
            raise
        except Later as why:
            await self._face(task, why)
        except Exception:
            # A file that meets a mistake of ours must not keep all the others from theirs.
            logger.exception("media task failed", extra={"task": task.name})
            kind = Later if task.attempts + 1 < MISTAKES else GiveUp
            await self._face(task, kind("internal_error"))

    async def _face(self, task: MediaTask, why: Later) -> None:
        """Give the task up, or try it again later."""
        over = isinstance(why, GiveUp) or task.expires_at <= datetime.now(UTC)
        logger.info(
            "media task given up" if over else "media task put off",
            extra={
                "connection": task.media.connection_id,
                "task": task.name,
                "code": why.code,
                "attempts": task.attempts + 1,
            },
        )
        if over:
            await self._tasks.give_up(task, why)
            return
        due = _now() + int(delay_before(why.code, task.attempts) * 1e6)
        await self._journal.transact(
            lambda connection: table.postpone(
                connection, task.media.row_id, task.name, due, why.code, why.reason
            )
        )

    async def _hurry_connected(self) -> None:
        """What waited for a connection begins as soon as that is open."""
        async with self._events.subscribe() as events:
            async for event in events:
                if event.event is EventName.CONNECTED and event.connection_id is not None:
                    try:
                        await self._hurry(event.connection_id)
                    except JournalUnavailable:
                        continue  # they are due soon anyway

    async def _hurry(self, connection_id: str) -> None:
        now = _now()
        await self._journal.transact(lambda connection: table.hurry(connection, connection_id, now))
        self._done.set()


def _full(names: Iterable[str], most: int) -> list[str]:
    return [name for name, count in Counter(names).items() if count >= most]


def _key(task: MediaTask) -> tuple[str, str]:
    return task.media.row_id, task.name


def _now() -> int:
    return time.time_ns() // 1000
