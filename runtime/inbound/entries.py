"""A ``message`` event of the bridge, made into an entry of the journal. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..identity import bare_jid, message_key, row_id
from ..journal import Connection, NewEntry
from ..media.incoming import incoming_media, media_columns
from .content import read_content

_IGNORED_SERVERS = frozenset({"g.us", "broadcast", "newsletter"})


def message_entry(connection: Connection, data: Mapping[str, Any]) -> NewEntry | None:
    """The row that this message becomes, or None when it is not one for the tables.

    Not for the tables are groups, status broadcasts and newsletters, WhatsApp's own housekeeping,
    and the stub of a message whose content is still to come. Raises KeyError, TypeError or
    ValueError when the event is not what the protocol says.
    """
    key = data["key"]
    chat: str = key["remoteJid"]
    if chat.partition("@")[2] in _IGNORED_SERVERS or data["message"] is None:
        return None
    content = read_content(data["message"])
    if content is None:
        return None
    own = bool(key["fromMe"])
    canonical_chat = data.get("lid") or chat
    identity = message_key(
        connection.owner_id,
        connection.id,
        chat=canonical_chat,
        sender=None if own else canonical_chat,
        message_id=key["id"],
    )
    number = data.get("phone") or bare_jid(chat)
    row = str(row_id(identity))
    sent_at = datetime.fromtimestamp(int(data["timestamp"]), UTC)
    payload = {
        "kind": "message",
        "id": row,
        "owner_id": connection.owner_id,
        "connection_id": connection.id,
        "company_id": connection.company_id,
        "numero_cliente": number,
        "nome_cliente": None if own else data.get("pushName"),
        "conteudo": content.conteudo,
        "tipo": content.tipo,
        "remetente": "ATENDENTE" if own else "CLIENTE",
        "timestamp": sent_at.isoformat(),
        "lida": own,
        "whatsapp_id": key["id"],
        "status": "sent" if own else None,
        "midia_tipo": content.midia_tipo,
        "midia_nome": content.midia_nome,
        "midia_tamanho": content.midia_tamanho,
    }
    if content.media is not None:
        payload |= media_columns(row, content.media)
    return NewEntry(
        kind="message",
        key=identity,
        payload=payload,
        order_key=f"{connection.owner_id}/{connection.id}/{number}",
        event_data={
            "messageId": key["id"],
            "from": number,
            "name": data.get("pushName"),
            "type": content.tipo,
            "offline": bool(data.get("offline")),
        },
        raw=dict(data),
        media=incoming_media(connection, row, key, sent_at, content.media),
    )
