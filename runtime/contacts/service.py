"""Numbers checked on WhatsApp: asked once, remembered durably, asked again when it is long ago."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import trio

from ..errors import StorageUnavailable, Unavailable, Unsendable, ZapvisorError
from ..identity import recipient_jid
from ..journal import Alias, Checked, Connection, Journal
from ..phones import LONGEST, read_phone, spellings

logger = logging.getLogger("zapvisor.contacts")

PRESENT_TTL = timedelta(days=30)
ABSENT_TTL = timedelta(minutes=15)
"""How long an answer counts: people join WhatsApp more often than they leave it."""
SEND_CHECK_SECONDS = 6.0
"""How long a send waits for the check; without an answer the message is queued unchecked."""
MAX_PHONES = 50
"""Numbers of one check."""

_USER = "@s.whatsapp.net"


class Asking(Protocol):
    """A connection that can be asked; raises Unavailable when it is not open."""

    async def ask(self, type_: str, **fields: Any) -> Any: ...


class Customers(Protocol):
    """Who has a conversation in the tables."""

    async def known_numbers(
        self, owner_id: str, connection_id: str | None, numbers: Collection[str]
    ) -> set[str]:
        """Those of ``numbers`` that are somebody's ``numero_cliente``."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Where a message goes.

    Attributes:
        asked: the JID that the client's spelling means.
        jid: as WhatsApp knows it if that is known.
    """

    asked: str
    jid: str


class Contacts:
    """What WhatsApp says of numbers, and by which name a customer is known."""

    def __init__(self, journal: Journal, customers: Customers) -> None:
        self._journal = journal
        self._customers = customers

    async def number(self, connection: Connection, text: str) -> str:
        """The digits of the person whom a spelling means: a known customer or contact first.

        Raises Invalid: ``invalid_phone``, and ``ambiguous_number`` for one that may be of two
        people of whom none is known.
        """
        phone = read_phone(text)
        if phone.stored is None or [one.number for one in phone.readings] == [phone.stored]:
            return phone.only()
        for name in phone.names:
            if len(name) <= LONGEST and await self._is_contact(connection, name):
                return name
        if len(phone.readings) != 1 and (known := await self._customer(connection, phone.names)):
            return known
        return phone.only()

    async def jids(self, connection: Connection, names: Sequence[str]) -> list[str]:
        """The JIDs of people: numbers in any spelling, or JIDs. Raises Invalid."""
        return [await self._jid(connection, name) for name in names]

    async def _jid(self, connection: Connection, name: str) -> str:
        if "@" in name:
            return recipient_jid(name)
        return f"{await self.number(connection, name)}{_USER}"

    async def _is_contact(self, connection: Connection, name: str) -> bool:
        for spelling in spellings(name):
            alias = await self._journal.alias(connection.id, spelling)
            if alias is not None and alias.number is not None:
                return True
        return False

    async def _customer(self, connection: Connection, names: Sequence[str]) -> str | None:
        """The first of the names that has a conversation; None also while nobody can say."""
        asked = {spelling for name in names for spelling in spellings(name)}
        with suppress(StorageUnavailable):
            found = await self._customers.known_numbers(connection.owner_id, connection.id, asked)
            return next((name for name in names if found & set(spellings(name))), None)
        return None

    async def check(
        self, connection: Connection, live: Asking, phones: Sequence[str]
    ) -> list[dict[str, Any]]:
        """``GET /contacts/check``: whether each number is on WhatsApp, in the order asked.

        Raises Invalid for what is no number, Unavailable when WhatsApp has to be asked and the
        connection is not open.
        """
        numbers = {phone: await self.number(connection, phone) for phone in phones}
        known = {number: await self._known(connection, number) for number in numbers.values()}
        unknown = [number for number, alias in known.items() if alias is None]
        if unknown:
            await self.ask(connection, live, unknown)
            known |= {number: await self._known(connection, number) for number in unknown}
        if None in known.values():
            # What was not answered is not known; that is no absence.
            raise Unavailable("O WhatsApp não respondeu.", code="query_failed", retry_after=10.0)
        return [_answer(phone, known[number]) for phone, number in numbers.items()]

    async def recipient(self, connection: Connection, live: Asking, to: str) -> Recipient:
        """Where a message to ``to`` goes; asks WhatsApp about a number met for the first time.

        Raises Invalid, and Unsendable (``not_on_whatsapp``) when nobody has the number. Where
        WhatsApp cannot be asked now, the number is taken as it is, and asked about when the
        message leaves.
        """
        jid = await self._jid(connection, to)
        name = jid.removesuffix(_USER)
        alias = await self._known(connection, name)
        if alias is None and jid.endswith(_USER):
            with trio.move_on_after(SEND_CHECK_SECONDS):
                try:
                    await self.ask(connection, live, [name])
                except ZapvisorError as error:
                    logger.info("not checked", extra={"code": error.code})
            alias = await self._known(connection, name)
        if jid.endswith("@g.us"):
            return Recipient(jid, jid)
        if alias is None:
            # What was known long ago is better than nothing.
            alias = await self._journal.alias(connection.id, name)
            if alias is not None and alias.number is None:
                alias = None
        if alias is None:
            await self._journal.use_alias(connection.id, name)
            return Recipient(jid, jid)
        if alias.number is None:
            raise not_on_whatsapp()
        return Recipient(jid, f"{alias.number}{_USER}")

    async def ask(self, connection: Connection, live: Asking, numbers: Sequence[str]) -> None:
        """Ask WhatsApp and remember the answers."""
        answers = await live.ask("check", phones=list(numbers))
        await self._journal.remember_checked(
            connection, [read_checked(answer) for answer in answers or ()]
        )

    async def _known(self, connection: Connection, name: str) -> Alias | None:
        """What is known of a name and not outdated."""
        alias = await self._journal.alias(connection.id, name)
        if alias is None or alias.checked_at is None:
            return None
        if not alias.absent and alias.number is None:
            return None
        lifetime = ABSENT_TTL if alias.absent else PRESENT_TTL
        return alias if alias.checked_at > datetime.now(UTC) - lifetime else None


def not_on_whatsapp() -> Unsendable:
    """The refusal for a number that nobody has."""
    return Unsendable("Este número não está no WhatsApp.", code="not_on_whatsapp")


def read_checked(answer: dict[str, Any]) -> Checked:
    """What the bridge answered about one number."""
    jid, lid = answer.get("jid"), answer.get("lid")
    number = jid.partition("@")[0] if answer.get("exists") and jid else None
    return Checked(answer["phone"], number, lid)


def _answer(phone: str, alias: Alias | None) -> dict[str, Any]:
    number = None if alias is None else alias.number
    return {
        "phone": phone,
        "exists": number is not None,
        "number": number,
        "jid": None if number is None else f"{number}{_USER}",
        "lid": None if alias is None or number is None else alias.lid,
        "checkedAt": alias.checked_at.isoformat() if alias and alias.checked_at else None,
    }
