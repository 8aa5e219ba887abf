"""Who is who: connection ids, JIDs, phone numbers, message keys and row ids.

All functions are pure. A message is known by (owner, connection, chat, sender, WhatsApp id):
WhatsApp ids are unique only there.
"""

from __future__ import annotations

import re
import secrets
import uuid

from .errors import Invalid
from .phones import phone_digits, read_phone

_NAMESPACE = uuid.UUID("0b2f6d0e-8c53-5b0d-9a57-2d7a7c1f5e10")
_CONNECTION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_GROUP_JID = re.compile(r"[0-9]{5,25}(?:-[0-9]{5,20})?@g\.us")
_USER_JID = re.compile(r"(?P<user>[0-9]{5,20})(?::[0-9]+)?@(?P<server>s\.whatsapp\.net|c\.us|lid)")


def check_connection_id(value: str) -> str:
    """Return ``value`` if it may name a connection (it becomes a file name), else Invalid."""
    if not _CONNECTION_ID.fullmatch(value):
        raise Invalid(
            "O connectionId deve ter de 1 a 64 letras sem acento, números, hífens ou sublinhados.",
            code="invalid_connection_id",
        )
    return value


def recipient_jid(to: str) -> str:
    """The JID that ``to`` means: a JID, or a phone number as `phones` reads it.

    ``"(11) 98765-4321"``, ``"+55 11 98765-4321"`` and ``"5511987654321@c.us"`` are all
    ``"5511987654321@s.whatsapp.net"``. Raises Invalid for anything else, and for a number that may
    be of two people: who knows the people asks ``contacts``.
    """
    to = to.strip()
    if "@" in to:
        if _GROUP_JID.fullmatch(to):
            return to
        match = _USER_JID.fullmatch(to)
        if match is None:
            raise Invalid(
                "O destinatário não é um JID de usuário válido.", code="invalid_recipient"
            )
        server = "lid" if match["server"] == "lid" else "s.whatsapp.net"
        return f"{match['user']}@{server}"
    return f"{phone_digits(to)}@s.whatsapp.net"


def check_recipient(to: str) -> None:
    """Raises Invalid for what can be no recipient, whoever is known."""
    if "@" in to:
        recipient_jid(to)
    else:
        read_phone(to)


def bare_jid(jid: str) -> str:
    """The JID without its device part: ``"1:12@lid"`` → ``"1@lid"``."""
    user, _, server = jid.partition("@")
    return f"{user.partition(':')[0]}@{server}"


def new_message_id() -> str:
    """A WhatsApp message id chosen beforehand, so that sending again is not a second message."""
    return f"3EB0{secrets.token_hex(9).upper()}"


def message_key(
    owner_id: str, connection_id: str, *, chat: str, sender: str | None, message_id: str
) -> str:
    """The key of a message; ``sender`` None means the account itself.

    The chat of an own message is left out: its id was made by one of our own devices, and its
    chat may be spelled as phone number or as LID depending on who reports it.
    """
    if sender is None:
        return f"{owner_id}/{connection_id}/me/{message_id}"
    return f"{owner_id}/{connection_id}/{bare_jid(chat)}/{bare_jid(sender)}/{message_id}"


def row_id(key: str) -> uuid.UUID:
    """The primary key of the row of this message: the same however often it is written."""
    return uuid.uuid5(_NAMESPACE, key)
