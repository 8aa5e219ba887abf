"""Messages about another message: reactions, edits, deletions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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


def read_change(message: Mapping[str, Any], *, own: bool) -> Change | None:
    """The change that a message asks for, or None when it is an ordinary one.

    ``own``: written by the account itself. Nobody can edit or delete another's message in a chat
    of two, so there the sender of the change is the sender of the other message.
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
    target = {**key, "fromMe": own}
    if protocol.get("type") in _EDIT:
        edited = read_content(protocol.get("editedMessage") or {})
        if edited is None:
            return None
        return Change("edicao", target, edited.conteudo, edited.conteudo)
    if protocol.get("type") in _REVOKE:
        return Change("exclusao", target, None, "Apagou uma mensagem anterior.")
    return None
