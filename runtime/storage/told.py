"""What is told of an entry that is now in Supabase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..events import Event, EventName
from ..journal import Entry, Stored


def event_of(entry: Entry, outcome: Stored) -> Event | None:
    """What is told of an entry that is now in Supabase, if anything."""
    if entry.event_data is None:
        return None
    if entry.kind == "message" and entry.payload.get("remetente") == "CLIENTE":
        return _received(entry, outcome)
    if entry.kind == "change" and outcome.result == "updated":
        target = outcome.target or entry.event_data.get("targetId")
        data = {**entry.event_data, "targetId": target}
        return _changed(entry.payload, data, outcome.atendimento_id)
    return None


def changes_of(outcome: Stored) -> list[Event]:
    """What is told of changes that had waited for a message that is now in Supabase."""
    return [
        _changed(
            change,
            {
                "messageId": change.get("whatsapp_id"),
                "from": change.get("numero_cliente"),
                "name": change.get("nome_cliente"),
                "type": change.get("operacao"),
                "offline": False,
                "targetId": change.get("alvo"),
                "value": change.get("valor"),
            },
            outcome.atendimento_id,
        )
        for change in outcome.changes
    ]


def _changed(change: Mapping[str, Any], data: Mapping[str, Any], place: str | None) -> Event:
    return Event(
        EventName.MESSAGE_CHANGED,
        {
            **data,
            "author": change.get("autor"),
            "timestamp": change.get("timestamp"),
            "atendimentoId": place,
        },
        connection_id=change.get("connection_id"),
        owner_id=change.get("owner_id"),
    )


def _received(entry: Entry, outcome: Stored) -> Event:
    """What a CRM needs to show a message without asking for it."""
    row = entry.payload
    return Event(
        EventName.MESSAGE_RECEIVED,
        {
            **(entry.event_data or {}),
            "id": row.get("id"),
            "content": row.get("conteudo"),
            "timestamp": row.get("timestamp"),
            "mediaUrl": row.get("midia_url"),
            "mediaType": row.get("midia_tipo"),
            "atendimentoId": outcome.atendimento_id,
            "companyId": row.get("company_id"),
        },
        connection_id=row.get("connection_id"),
        owner_id=row.get("owner_id"),
        chat=row.get("numero_cliente"),
    )
