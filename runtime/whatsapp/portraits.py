"""Profile pictures of customers who write, and what groups are called. A courtesy: what fails is
left out, and asked for again the next day."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Protocol

import trio

from ..inbound.entries import contact_entry
from ..journal import Connection, Journal
from .link import BridgeLink, RequestFailed

logger = logging.getLogger("zapvisor.contacts")

CAPACITY = 100
"""Customers whose picture may be waited for; further ones are left out."""
MAX_ASKED = 20_000
"""Customers who are remembered as asked for; beyond it begins to forget."""
REFRESH = 86_400.0
"""Seconds after which one who writes is asked for again: WhatsApp's addresses expire."""
PAUSE = 1.0
"""Seconds between two questions: WhatsApp dislikes those who ask for many pictures."""

_USER = "@s.whatsapp.net"
_GROUP = "@g.us"


class _Owner(Protocol):
    connection: Connection


class Portraits:
    """Asks for pictures, one at a time, beside the messages. Names are numbers or group JIDs."""

    def __init__(self, link: BridgeLink, journal: Journal) -> None:
        self._link = link
        self._journal = journal
        self._asked: dict[str, float] = {}
        self._wanted, self._names = trio.open_memory_channel[str](CAPACITY)

    def offer(self, names: Iterable[str]) -> None:
        """These have written, and their messages are in the journal; each is asked for daily."""
        now = trio.current_time()
        for name in names:
            if now - self._asked.get(name, -REFRESH) < REFRESH:
                continue
            try:
                self._wanted.send_nowait(name)
            except trio.WouldBlock:
                return
            if len(self._asked) >= MAX_ASKED:
                self._asked.clear()
            self._asked[name] = now

    def renew(self, names: Iterable[str]) -> None:
        """Of these we know something outdated; who was never asked for is asked when they write."""
        for name in names:
            if self._asked.pop(name, None) is not None:
                self.offer([name])

    async def run(self, owner: _Owner) -> None:
        """Until cancelled."""
        async for name in self._names:
            await self._ask(owner.connection, name)
            await trio.sleep(PAUSE)

    async def _ask(self, connection: Connection, name: str) -> None:
        subject = None
        if name.endswith(_GROUP):
            subject = (await self._answer(connection, "group", name)).get("subject")
        jid = name if "@" in name else f"{name}{_USER}"
        picture = (await self._answer(connection, "picture", jid)).get("url")
        if subject or picture:
            entry = contact_entry(connection, name, name=subject, picture=picture)
            await self._journal.accept([entry])

    async def _answer(self, connection: Connection, type_: str, jid: str) -> dict[str, Any]:
        try:
            return await self._link.request(type_, jid=jid) or {}
        except RequestFailed as failure:
            logger.info(
                "nothing to show",
                extra={"connection": connection.id, "asked": type_, "code": failure.code},
            )
            return {}
