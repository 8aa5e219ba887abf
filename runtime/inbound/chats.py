"""Who a message is from and which conversation it belongs to. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..identity import bare_jid, message_key
from ..journal import Connection

STATUS = "status@broadcast"
"""Where status updates come from; any other broadcast is a list of somebody's."""
OWN = "eu"
"""How ``dados`` calls the account itself."""


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
    """

    number: str
    address: str
    own: bool
    sender: str | None
    author: str
    group: bool
    through: str | None = None

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
        number = data.get("phone") or bare_jid(jid).removesuffix("@s.whatsapp.net")
        sender, author = (None, OWN) if own else (address, number)
        return Chat(number, address, own, sender, author, False, through)
    names = [name for name in (key.get("participant"), key.get("participantAlt")) if name]
    lid = next((name for name in names if name.endswith("@lid")), None)
    phone = next((name for name in names if name.endswith("@s.whatsapp.net")), None)
    sender = lid or phone or jid
    author = bare_jid(phone).partition("@")[0] if phone else bare_jid(sender)
    return Chat(jid, jid, own, None if own else sender, OWN if own else author, True)
