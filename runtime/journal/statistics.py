"""Figures: totals from the tables, windows kept in memory."""

from __future__ import annotations

import sqlite3
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import trio

from ..distribution import Distribution

LATENCY_WINDOW = 2048
DRAIN_WINDOW_SECONDS = 60


class Latencies:
    """The last ``LATENCY_WINDOW`` durations, for percentiles; all of them, counted by length."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=LATENCY_WINDOW)
        self.seconds = Distribution()

    def add(self, milliseconds: float) -> None:
        self._values.append(milliseconds)
        self.seconds.add(milliseconds / 1000)

    def percentile(self, fraction: float) -> float | None:
        """The value that ``fraction`` of the window does not exceed; None when empty."""
        if not self._values:
            return None
        ordered = sorted(self._values)
        return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


class DrainRate:
    """Entries per second over the last minute, in buckets of one second."""

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, int]] = deque(maxlen=DRAIN_WINDOW_SECONDS)

    def add(self, count: int) -> None:
        second = int(trio.current_time())
        if self._buckets and self._buckets[-1][0] == second:
            self._buckets[-1] = (second, self._buckets[-1][1] + count)
        else:
            self._buckets.append((second, count))

    def per_second(self) -> float:
        since = int(trio.current_time()) - DRAIN_WINDOW_SECONDS
        return sum(n for second, n in self._buckets if second > since) / DRAIN_WINDOW_SECONDS


class Totals(NamedTuple):
    """The row of table ``totals``."""

    accepted: int
    stored: int
    dead: int
    pending: int
    archived: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look at the tables gives."""

    totals: Totals
    oldest_accepted_at: int | None
    outbox: dict[str, int]


def totals(connection: sqlite3.Connection) -> Totals:
    """The accounts, as kept in the same transactions as the entries themselves."""
    row = connection.execute(
        "SELECT accepted, stored, dead, pending, archived FROM totals"
    ).fetchone()
    return Totals(*row)


def add_to_totals(
    connection: sqlite3.Connection,
    *,
    accepted: int = 0,
    stored: int = 0,
    dead: int = 0,
    pending: int = 0,
    archived: int = 0,
) -> None:
    """Move the accounts; every caller keeps ``accepted == stored + dead + pending``."""
    connection.execute(
        "UPDATE totals SET accepted = accepted + ?, stored = stored + ?, dead = dead + ?, "
        "pending = pending + ?, archived = archived + ?",
        (accepted, stored, dead, pending, archived),
    )


def read(connection: sqlite3.Connection) -> Reading:
    """Everything that `Journal.statistics` needs from the tables."""
    oldest = connection.execute("SELECT accepted_at FROM entry ORDER BY seq LIMIT 1").fetchone()
    outbox = dict(connection.execute("SELECT state, count(*) FROM command GROUP BY state"))
    return Reading(totals(connection), oldest[0] if oldest else None, outbox)
