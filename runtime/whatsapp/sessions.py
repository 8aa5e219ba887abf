"""Rows of ``whatsapp_sessions``: the present state of each connection, for front ends.

They travel through the journal like everything else, so an outage of Supabase delays them only.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ..journal import Connection, Journal, NewEntry
from .live import Live


class Sessions:
    """Writes the row of a connection whenever its state changes."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def record(self, connection: Connection, live: Live) -> None:
        """Queue the row as it is now."""
        await self._journal.accept([session_entry(connection, live)])


def session_entry(connection: Connection, live: Live) -> NewEntry:
    """The ingest item of a connection's row."""
    return NewEntry(kind="session", key=None, payload=session_item(connection, live))


def _info(connection: Connection, live: Live) -> dict[str, object] | None:
    """What a front end may show beside the number; None, while there is none, changes nothing."""
    if connection.whatsapp_id is None:
        return None
    name, warnings = connection.push_name, live.warnings()
    return {**({"name": name} if name else {}), **({"warnings": warnings} if warnings else {})}


def session_item(connection: Connection, live: Live) -> dict[str, object]:
    """The row of a connection as ``zapvisor_ingest`` takes it."""
    return {
        "kind": "session",
        "connection_id": connection.id,
        "owner_id": connection.owner_id,
        "session_name": connection.name,
        "status": live.status.value,
        "phone_number": connection.phone_number,
        "whatsapp_id": connection.whatsapp_id,
        "whatsapp_info": _info(connection, live),
        "qr_code": live.qr,
        "at": datetime.now(UTC).isoformat(),
    }
