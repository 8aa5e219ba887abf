"""What is told of an entry that is now in Supabase."""

from __future__ import annotations

from ..events import Event, EventName
from ..journal import Entry, Stored


def event_of(entry: Entry, outcome: Stored) -> Event | None:
    """What is told of an entry that is now in Supabase, if anything."""
    if entry.event_data is None:
        return None
    if entry.kind == "message" and entry.payload.get("remetente") == "CLIENTE":
        return _received(entry, outcome)
    if entry.kind == "change" and outcome.result != "ignored":
        return Event(
            EventName.MESSAGE_CHANGED,
            {
                **entry.event_data,
                "author": entry.payload.get("autor"),
                "timestamp": entry.payload.get("timestamp"),
                "atendimentoId": outcome.atendimento_id,
            },
            connection_id=entry.payload.get("connection_id"),
            owner_id=entry.payload.get("owner_id"),
        )
    return None


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
