"""How long customers' messages take from WhatsApp into the table.

Both ends are in this process: the intake knows when the bridge got a message, the writer when it
is in Supabase. What was on its way when the process started is counted from when the journal took
it.
"""

from __future__ import annotations

import time

from .distribution import LONG, Distribution
from .journal import Entry

MOST = 100_000
"""Messages on their way whose arrival is kept in mind."""


class WayIn:
    """Between the intake, which tells of arrivals, and the writer, which tells of rows."""

    def __init__(self) -> None:
        self.seconds = Distribution(LONG)
        self._arrived: dict[int, float] = {}

    def arrived(self, seq: int, at: float) -> None:
        """The entry ``seq`` came from WhatsApp ``at`` (seconds since the epoch)."""
        if len(self._arrived) < MOST:
            self._arrived[seq] = at

    def left(self, entry: Entry) -> None:
        """An entry is in Supabase, or a dead letter: nothing is to be remembered of it."""
        self._arrived.pop(entry.seq, None)

    def stored(self, entry: Entry) -> None:
        """An entry is in Supabase; counted when it is a customer's message."""
        at = self._arrived.pop(entry.seq, entry.accepted_at.timestamp())
        if entry.kind == "message" and entry.payload.get("remetente") == "CLIENTE":
            self.seconds.add(max(0.0, time.time() - at))
