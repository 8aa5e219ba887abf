"""What an attendant does with messages: answers of any kind, reactions, edits, deletions, reading.

Each is a durable command, like a text; what it changes in the tables is written with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from ..contacts.service import Asking, Contacts
from ..errors import Conflict, NotFound
from ..identity import message_key, new_message_id, row_id
from ..journal import Connection, Journal, NewEntry, Submitted
from ..storage import Supabase
from . import limits
from .beside import Quoted
from .outbox import compose
from .plain_message import PlainRequest, change_content, compose_plain

MAX_READ = 500
"""Messages of one read receipt; older ones count as read with it."""
_NO_TEXTS = frozenset({"localizacao", "contatos", "enquete"})
"""Keys of ``dados`` that make a row of TEXTO something else to WhatsApp."""
_TEXTS = {
    "reacao": "Reagiu com {} a uma mensagem anterior.",
    "edicao": "{}",
    "exclusao": "Apagou uma mensagem anterior.",
}

_SHOWN = {
    "IMAGEM": "📷 Foto",
    "VIDEO": "🎥 Vídeo",
    "AUDIO": "🎤 Áudio",
    "DOCUMENTO": "📄 Documento",
    "STICKER": "Figurinha",
}
"""What a quoted file without a caption is called."""

Operation = Literal["reacao", "edicao", "exclusao"]


class Conversation:
    """The commands about messages that are in Supabase already."""

    def __init__(self, journal: Journal, supabase: Supabase, contacts: Contacts) -> None:
        self._journal = journal
        self._supabase = supabase
        self._contacts = contacts

    async def send(self, connection: Connection, live: Asking, request: PlainRequest) -> Submitted:
        """Accept a message of any kind but files.

        Raises Invalid, NotFound (the quoted message), Unsendable (``not_on_whatsapp``), Conflict.
        """
        quoted = await self.quoted(connection, request.quoted_id)
        recipient = await self._contacts.recipient(connection, live, request.to)
        command, entry = compose_plain(
            connection, request, address=recipient.jid, quoted=quoted, now=datetime.now(UTC)
        )
        return await self._journal.submit(command, entry)

    async def quoted(self, connection: Connection, row_id: str | None) -> Quoted | None:
        """The message that is answered, by the id of its row. Raises NotFound, Conflict."""
        if row_id is None:
            return None
        return _quoted(await self.message(UUID(row_id), UUID(connection.owner_id)))

    async def message(self, message_id: UUID, owner_id: UUID | None) -> dict[str, Any]:
        """A row of ``whatsapp_mensagens`` with its ``numero_cliente``. Raises NotFound."""
        query = (
            self._supabase.table("whatsapp_mensagens")
            .select("*, whatsapp_atendimentos(numero_cliente, company_id)")
            .eq("id", str(message_id))
        )
        if owner_id is not None:
            query = query.eq("owner_id", str(owner_id))
        rows = await self._supabase.fetch(query.limit(1))
        if not rows:
            raise NotFound("Mensagem não encontrada.", code="message_not_found")
        row = rows[0]
        return {**row, "numero_cliente": row.pop("whatsapp_atendimentos")["numero_cliente"]}

    async def change(
        self,
        connection: Connection,
        row: Mapping[str, Any],
        operation: Operation,
        value: str | None,
    ) -> Submitted:
        """React to, edit or delete a message. Raises Conflict where WhatsApp allows it not."""
        own = row["remetente"] != "CLIENTE"
        if operation != "reacao" and not own:
            raise Conflict("Só é possível alterar mensagens enviadas.", code="not_own_message")
        if operation == "edicao" and not _is_editable(row):
            raise Conflict("Só é possível editar textos.", code="not_editable")
        if not _is_message(row):
            raise Conflict("Esta mensagem não passou pelo WhatsApp.", code="not_a_whatsapp_message")
        now = datetime.now(UTC)
        key = {"id": row["whatsapp_id"], "fromMe": own, "participant": _participant(row)}
        content = change_content(operation, key, value)
        text = _TEXTS[operation].format(value or "") if value else "Alterou uma mensagem anterior."
        command, entry = compose(
            connection,
            to=_address(row),
            text=text,
            message_id=new_message_id(),
            idempotency_key=None,
            now=now,
            facts={
                "kind": "change",
                "tipo": "SISTEMA",
                "alvo": row["id"],
                "operacao": operation,
                "autor": "eu",
                "valor": value,
            },
        )
        return await self._journal.submit(
            replace(command, content=content), replace(entry, kind="change")
        )

    async def read(self, connection: Connection, row: Mapping[str, Any]) -> int:
        """Mark a message and those before it as read, here and at WhatsApp; tells of how many."""
        query = (
            self._supabase.table("whatsapp_mensagens")
            .select("whatsapp_id")
            .eq("atendimento_id", row["atendimento_id"])
            .eq("remetente", "CLIENTE")
            .eq("lida", "false")
            .lte("timestamp", row["timestamp"])
            .order("timestamp", desc=True)
            .limit(MAX_READ)
        )
        unread = await self._supabase.fetch(query)
        ids = [one["whatsapp_id"] for one in unread if _can_be_named(one["whatsapp_id"])]
        entry = NewEntry(
            kind="read",
            key=None,
            payload={"kind": "read", "owner_id": row["owner_id"], "id": row["id"]},
        )
        if not ids:
            await self._journal.accept([entry])
            return 0
        identity = message_key(
            connection.owner_id,
            connection.id,
            chat="read",
            sender=None,
            message_id=_digest(ids),
        )
        command, _ = compose(
            connection,
            to=_address(row),
            text="lida",
            message_id=f"READ-{_digest(ids)}",
            idempotency_key=f"read/{_digest(ids)}",
            now=datetime.now(UTC),
        )
        command = replace(
            command, row_id=str(row_id(identity)), content={"read": {"ids": ids}}, request_hash=""
        )
        submitted = await self._journal.submit(command, entry)
        if submitted.existing:
            await self._journal.accept([entry])
        return len(ids)


def _digest(ids: list[str]) -> str:
    return hashlib.sha256("/".join(ids).encode()).hexdigest()[:32]


def _address(row: Mapping[str, Any]) -> str:
    number: str = row["numero_cliente"]
    return number if "@" in number else f"{number}@s.whatsapp.net"


def _participant(row: Mapping[str, Any]) -> str | None:
    """The JID of a group's member who wrote the message."""
    member = ((row.get("dados") or {}).get("participante") or {}).get("numero")
    if member is None:
        return None
    return member if "@" in member else f"{member}@s.whatsapp.net"


def _is_editable(row: Mapping[str, Any]) -> bool:
    return row["tipo"] == "TEXTO" and not _NO_TEXTS & (row.get("dados") or {}).keys()


def _is_message(row: Mapping[str, Any]) -> bool:
    """Whether WhatsApp has it as a message: a call is a row, too."""
    return _can_be_named(row["whatsapp_id"]) and "chamada" not in (row.get("dados") or {})


def _can_be_named(message_id: str | None) -> bool:
    return bool(message_id) and limits.units(message_id or "") <= limits.MESSAGE_ID


def _quoted(row: Mapping[str, Any]) -> Quoted:
    if not _is_message(row):
        raise Conflict("Esta mensagem não passou pelo WhatsApp.", code="not_a_whatsapp_message")
    return Quoted(
        row_id=row["id"],
        message_id=row["whatsapp_id"],
        from_me=row["remetente"] != "CLIENTE",
        text=(row["conteudo"] or row["midia_nome"] or _SHOWN.get(row["tipo"], "Mensagem"))[
            : limits.QUOTED // 2
        ],
        participant=_participant(row),
    )
