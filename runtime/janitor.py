"""What is tidied up now and then: old keys in the journal, temporary connections nobody paired,
credentials that were put aside long ago or belong to a deleted connection."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import trio

from supervisors import ChildContext

from .errors import ZapvisorError
from .journal import Connection, Journal
from .whatsapp.credential_files import CredentialFiles
from .whatsapp.live import Live
from .whatsapp.manager import Connections

logger = logging.getLogger("zapvisor.janitor")

ROUND_SECONDS = 60.0
CATCH_UP_SECONDS = 2.0
"""Between two rounds while connections wait for the journal."""
TEMPORARY_PREFIX = "teste-"
"""Ids that ``POST /test-connection`` gives; a paired one is kept like any other."""
TEMPORARY_LIFETIME = timedelta(minutes=10)


class Janitor:
    """A child that makes its round every minute."""

    def __init__(self, journal: Journal, connections: Connections, files: CredentialFiles) -> None:
        self._journal = journal
        self._connections = connections
        self._files = files

    async def run(self, ctx: ChildContext) -> None:
        """Until cancelled. What is unavailable now is tidied up in a later round."""
        ctx.ready()
        while True:
            ctx.beat()
            try:
                await self._round()
            except ZapvisorError as error:
                logger.info("round put off", extra={"code": error.code})
            await trio.sleep(CATCH_UP_SECONDS if self._connections.waiting else ROUND_SECONDS)

    async def _round(self) -> None:
        await self._connections.catch_up()
        dropped = await self._journal.prune()
        if dropped:
            logger.info("old rows dropped", extra={"rows": dropped})
        await self._connections.expire_parked()
        await self._connections.finish_deletions()
        archives = await trio.to_thread.run_sync(self._files.prune, datetime.now(UTC))
        if archives:
            logger.info("old archives dropped", extra={"archives": archives})
        for connection in await self._connections.all():
            if _is_left_over(connection, self._connections.live(connection.id)):
                logger.info("temporary connection dropped", extra={"connection": connection.id})
                await self._connections.delete(connection.id)


def _is_left_over(connection: Connection, live: Live) -> bool:
    """Temporary, and nobody paired it: neither is one whose way to WhatsApp broke just then."""
    return (
        connection.id.startswith(TEMPORARY_PREFIX)
        and connection.whatsapp_id is None
        and (live.paired is False or connection.parked_code is not None)
        and connection.created_at < datetime.now(UTC) - TEMPORARY_LIFETIME
    )
