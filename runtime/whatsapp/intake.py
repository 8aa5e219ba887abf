"""A message's way in, first half: events of the bridge into the journal, then the acknowledgement.

The acknowledgement goes out only after the journal's fsync: until then the bridge keeps the
plaintext and would send it again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import trio

from ..failpoints import failpoint
from ..identity import message_key
from ..inbound.clock import FIRST_MOMENT, plausible
from ..inbound.entries import (
    NO_PICTURE,
    Ignored,
    call_entry,
    contact_entry,
    message_entry,
    read_entries,
)
from ..journal import CommandState, Connection, NewEntry
from ..options import Options
from ..refusals import NEW_CONTACTS_BLOCKED, refusal_of
from .frames import BridgeEvent
from .link import WINDOW, BridgeLink
from .live import Doorbell
from .portraits import Portraits
from .services import Services

logger = logging.getLogger("zapvisor.intake")

_STATES = {
    "server_ack": CommandState.SENT,
    "delivered": CommandState.DELIVERED,
    "read": CommandState.READ,
    "played": CommandState.PLAYED,
    "error": CommandState.FAILED,
}

BLOCK_LIFETIME = timedelta(hours=24)
"""How long a connection is shown as kept from new contacts after WhatsApp refused one."""
_TIMED = frozenset({"message", "status", "call"})
"""Kinds of events that tell when something happened."""
MAX_MET = 20_000
"""People whom one incarnation keeps in mind; beyond it begins to forget."""

_Arrived = tuple[NewEntry, float]
"""An entry, and when its event reached the bridge, in seconds since the epoch."""

_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


class Intake:
    """Moves the events of one connection, in order, as many at a time as are there."""

    def __init__(self, connection: Connection, link: BridgeLink, services: Services) -> None:
        self.connection = connection
        self._link = link
        self._journal = services.journal
        self._outbox = services.outbox
        self._sessions = services.sessions
        self._lives = services.lives
        self._live = services.lives[connection.id]
        self._way_in = services.way_in
        self._met: dict[tuple[str | None, str | None], str | None] = {}
        self._portraits = Portraits(link, services.journal)
        self._taken = 0
        self._took = Doorbell()

    async def wait_taken(self, count: int) -> None:
        """Wait until ``count`` events are in the journal. One waiter."""
        while self._taken < count:
            await self._took.wait()

    async def run(self) -> None:
        """Until the link ends (then its reader raises)."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._portraits.run, self)
            await self._take()
            nursery.cancel_scope.cancel()

    async def _take(self) -> None:
        async for first in self._link.events:
            batch = [first]
            while len(batch) < WINDOW:
                try:
                    batch.append(self._link.events.receive_nowait())
                except (trio.WouldBlock, trio.EndOfChannel):
                    break
            await self._store(batch)
            failpoint("ack")
            await self._link.send("ack", seq=batch[-1].seq)
            groups = Options.of(self.connection).store_groups
            self._portraits.renew(filter(None, map(_renewed, batch)))
            self._portraits.offer(_writers(batch, groups=groups))
            self._taken += len(batch)
            self._took.ring()

    async def _store(self, batch: list[BridgeEvent]) -> None:
        """Messages that follow each other in one transaction; everything in its order."""
        await self._meet(batch)
        entries: list[_Arrived] = []
        for event in batch:
            self._live.last_seen = datetime.now(UTC)
            try:
                step = self._read(event)
            except _UNREADABLE as error:
                reason = f"{type(error).__name__}: {error}"
                step = partial(self._bury, event, "unreadable_event", reason)
            if isinstance(step, NewEntry):
                entries.append((step, event.receivedAt / 1000))
            elif step is not None:
                await self._accept(entries)
                entries = []
                await step()
        await self._accept(entries)

    def _read(self, event: BridgeEvent) -> NewEntry | Callable[[], Awaitable[object]] | None:
        """The entry that an event becomes, or what else it asks for; None: nothing.

        Raises one of ``_UNREADABLE`` for what the protocol does not say.
        """
        data = event.data
        if event.kind in _TIMED:
            data = {**data, "timestamp": plausible(data.get("timestamp"), _arrived(event))}
        match event.kind:
            case "message":
                made = message_entry(self.connection, self._named(data))
                if isinstance(made, Ignored):
                    self._lives.ignored[made] += 1
                    return None
                return made
            case "status":
                at = datetime.fromtimestamp(int(data["timestamp"]), UTC)
                state, error = _STATES[data["status"]], data.get("error")
                return partial(self._advance, data["id"], state, error, at)
            case "read":
                return partial(self._journal.accept, read_entries(self.connection, data))
            case "call":
                return call_entry(self.connection, self._named(data))
            case "contact":
                return self._renamed(data)
            case "oversized":
                reason = f"{data['bytes']} bytes do not fit a frame; kept in {data['file']}"
                return partial(self._bury, event, "oversized_event", reason)
            case _:
                raise ValueError(f"the protocol has no event {event.kind!r}")

    async def _meet(self, batch: list[BridgeEvent]) -> None:
        """Remember whom we had not met, before anything of theirs is stored."""
        people: dict[tuple[str | None, str | None], None] = {}
        for event in batch:
            who = _person(event)
            if who is not None and who not in self._met:
                people[who] = None
        if not people:
            return
        await self._journal.meet(self.connection, list(people))
        if len(self._met) + len(people) > MAX_MET:
            self._met.clear()
        for number, lid in people:
            if number is None and lid is not None:
                # Not remembered as met: the number may become known at any time.
                alias = await self._journal.alias(self.connection.id, lid)
                if alias is None or alias.number is None:
                    continue
                self._met[number, lid] = alias.number
            else:
                self._met[number, lid] = number

    def _named(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The event with the customer's number, where only the LID came but we know it."""
        if data.get("phone") is None and data.get("lid") is not None:
            return {**data, "phone": self._met.get((None, data["lid"]))}
        return data

    def _renamed(self, data: Mapping[str, Any]) -> NewEntry | None:
        """What a contact's open atendimento has to know; a new picture is asked for later."""
        jid = str(data.get("jid") or "")
        number = data.get("phone") or (jid if jid.endswith("@g.us") else None)
        name = data.get("name")
        removed = data.get("picture") == "removed"
        if number is None or not (name or removed):
            return None
        picture = NO_PICTURE if removed else None
        return contact_entry(self.connection, number, name=name, picture=picture)

    async def _accept(self, arrived: list[_Arrived]) -> None:
        if not arrived:
            return
        accepted = await self._journal.accept([entry for entry, _ in arrived])
        for (entry, at), one in zip(arrived, accepted, strict=True):
            if one.duplicate:
                continue
            self._live.received += 1
            if entry.kind == "message":
                self._live.last_message = datetime.now(UTC)
                self._way_in.arrived(one.seq, at)

    async def _advance(
        self, message_id: str, state: CommandState, error: str | None, at: datetime
    ) -> None:
        if state is CommandState.SENT:
            failpoint("server-ack")
        moved = await self._outbox.advance(self.connection, message_id, state, error=error, at=at)
        self._live.sent += moved and state is CommandState.SENT
        if moved and state is CommandState.FAILED:
            await self._refused(error)
        self._live.outbox.ring()

    async def _refused(self, word: str | None) -> None:
        self._live.failed += 1
        refusal = refusal_of(word)
        if refusal.code == NEW_CONTACTS_BLOCKED:
            self._live.warn(refusal.code, refusal.sentence, lifetime=BLOCK_LIFETIME)
            connection = await self._journal.connection(self.connection.id)
            await self._sessions.record(connection or self.connection, self._live)

    async def _bury(self, event: BridgeEvent, code: str, reason: str) -> None:
        """Keep an event that cannot become a row where an operator sees it."""
        told = event.data.get("key")
        logger.error(
            "event is a dead letter",
            extra={
                "connection": self.connection.id,
                "kind": event.kind,
                "code": code,
                "message_id": told.get("id") if isinstance(told, dict) else None,
            },
        )
        connection = self.connection
        key = message_key(
            connection.owner_id,
            connection.id,
            chat="unreadable@bridge",
            sender="unreadable@bridge",
            message_id=f"{event.receivedAt}-{event.seq}",
        )
        payload = {
            "kind": "message",
            "owner_id": connection.owner_id,
            "connection_id": connection.id,
        }
        raw = {"kind": event.kind, "seq": event.seq, "data": event.data}
        await self._journal.accept_dead(
            NewEntry(kind="message", key=key, payload=payload, raw=raw), code=code, reason=reason
        )


def _arrived(event: BridgeEvent) -> float:
    """In seconds since the epoch; that of an event without a time is now."""
    at = event.receivedAt / 1000
    return at if at >= FIRST_MOMENT else time.time()


def _person(event: BridgeEvent) -> tuple[str | None, str | None] | None:
    """The customer of an event as (number, LID)."""
    if event.kind not in ("message", "contact", "call"):
        return None
    number, lid = event.data.get("phone"), event.data.get("lid")
    if not isinstance(number, str | None) or not isinstance(lid, str | None):
        return None
    return (number, lid) if number or lid else None


def _writers(batch: Iterable[BridgeEvent], *, groups: bool) -> Iterator[str]:
    """The numbers of customers who write right now, and the JIDs of groups."""
    for event in batch:
        key = event.data.get("key")
        if event.kind != "message" or not isinstance(key, dict) or event.data.get("history"):
            continue
        number, chat = event.data.get("phone"), key.get("remoteJid")
        if groups and isinstance(chat, str) and chat.endswith("@g.us"):
            yield chat
        elif isinstance(number, str) and not key.get("fromMe"):
            yield number


def _renewed(event: BridgeEvent) -> str | None:
    """Of whom we know the picture, or the name of the group, no longer."""
    data = event.data
    if event.kind == "contact" and data.get("picture") == "changed":
        name = data.get("phone") or data.get("jid")
        return name if isinstance(name, str) else None
    if event.kind == "message" and data.get("stub") == "GROUP_CHANGE_SUBJECT":
        key = data.get("key")
        return str(key.get("remoteJid")) if isinstance(key, dict) else None
    return None
