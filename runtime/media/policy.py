"""What may be sent as what, how large, and how a browser may be given it. Pure."""

from __future__ import annotations

from ..errors import TooLarge, UnsupportedMedia
from .names import safe_mime
from .sniff import BINARY, OGG_OPUS

KINDS = ("image", "video", "audio", "document", "sticker")
TIPOS = {
    "image": "IMAGEM",
    "video": "VIDEO",
    "audio": "AUDIO",
    "document": "DOCUMENTO",
    "sticker": "STICKER",
}
"""Kind → ``whatsapp_mensagens.tipo``."""

MIB = 1024 * 1024
MAX_SEND_BYTES = {
    "image": 16 * MIB,
    "video": 16 * MIB,
    "audio": 16 * MIB,
    "sticker": MIB,
    "document": 100 * MIB,
}
MAX_ANY_BYTES = max(MAX_SEND_BYTES.values())
MAX_RECEIVED_BYTES = 256 * MIB
"""Larger files of others are not fetched."""

_SENDABLE: dict[str, frozenset[str]] = {
    "image": frozenset({"image/jpeg", "image/png", "image/webp"}),
    "video": frozenset({"video/mp4", "video/3gpp", "video/quicktime"}),
    "audio": frozenset(
        {OGG_OPUS, "audio/ogg", "audio/mpeg", "audio/mp4", "audio/aac", "audio/amr", "video/mp4"}
    ),
    "sticker": frozenset({"image/webp"}),
}
"""Detected types that WhatsApp's clients show as such; a document may be anything."""

_INLINE = frozenset(
    {
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "video/mp4",
        "video/3gpp",
        "video/webm",
        "video/quicktime",
        "audio/mpeg",
        "audio/mp4",
        "audio/aac",
        "audio/amr",
        "audio/ogg",
        OGG_OPUS,
        "audio/wav",
    }
)
"""What a browser may show: formats without scripts. All else is a download."""

# Claims of a type that `sniff` always recognises: what it does not recognise is none of these.
_RECOGNISABLE = ("image/", "video/", "audio/")
_GENERIC = frozenset({"application/zip", "application/x-ole-storage", "text/plain"})
"""Containers and text: a more exact claim is believed, for it cannot do harm as a download."""


def check_size(kind: str, size: int) -> None:
    """Raises TooLarge."""
    limit = MAX_SEND_BYTES[kind]
    if size > limit:
        raise TooLarge(
            f"O arquivo passa de {limit // MIB} MB, o máximo para este tipo de mensagem.",
            code="media_too_large",
            details={"maxBytes": limit, "type": kind},
        )


def true_mime(claimed: object, detected: str | None) -> str:
    """The type to go by: what was detected, unless a claim says the same more exactly."""
    claim = safe_mime(claimed)
    if detected is None:
        harmless = claim is not None and not claim.startswith(_RECOGNISABLE)
        return claim if claim is not None and harmless and not _is_active(claim) else BINARY
    if detected in _GENERIC and claim is not None and not _is_active(claim):
        return detected if claim.startswith(_RECOGNISABLE) or claim == BINARY else claim
    return detected


def sendable_mime(kind: str, claimed: object, detected: str | None, *, voice: bool) -> str:
    """The MIME type to send a file with. Raises UnsupportedMedia for a file of another type."""
    mime = true_mime(claimed, detected)
    allowed = _SENDABLE.get(kind)
    if allowed is not None and mime not in allowed:
        raise UnsupportedMedia(
            "O conteúdo do arquivo não é do tipo informado; envie-o como document.",
            code="media_type_mismatch",
            details={"type": kind, "detected": mime, "accepted": sorted(allowed)},
        )
    if voice and mime != OGG_OPUS:
        raise UnsupportedMedia(
            "Uma mensagem de voz (ptt) precisa ser um arquivo OGG com codec Opus.",
            code="voice_needs_opus",
            details={"type": kind, "detected": mime, "accepted": [OGG_OPUS]},
        )
    return "audio/mp4" if kind == "audio" and mime == "video/mp4" else mime


def served_as(mime: str | None) -> tuple[str, bool]:
    """Content type for a browser, and whether it may show it in place."""
    inline = mime in _INLINE
    return (mime if inline and mime is not None else BINARY), inline


def _is_active(mime: str) -> bool:
    """Whether a browser may run what is inside."""
    return any(word in mime for word in ("html", "xml", "svg", "script", "flash", "java"))
