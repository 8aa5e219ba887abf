"""What a WhatsApp message says, in the words of ``whatsapp_mensagens``. Pure.

Input is ``WebMessageInfo.message`` as protobuf JSON (camelCase keys, bytes in base64).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..media.incoming import MediaPart, read_part
from .kinds import KINDS, context_facts

_WRAPPERS = (
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "deviceSentMessage",
    "editedMessage",
    "groupMentionedMessage",
    "associatedChildMessage",  # a picture of an album
    "lottieStickerMessage",
    "pollCreationMessageV4",
    "groupStatusMessage",
    "groupStatusMessageV2",
    "botInvokeMessage",
    "botForwardedMessage",
)
_VIEW_ONCE = ("viewOnceMessage", "viewOnceMessageV2", "viewOnceMessageV2Extension")
_WRAPPER_DEPTH = 5
_CARRIERS = frozenset(
    {
        "messageContextInfo",
        "senderKeyDistributionMessage",
        "fastRatchetKeySenderKeyDistributionMessage",
    }
)
_SILENT = frozenset(
    {
        "protocolMessage",
        "keepInChatMessage",
        "encReactionMessage",
        "pinInChatMessage",
        "albumMessage",  # how many pictures follow, each a message of its own
        "stickerSyncRmrMessage",
    }
)


@dataclass(frozen=True, slots=True)
class Content:
    """The columns that a message's content fills; ``tamanho`` in bytes. ``media`` is no column.

    ``dados`` has what no column says; None when there is nothing.
    """

    tipo: str
    conteudo: str
    midia_tipo: str | None = None
    midia_nome: str | None = None
    midia_tamanho: int | None = None
    dados: dict[str, Any] | None = None
    media: MediaPart | None = field(default=None, compare=False)


_NAMELESS = Content(
    "SISTEMA",
    "Mensagem de um tipo ainda desconhecido: abra-a no celular.",
    dados={"tipo_whatsapp": None},
)


def read_content(message: Mapping[str, Any]) -> Content | None:
    """The content for a person to read, or None for WhatsApp's own housekeeping.

    A kind that has no column of its own becomes SISTEMA with its name, never nothing, even if it is
    too new to have a name.
    """
    view_once = any(name in message for name in _VIEW_ONCE)
    message = unwrap(message)
    for kind, body in message.items():
        if kind in _CARRIERS or body is None:
            continue
        if kind in _SILENT:
            return None
        content = _read(kind, body)
        facts = {**(content.dados or {}), **context_facts(kind, body)}
        if view_once:
            facts["visualizacao_unica"] = True
        return replace(content, dados=facts or None)
    # A sender key may travel alone; anything else is of a kind that is too new to have a name here.
    return None if message.keys() & _CARRIERS - {"messageContextInfo"} else _NAMELESS


def _read(kind: str, body: Any) -> Content:
    if (reader := _READERS.get(kind)) is not None:
        return reader(body)
    if (special := KINDS.get(kind)) is not None:
        tipo, text, facts = special(body)
        return Content(tipo, text, dados=facts)
    name = kind.removesuffix("Message")
    return Content("SISTEMA", f"[{name}]", dados={"tipo_whatsapp": name})


def unwrap(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message inside its wrappers (disappearing, view-once, edited, …)."""
    for _ in range(_WRAPPER_DEPTH):
        inner = next(
            (message[name]["message"] for name in _WRAPPERS if _has_message(message, name)), None
        )
        if inner is None:
            break
        message = inner
    return message


def _has_message(message: Mapping[str, Any], name: str) -> bool:
    wrapper = message.get(name)
    return isinstance(wrapper, Mapping) and isinstance(wrapper.get("message"), Mapping)


def _extended_text(body: Mapping[str, Any]) -> Content:
    return Content("TEXTO", body.get("text") or "")


def _media(tipo: str, kind: str) -> Callable[[Mapping[str, Any]], Content]:
    def read(body: Mapping[str, Any]) -> Content:
        part = read_part(kind, body)
        return Content(
            tipo,
            body.get("caption") or "",
            midia_tipo=part.mimetype,
            midia_nome=part.file_name,
            midia_tamanho=part.size,
            media=part,
        )

    return read


_READERS: dict[str, Callable[[Any], Content]] = {
    "conversation": lambda body: Content("TEXTO", body),
    "extendedTextMessage": _extended_text,
    "imageMessage": _media("IMAGEM", "image"),
    "videoMessage": _media("VIDEO", "video"),
    "ptvMessage": _media("VIDEO", "video"),
    "audioMessage": _media("AUDIO", "audio"),
    "documentMessage": _media("DOCUMENTO", "document"),
    "stickerMessage": _media("STICKER", "sticker"),
}
