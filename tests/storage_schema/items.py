"""Batch items with sensible values; each test names what matters to it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

CUSTOMER = "5511987654321"
NOON = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)


def message(owner: uuid.UUID, seq: int = 1, **changes: Any) -> dict[str, Any]:
    item = {
        "kind": "message",
        "seq": seq,
        "id": str(uuid.uuid4()),
        "owner_id": str(owner),
        "connection_id": "loja",
        "numero_cliente": CUSTOMER,
        "nome_cliente": None,
        "conteudo": "Oi",
        "tipo": "TEXTO",
        "remetente": "CLIENTE",
        "timestamp": NOON.isoformat(),
        "lida": False,
        "whatsapp_id": f"3EB0{seq:016X}",
    }
    return {**item, **changes}


def status(message_id: str, value: str, seq: int = 1, **changes: Any) -> dict[str, Any]:
    item = {"kind": "status", "seq": seq, "id": message_id, "status": value, "at": NOON.isoformat()}
    return {**item, **changes}


def session(owner: uuid.UUID, value: str, seq: int = 1, **changes: Any) -> dict[str, Any]:
    item = {
        "kind": "session",
        "seq": seq,
        "connection_id": "loja",
        "owner_id": str(owner),
        "session_name": "Loja",
        "status": value,
        "at": NOON.isoformat(),
    }
    return {**item, **changes}


def contact(
    owner: uuid.UUID, alias: str | None, number: str = CUSTOMER, **changes: Any
) -> dict[str, Any]:
    item = {
        "kind": "contact",
        "seq": 90,
        "owner_id": str(owner),
        "connection_id": "loja",
        "numero_cliente": number,
        "apelido": alias,
    }
    return {**item, **changes}


def results(answer: list[dict[str, Any]]) -> list[str]:
    return [entry["result"] for entry in answer]
