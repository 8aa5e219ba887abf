"""Messages about another message: reactions, edits, deletions. Pure.

Who may change a message is decided by the sender that WhatsApp has authenticated. The key in a
payload is its sender's word: it tells which message is meant, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..journal import Connection
from .chats import Chat, addresses_of
from .content import read_content, unwrap

Operation = Literal["reacao", "edicao", "exclusao"]

_REVOKE = frozenset({0, "REVOKE"})
_EDIT = frozenset({14, "MESSAGE_EDIT"})


@dataclass(frozen=True, slots=True)
class Change:
    """What a message does to another one.

    Attributes:
        target: WhatsApp's key of the other message, from our point of view.
        value: the emoji (empty when taken back) or the new text; None for a deletion.
        text: what to show where the other message is not known.
    """

    operation: Operation
    target: Mapping[str, Any]
    value: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Aim:
    """The message that a change is about.

    Attributes:
        rows: the ids that its row may have, the likeliest first.
        of_author: those of them that only a message of the change's author can have.
        admin: whether the change is made by an admin of the group.
    """

    rows: list[str]
    of_author: list[str]
    admin: bool = False


def read_change(message: Mapping[str, Any], *, own: bool) -> Change | None:
    """The change that a message asks for, or None when it is an ordinary one.

    ``own``: written by the account itself; nobody else edits or deletes what is ours by saying that
    it is theirs.
    """
    message = unwrap(message)
    reaction = message.get("reactionMessage")
    if isinstance(reaction, Mapping):
        target, emoji = reaction.get("key"), str(reaction.get("text") or "")
        if not isinstance(target, Mapping) or not target.get("id"):
            return None
        said = f"Reagiu com {emoji}" if emoji else "Retirou a reação"
        return Change("reacao", target, emoji, f"{said} a uma mensagem anterior.")
    protocol = message.get("protocolMessage")
    if not isinstance(protocol, Mapping):
        return None
    key = protocol.get("key")
    if not isinstance(key, Mapping) or not key.get("id"):
        return None
    if protocol.get("type") in _EDIT:
        edited = read_content(protocol.get("editedMessage") or {})
        if edited is None:
            return None
        return Change("edicao", {**key, "fromMe": own}, edited.conteudo, edited.conteudo)
    if protocol.get("type") in _REVOKE:
        target = {**key, "fromMe": own and bool(key.get("fromMe"))}
        return Change("exclusao", target, None, "Apagou uma mensagem anterior.")
    return None


def known_author(chat: Chat, data: Mapping[str, Any]) -> Chat:
    """The chat with all the addresses of the change's author that the bridge knows."""
    more = (data.get("change") or {}).get("author") or ()
    if chat.own:
        return chat
    return replace(chat, addresses=addresses_of([*chat.addresses, *more]))


def aim(connection: Connection, chat: Chat, data: Mapping[str, Any], change: Change) -> Aim | None:
    """The message that a change is about; None when it is not the author's to change."""
    message_id = change.target["id"]
    named = _named(connection, chat, data, change.target)
    if change.operation == "reacao":
        is_own = bool(change.target.get("fromMe")) or named == ()
        addresses = None if is_own else (named or chat.addresses)
        rows = chat.row_ids(connection, message_id, addresses)
        return Aim(rows, []) if rows else None
    own = chat.row_ids(connection, message_id, None if chat.own else chat.addresses)
    if named is None or _is_author(chat, change, named):
        return Aim(own, own)
    if change.operation == "edicao":
        return None if _is_another(chat, named) else Aim(own, own)
    # Only an admin may, and our own phone offers it to admins alone.
    admin = chat.own or (data.get("change") or {}).get("admin") is True
    theirs = chat.row_ids(connection, message_id, named or None)
    if _is_another(chat, named):
        return Aim(theirs, [], admin=True) if admin else None
    return Aim([*own, *theirs] if admin else own, own, admin=admin)


def _named(
    connection: Connection, chat: Chat, data: Mapping[str, Any], key: Mapping[str, Any]
) -> tuple[str, ...] | None:
    """Whom a key names as the author: their addresses, none for the account itself, or None.

    In a chat of two there is nobody to be named: it is the one or the other.
    """
    participant = key.get("participant")
    if not chat.group or not isinstance(participant, str) or not participant:
        return None
    told = (data.get("change") or {}).get("target") or {}
    addresses = addresses_of([participant, *(told.get("addresses") or ())])
    ours = {_user(connection.whatsapp_id or ""), connection.phone_number}
    if told.get("own") or any(
        one.endswith("@s.whatsapp.net") and _user(one) in ours for one in addresses
    ):
        return ()
    return addresses


def _is_author(chat: Chat, change: Change, named: tuple[str, ...]) -> bool:
    if chat.own:
        return named == () or bool(change.target.get("fromMe"))
    return not set(chat.addresses).isdisjoint(named)


def _is_another(chat: Chat, named: tuple[str, ...]) -> bool:
    """Whether it is certain: who is named by a LID may be the author, known by a number only."""
    kinds = {one.partition("@")[2] for one in chat.addresses}
    return chat.own or not named or any(one.partition("@")[2] in kinds for one in named)


def _user(jid: str) -> str:
    return jid.partition("@")[0].partition(":")[0]
