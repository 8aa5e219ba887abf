"""A message of ours that carries a file: its command, its row and its file's record. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..identity import message_key, new_message_id, row_id
from ..journal import CommandState, Connection, NewCommand, NewEntry, NewMedia
from ..media.incoming import media_url
from ..media.policy import TIPOS
from ..phones import person
from .beside import Quoted, beside
from .outbox import MESSAGE_LIFETIME


def media_request_hash(to: str, request: dict[str, Any]) -> str:
    """Of what the client asked for, to tell a repetition from another message; ``to`` is a JID."""
    canonical = json.dumps([to, request], sort_keys=True)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def compose_media(
    connection: Connection,
    *,
    address: str,
    kind: str,
    caption: str,
    file_name: str | None,
    mimetype: str,
    size: int,
    sha256: str,
    voice: bool,
    view_once: bool,
    seconds: int | None,
    quoted: Quoted | None,
    mentions: Sequence[str],
    idempotency_key: str | None,
    request_hash: str,
    now: datetime,
) -> tuple[NewCommand, NewEntry]:
    """The command waits, with all that follows in its chat, until the file is at WhatsApp.

    ``address`` is the JID of the recipient.
    """
    message_id = new_message_id()
    key = message_key(
        connection.owner_id, connection.id, chat=address, sender=None, message_id=message_id
    )
    row = str(row_id(key))
    number = address.removesuffix("@s.whatsapp.net")
    shown, beside_it = beside(quoted, mentions)
    if caption:
        shown["caption"] = caption
    if file_name is not None:
        shown["fileName"] = file_name
    if view_once:
        shown["viewOnce"] = True
        beside_it["visualizacao_unica"] = True
    command = NewCommand(
        connection_id=connection.id,
        message_id=message_id,
        row_id=row,
        to_jid=address,
        content={"media": shown},
        idempotency_key=idempotency_key,
        request_hash=request_hash,
        created_at=now,
        expires_at=now + MESSAGE_LIFETIME,
    )
    facts: dict[str, Any] = {"estado": "pending", "sha256": sha256}
    if voice:
        facts["voz"] = True
    if seconds is not None:
        facts["segundos"] = seconds
    entry = NewEntry(
        kind="message",
        key=key,
        payload={
            "kind": "message",
            "id": row,
            "owner_id": connection.owner_id,
            "connection_id": connection.id,
            "company_id": connection.company_id,
            "numero_cliente": number,
            "conteudo": caption,
            "tipo": TIPOS[kind],
            "remetente": "ATENDENTE",
            "timestamp": now.isoformat(),
            "lida": True,
            "whatsapp_id": message_id,
            "status": CommandState.QUEUED.value,
            "midia_url": media_url(row),
            "midia_tipo": mimetype,
            "midia_nome": file_name,
            "midia_tamanho": size,
            "dados": {"midia": facts, **beside_it},
        },
        order_key=f"{connection.owner_id}/{connection.id}/{person(number)}",
        media=NewMedia(
            row_id=row,
            owner_id=connection.owner_id,
            connection_id=connection.id,
            message_id=message_id,
            incoming=False,
            kind=kind,
            mimetype=mimetype,
            file_name=file_name,
            size=size,
            sha256=sha256,
            source={"voice": voice, "seconds": seconds},
            expires_at=command.expires_at,
        ),
    )
    return command, entry
