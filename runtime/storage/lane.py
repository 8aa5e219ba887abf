"""New messages pass an old queue, as far as no chat's order is broken.

After a long outage the queue is drained from its oldest entry on. Who writes now would wait for all
of it; but only what is older *of the same chat* has to go first. So while the queue is deep, what
has come since and belongs to chats without a backlog goes in between.
"""

from __future__ import annotations

from functools import partial

from ..journal import Entry, Journal, inbox

DEEP = 5000
"""Entries in the queue from which on the lane is open."""
RECENT = 1000
"""So many of the newest entries count as new when the lane opens."""
EVERY_SECONDS = 0.25
"""Pause between two uses of the lane; the queue drains meanwhile."""


class FastLane:
    """Which entries may pass, and when. Open while the queue is deep."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._behind: int | None = None
        self._looked = 0
        self._floor = 0
        self._due = 0.0

    async def look(self, oldest: int) -> None:
        """A full batch of the queue, with ``oldest`` at its head, went through: is it deep?"""
        if self._behind is not None and oldest <= self._behind:
            return
        pending, newest = await self._journal.transact(inbox.depth)
        self._behind = max(newest - RECENT, self._floor) if pending >= DEEP else None

    async def claim(self, now: float, limit: int, max_bytes: int) -> list[Entry]:
        """What may pass now; nothing while the lane is closed. `went` or `failed` must follow."""
        if self._behind is None or now < self._due:
            return []
        self._due = now + EVERY_SECONDS
        rows, self._looked = await self._journal.transact(
            partial(inbox.passing, behind=self._behind, limit=limit, max_bytes=max_bytes)
        )
        # A damaged one is left to the queue, which buries it.
        entries = [entry for row in rows if isinstance(entry := inbox.decode(row), Entry)]
        if not entries:
            self.went()
        return entries

    def went(self) -> None:
        """What was claimed is settled: go on behind it."""
        self._behind = self._looked

    def failed(self) -> None:
        """What was claimed is left to the queue, which meets it in its order and deals with it."""
        self._floor = self._looked
        self._behind = None

    def close(self) -> None:
        """The queue is short, or does not get through itself."""
        self._behind = None
