"""The file of a message from WhatsApp: what its row says at once, and the task to fetch it. Pure.

Everything in such a message is its sender's word: names, types, sizes and addresses may be nonsense
or worse, and none of it may keep the message from its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..journal import Connection, NewMedia
from .names import safe_mime, safe_name

FETCH_LIFETIME = timedelta(days=30)
"""How long after its message a file is tried to be had; WhatsApp keeps media for about as long."""

MAX_COLUMN = 2**31 - 1
_MAX_SECONDS = 86_400
_MAX_FIELD = 4096
_NAMED_BY = ("id", "remoteJid", "fromMe", "participant")
_FETCHED_BY = ("mediaKey", "directPath", "fileSha256")


@dataclass(frozen=True, slots=True)
class MediaPart:
    """A media message made harmless; ``source`` is what fetching the file takes."""

    kind: str
    mimetype: str | None
    file_name: str | None
    size: int | None
    voice: bool
    seconds: int | None
    source: Mapping[str, Any]


def read_part(kind: str, body: Mapping[str, Any]) -> MediaPart:
    """Read ``imageMessage`` and its like (protobuf JSON); never raises for what it says."""
    source: dict[str, Any] = {
        name: body[name]
        for name in _FETCHED_BY
        if isinstance(body.get(name), str) and len(body[name]) <= _MAX_FIELD
    }
    size = _integer(body.get("fileLength"), MAX_COLUMN)
    if size is not None:
        source["fileLength"] = size
    return MediaPart(
        kind=kind,
        mimetype=safe_mime(body.get("mimetype")),
        file_name=safe_name(body.get("fileName")) or safe_name(body.get("title")),
        size=size,
        voice=kind == "audio" and body.get("ptt") is True,
        seconds=_integer(body.get("seconds"), _MAX_SECONDS),
        source=source,
    )


def media_url(row_id: str) -> str:
    """Where the file of a row is, or will be: the same for ever, and only with authorization."""
    return f"/api/whatsapp-integration/media/{row_id}"


def media_columns(row_id: str, part: MediaPart) -> dict[str, Any]:
    """The keys of an ingest item that say where the file will be, and that it is not there yet."""
    facts: dict[str, Any] = {"estado": "pending"}
    if part.voice:
        facts["voz"] = True
    if part.seconds is not None:
        facts["segundos"] = part.seconds
    return {"midia_url": media_url(row_id), "dados": {"midia": facts}}


def incoming_media(
    connection: Connection,
    row_id: str,
    key: Mapping[str, Any],
    sent_at: datetime,
    part: MediaPart | None,
) -> NewMedia | None:
    """The task to fetch the file of the message ``key``, as the journal takes it."""
    if part is None:
        return None
    named = {name: key[name] for name in _NAMED_BY if name in key}
    return NewMedia(
        row_id=row_id,
        owner_id=connection.owner_id,
        connection_id=connection.id,
        message_id=key["id"],
        incoming=True,
        kind=part.kind,
        mimetype=part.mimetype,
        file_name=part.file_name,
        size=part.size,
        sha256=None,
        source={"media": dict(part.source), "key": named},
        expires_at=sent_at + FETCH_LIFETIME,
    )


def _integer(value: object, largest: int) -> int | None:
    """A number of a message; protobuf JSON writes 64-bit ones as texts."""
    try:
        number = int(value) if isinstance(value, int | str) and len(str(value)) < 20 else -1
    except ValueError:
        return None
    return number if 0 <= number <= largest else None
