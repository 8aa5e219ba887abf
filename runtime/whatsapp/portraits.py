"""Profile pictures of customers who write. A courtesy: what fails is left out."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

import trio

from ..inbound.entries import contact_entry
from ..journal import Connection, Journal
from .link import BridgeLink, RequestFailed

logger = logging.getLogger("zapvisor.contacts")

CAPACITY = 100
"""Customers whose picture may be waited for; further ones are left out."""
MAX_SEEN = 20_000
"""Customers who are remembered as asked for; beyond it begins to forget."""
PAUSE = 1.0
"""Seconds between two questions: WhatsApp dislikes those who ask for many pictures."""


class _Owner(Protocol):
    connection: Connection


class Portraits:
    """Asks for pictures, one at a time, beside the messages."""

    def __init__(self, link: BridgeLink, journal: Journal) -> None:
        self._link = link
        self._journal = journal
        self._seen: set[str] = set()
        self._wanted, self._numbers = trio.open_memory_channel[str](CAPACITY)

    def offer(self, numbers: Iterable[str]) -> None:
        """These have written, and their messages are in the journal; each is asked for once."""
        for number in numbers:
            if number in self._seen:
                continue
            try:
                self._wanted.send_nowait(number)
            except trio.WouldBlock:
                return
            if len(self._seen) >= MAX_SEEN:
                self._seen.clear()
            self._seen.add(number)

    async def run(self, owner: _Owner) -> None:
        """Until cancelled."""
        async for number in self._numbers:
            await self._ask(owner.connection, number)
            await trio.sleep(PAUSE)

    async def _ask(self, connection: Connection, number: str) -> None:
        try:
            answer = await self._link.request("picture", jid=f"{number}@s.whatsapp.net")
        except RequestFailed as failure:
            logger.info("no picture", extra={"connection": connection.id, "code": failure.code})
            return
        if url := (answer or {}).get("url"):
            entry = contact_entry(connection, number, name=None, picture=url)
            await self._journal.accept([entry])
