"""What became FINALIZADO, by anybody's hand, in the order of the changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import trio

from ..journal import Journal

BATCH = 50
MAX_PAGES = 20
"""Batches in one round; the rest comes in the next."""
FINISHED_AGE = timedelta(minutes=10)
"""Who was finished longer ago than this gets no goodbye: the very first reading begins there."""
OVERLAP = timedelta(seconds=30)
"""A transaction may become visible so much later than one that began after it."""
QUIET_SECONDS = 60.0
"""After this long without anything new, nothing can become visible so late any more."""

_MARK = "finished"
_FIRST_ID = "00000000-0000-0000-0000-000000000000"
_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

Row = Mapping[str, Any]


class Finishing(Protocol):
    """Where the finished atendimentos are, by time of change and identifier."""

    async def finished(self, after: tuple[datetime, str], limit: int) -> list[dict[str, Any]]: ...


class Finishes:
    """Reads them on from where it was, over restarts too; some are read more than once."""

    def __init__(
        self, journal: Journal, atendimentos: Finishing, clock: Callable[[], datetime]
    ) -> None:
        self._journal = journal
        self._atendimentos = atendimentos
        self._clock = clock
        self._last_new = float("-inf")
        self._unread_from: tuple[datetime, str] | None = None

    async def read(
        self, handle: Callable[[Sequence[Row]], Awaitable[None]], beat: Callable[[], None]
    ) -> None:
        """Hand over what is new, batch by batch; what ``handle`` has returned from is not lost.

        Raises StorageUnavailable, JournalUnavailable.
        """
        seen_until = await self._seen_until()
        quiet = trio.current_time() - self._last_new > QUIET_SECONDS
        position = (seen_until, _LAST_ID) if quiet else (seen_until - OVERLAP, _FIRST_ID)
        position, self._unread_from = self._unread_from or position, None
        for _ in range(MAX_PAGES):
            beat()
            rows = await self._atendimentos.finished(position, BATCH)
            if not rows:
                break
            await handle(rows)
            last = rows[-1]
            position = (datetime.fromisoformat(last["updated_at"]), last["id"])
            if position[0] > seen_until:
                seen_until = position[0]
                self._last_new = trio.current_time()
                await self._journal.set_robot_mark(_MARK, seen_until.isoformat())
            if len(rows) < BATCH:
                break
        else:
            self._unread_from = position

    async def _seen_until(self) -> datetime:
        text = await self._journal.robot_mark(_MARK)
        if text is not None:
            return datetime.fromisoformat(text)
        begin = self._clock() - FINISHED_AGE
        await self._journal.set_robot_mark(_MARK, begin.isoformat())
        return begin
