"""Who a message is from and which conversation it belongs to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..identity import bare_jid, message_key, row_id
from ..journal import Connection
from ..phones import spellings

STATUS = "status@broadcast"
"""Where status updates come from; any other broadcast is a list of somebody's."""
OWN = "eu"
"""How ``dados`` calls the account itself."""

_USER = "@s.whatsapp.net"


@dataclass(frozen=True, slots=True)
class Chat:
    """The place of a message.

    Attributes:
        number: ``numero_cliente``: digits, a LID while no number is known, or a group's JID.
        address: the JID by which messages of the chat are keyed; the LID where there is one.
        own: written by the account itself.
        sender: the JID by which the sender is keyed; None for the account itself.
        author: digits or JID of the sender, as ``dados`` shows it.
        group: whether it is a group.
        through: the JID of the sender's broadcast list by which it came, if it did.
        addresses: every JID by which a message of the customer's (in a group: of the sender's) may
            be keyed, `address` (`sender`) first. WhatsApp names one person now by a LID, now by a
            number in either spelling.
    """

    number: str
    address: str
    own: bool
    sender: str | None
    author: str
    group: bool
    through: str | None = None
    addresses: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The author, by every name that ``dados`` may show."""
        return [OWN] if self.own else list(dict.fromkeys(map(_shown, self.addresses)))

    def row_ids(
        self, connection: Connection, message_id: str, addresses: Iterable[str] | None
    ) -> list[str]:
        """The rows that this message of whoever has these addresses may be; None: our own."""
        keys = (
            [self._key(connection, None, message_id)]
            if addresses is None
            else [self._key(connection, one, message_id) for one in addresses]
        )
        return [str(row_id(key)) for key in dict.fromkeys(keys)]

    def _key(self, connection: Connection, address: str | None, message_id: str) -> str:
        return message_key(
            connection.owner_id,
            connection.id,
            chat=self.address if self.group or address is None else address,
            sender=address,
            message_id=message_id,
        )

    def key(self, connection: Connection, message_id: str) -> str:
        """The key of this sender's message."""
        return message_key(
            connection.owner_id,
            connection.id,
            chat=self.address,
            sender=self.sender,
            message_id=message_id,
        )

    def key_of(self, connection: Connection, target: Mapping[str, Any]) -> str:
        """The key of another message of this chat, from its WhatsApp key as we see it."""
        own = bool(target.get("fromMe"))
        participant = target.get("participant")
        sender = participant if self.group and participant else self.address
        return message_key(
            connection.owner_id,
            connection.id,
            chat=self.address,
            sender=None if own else sender,
            message_id=target["id"],
        )


_HOSTED = {"hosted": "s.whatsapp.net", "hosted.lid": "lid"}


def _usual(jid: str) -> str:
    """A company whose number Meta hosts is the same person under its usual address."""
    user, _, server = jid.partition("@")
    return f"{user}@{_HOSTED.get(server, server)}"


def _is_list(jid: str) -> bool:
    return jid.endswith("@broadcast") and jid != STATUS


def read_chat(data: Mapping[str, Any]) -> Chat:
    """The chat of a ``message`` event. Raises KeyError when it has no key."""
    key = data["key"]
    jid: str = key["remoteJid"]
    own = bool(key["fromMe"])
    group = jid.endswith("@g.us")
    if not group:
        through = jid if _is_list(jid) and not own and key.get("participant") else None
        jid = _usual(key["participant"] if through else jid)
        address = data.get("lid") or jid
        number = data.get("phone") or bare_jid(jid).removesuffix(_USER)
        addresses = addresses_of(
            [address, jid, f"{data['phone']}{_USER}" if data.get("phone") else ""]
        )
        sender, author = (None, OWN) if own else (address, number)
        return Chat(number, address, own, sender, author, False, through, addresses)
    names = [name for name in (key.get("participant"), key.get("participantAlt")) if name]
    lid = next((name for name in names if name.endswith("@lid")), None)
    phone = next((name for name in names if name.endswith("@s.whatsapp.net")), None)
    sender = lid or phone or jid
    author = bare_jid(phone).partition("@")[0] if phone else bare_jid(sender)
    if own:
        return Chat(jid, jid, own, None, OWN, True)
    return Chat(jid, jid, own, sender, author, True, addresses=addresses_of([sender, *names]))


def addresses_of(jids: Iterable[str]) -> tuple[str, ...]:
    """JIDs without device, each number in its other spelling, too."""
    bare = [bare_jid(jid) for jid in jids if jid]
    others = [
        f"{number}{_USER}"
        for jid in bare
        if jid.endswith(_USER)
        for number in spellings(jid.removesuffix(_USER))
    ]
    return tuple(dict.fromkeys([*bare, *others]))


def _shown(jid: str) -> str:
    return bare_jid(jid).removesuffix(_USER)
