"""What waits in the journal besides entries: files, deliveries, commands; counted for operators."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass

from . import endpoints, media
from .deliveries import STATES


@dataclass(frozen=True, slots=True)
class Gauges:
    """Counts by state or job, and ages in seconds of the oldest of each (0 when there is none)."""

    outbox_oldest: float
    media_files: Mapping[str, int]
    media_jobs: Mapping[str, int]
    media_oldest: float
    webhooks: Mapping[str, int]
    deliveries: Mapping[str, int]
    delivery_oldest: float


def read(connection: sqlite3.Connection) -> Gauges:
    """As of now. Touches what waits, not what is done; so it is cheap in a journal that is old."""
    return Gauges(
        # Without the hint SQLite walks the table by seq, past all that was sent.
        outbox_oldest=_age(
            connection,
            "SELECT created_at FROM command INDEXED BY command_by_state "
            "WHERE state = 'queued' ORDER BY seq LIMIT 1",
        ),
        media_files=media.counts(connection),
        media_jobs=dict(
            connection.execute(
                "SELECT name, count(*) FROM media_task WHERE due IS NOT NULL GROUP BY name"
            )
        ),
        media_oldest=_age(
            connection,
            "SELECT min(m.created_at) FROM media_task t JOIN media m USING (row_id) "
            "WHERE t.due IS NOT NULL",
        ),
        webhooks=endpoints.summary(connection),
        deliveries={
            state: connection.execute(
                "SELECT count(*) FROM webhook_delivery WHERE state = ?", (state,)
            ).fetchone()[0]
            for state in STATES
            if state != "delivered"
        },
        delivery_oldest=_age(
            connection, "SELECT min(created_at) FROM webhook_delivery WHERE state = 'pending'"
        ),
    )


def _age(connection: sqlite3.Connection, query: str) -> float:
    row = connection.execute(query).fetchone()
    if row is None or row[0] is None:
        return 0.0
    return max(0.0, time.time() - int(row[0]) / 1e6)
