"""What became FINALIZADO, by anybody's hand, in the order of the changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import trio

from ..journal import Journal
from ..storage.atendimentos import FinishedPage
from ..storage.rows import Atendimento, Place, moment

BATCH = 50
MAX_PAGES = 20
"""Batches in one round; the rest comes in the next."""
FAIR_SHARE = 200
"""Rows of one owner in one round. Who has more is read apart, after all the others."""
MAX_APART = 100
"""Owners that are read apart at a time."""
FINISHED_AGE = timedelta(minutes=10)
"""Who was finished longer ago than this gets no goodbye: the very first reading begins there."""
OVERLAP = timedelta(seconds=30)
"""A transaction may become visible so much later than one that began after it."""
QUIET_SECONDS = 60.0
"""After this long without anything new, nothing can become visible so late any more."""

_MARK = "finished"
_FIRST_ID = "00000000-0000-0000-0000-000000000000"
_LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"

Handle = Callable[[Sequence[Atendimento]], Awaitable[None]]


class Finishing(Protocol):
    """Where the finished atendimentos are, by time of change and identifier."""

    async def finished(
        self, after: Place, limit: int, *, of: str | None = None, but: Collection[str] = ()
    ) -> FinishedPage: ...


class Finishes:
    """Reads them on from where it was, over restarts too; some are read more than once.

    All owners are read as one list. One who finishes thousands at once leaves the list and is read
    apart, with what a round has left, until there is no more: nobody waits behind them.
    """

    def __init__(
        self, journal: Journal, atendimentos: Finishing, clock: Callable[[], datetime]
    ) -> None:
        self._journal = journal
        self._atendimentos = atendimentos
        self._clock = clock
        self._last_new = float("-inf")
        self._seen_until: datetime | None = None
        self._kept: datetime | None = None  # as the journal has it
        self._unread_from: Place | None = None
        self._apart: dict[str, Place] = {}  # the one that is next at the front

    async def read(self, handle: Handle, beat: Callable[[], None]) -> None:
        """Hand over what is new, batch by batch; what ``handle`` has returned from is not lost.

        Raises StorageUnavailable, JournalUnavailable.
        """
        left = await self._read_all(handle, beat)
        await self._read_apart(handle, beat, left)

    async def _read_all(self, handle: Handle, beat: Callable[[], None]) -> int:
        """Returns how many batches are left of this round."""
        seen_until = self._seen_until = self._seen_until or await self._marked()
        quiet = trio.current_time() - self._last_new > QUIET_SECONDS
        position = Place(seen_until.isoformat(), _LAST_ID)
        if not quiet:
            position = Place((seen_until - OVERLAP).isoformat(), _FIRST_ID)
        position, self._unread_from = self._unread_from or position, None
        read: Counter[str] = Counter()
        for left in range(MAX_PAGES - 1, -1, -1):
            beat()
            page = await self._atendimentos.finished(position, BATCH, but=self._apart)
            if page.end is None:
                return left
            await handle(page.rows)
            position = page.end
            read.update(row.owner_id for row in page.rows)
            for owner, count in read.items():
                if count > FAIR_SHARE and len(self._apart) < MAX_APART:
                    self._apart.setdefault(owner, position)
            reached = moment(position.moment)
            if reached is not None and reached > self._seen_until:
                self._seen_until = reached
                self._last_new = trio.current_time()
                await self._mark(reached)
            if page.is_last:
                return left
        self._unread_from = position
        return 0

    async def _read_apart(self, handle: Handle, beat: Callable[[], None], batches: int) -> None:
        while self._apart and batches > 0:
            batches -= 1
            beat()
            owner, place = next(iter(self._apart.items()))
            page = await self._atendimentos.finished(place, BATCH, of=owner)
            await handle(page.rows)
            del self._apart[owner]
            if page.end is not None and not page.is_last:
                self._apart[owner] = page.end
        if self._seen_until is not None:
            await self._mark(self._seen_until)

    async def _mark(self, seen_until: datetime) -> None:
        """Where to begin after a restart: before what is read apart, as far as that matters."""
        mark = seen_until
        if self._apart:
            places = [moment(place.moment) or seen_until for place in self._apart.values()]
            # Many rows may be of one moment, and only some of them read.
            before = min(places) - timedelta(microseconds=1)
            mark = min(seen_until, max(before, self._clock() - FINISHED_AGE))
        if mark != self._kept:
            await self._journal.set_robot_mark(_MARK, mark.isoformat())
            self._kept = mark

    async def _marked(self) -> datetime:
        seen = moment(await self._journal.robot_mark(_MARK))
        begin = self._clock() - FINISHED_AGE
        # A mark of the future would keep silent until then.
        if seen is not None and seen < begin + 2 * FINISHED_AGE:
            return seen
        await self._journal.set_robot_mark(_MARK, begin.isoformat())
        return begin
