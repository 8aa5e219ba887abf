"""What may be sent as what, how large, and how a browser may be given it. Pure."""

from __future__ import annotations

import re

from ..errors import TooLarge, UnsupportedMedia
from .names import safe_mime
from .sniff import BINARY, OFFICE_PACKAGE, OGG_OPUS, OLE, RECOGNISED, SCRIPT, TEXT, XML, ZIP

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
    "image": frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"}),
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

_ACTIVE = frozenset(
    {
        *("text/html", "application/xhtml+xml", "image/svg+xml", "application/hta"),
        *("text/xsl", "application/xslt+xml", "application/x-shockwave-flash"),
    }
)
_SCRIPTS = re.compile(r"(?:text|application)/(?:x-)?(?:java|ecma|j|vb|live)script[\d.]*")
"""What a browser may run: never believed of a file that does not look so."""

_WORD = re.compile(
    r"application/(?:vnd\.openxmlformats-officedocument\.wordprocessingml|vnd\.ms-word)\."
)
_SHEET = re.compile(
    r"application/(?:vnd\.openxmlformats-officedocument\.spreadsheetml|vnd\.ms-excel)\."
)
_SLIDES = re.compile(
    r"application/(?:vnd\.openxmlformats-officedocument\.presentationml|vnd\.ms-powerpoint)\."
)
_PACKAGE = re.compile(r"application/vnd\.(?:openxmlformats-|ms-)|model/3mf|application/oxps")
_OFFICE_TYPES = (_WORD, _SHEET, _SLIDES)
_BINARY = ("image/", "video/", "audio/")
_OLD_OFFICE = re.compile(r"application/(?:msword|vnd\.(?:ms-|openxmlformats-|visio)|x-ms|x-msi)")


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
    if claim is not None and claim != BINARY and not _is_active(claim) and _agrees(claim, detected):
        return claim
    return {None: BINARY, OFFICE_PACKAGE: ZIP}.get(detected) or detected or BINARY


def _agrees(claim: str, detected: str | None) -> bool:
    """Whether a file that looks like ``detected`` may well be what it is claimed to be."""
    if claim == detected:
        return True
    if detected is None:
        return claim not in RECOGNISED
    if detected == OLE:
        return _is_old(claim) or claim not in RECOGNISED
    if detected == OFFICE_PACKAGE:
        return _PACKAGE.match(claim) is not None
    if detected == XML:
        return claim == "text/xml" or claim.endswith("+xml")
    if detected in (TEXT, SCRIPT):
        return claim not in RECOGNISED and not claim.startswith(_BINARY) and not _is_old(claim)
    if detected == ZIP:
        return claim not in RECOGNISED and not claim.startswith((*_BINARY, "text/"))
    # A template, or a document with macros, is built as the plain document is.
    return any(one.match(claim) and one.match(detected) for one in _OFFICE_TYPES)


def _is_old(claim: str) -> bool:
    return _OLD_OFFICE.match(claim) is not None


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
    return mime in _ACTIVE or _SCRIPTS.fullmatch(mime) is not None
