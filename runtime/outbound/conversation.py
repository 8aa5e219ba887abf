"""What an attendant does with messages: answers of any kind, reactions, edits, deletions, reading.

Each is a durable command, like a text; what it changes in the tables is written with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from .. import limits
from ..contacts.service import Asking, Contacts
from ..errors import Conflict, NotFound
from ..identity import message_key, new_message_id, row_id
from ..journal import Connection, Journal, NewEntry, Submitted
from ..storage import Supabase
from ..storage.rows import MessageRow, read_message, whatsapp_id
from .beside import Quoted
from .outbox import compose
from .plain_message import Card, PlainRequest, change_content, compose_plain

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
            connection,
            await self._named(connection, request),
            asked=recipient.asked,
            address=recipient.jid,
            quoted=quoted,
            now=datetime.now(UTC),
        )
        return await self._journal.submit(command, entry)

    async def _named(self, connection: Connection, request: PlainRequest) -> PlainRequest:
        """The request, with the people whom its contacts and mentions mean."""
        cards = request.contacts and [
            Card(one.name, [await self._contacts.number(connection, each) for each in one.phones])
            for one in request.contacts
        ]
        mentions = await self._contacts.jids(connection, request.mentions)
        return replace(request, contacts=cards, mentions=mentions)

    async def quoted(self, connection: Connection, row_id: str | None) -> Quoted | None:
        """The message that is answered, by the id of its row.

        Raises NotFound, also for one of another connection; Conflict.
        """
        if row_id is None:
            return None
        row = await self.message(UUID(row_id), UUID(connection.owner_id))
        if row.connection_id != connection.id:
            raise NotFound("Mensagem não encontrada.", code="message_not_found")
        return _quoted(row)

    async def message(self, message_id: UUID, owner_id: UUID | None) -> MessageRow:
        """A row of ``whatsapp_mensagens``. Raises NotFound, UnreadableRow."""
        query = (
            self._supabase.table("whatsapp_mensagens")
            .select("*, whatsapp_atendimentos(owner_id, connection_id, numero_cliente)")
            .eq("id", str(message_id))
        )
        if owner_id is not None:
            query = query.eq("owner_id", str(owner_id))
        rows = await self._supabase.fetch(query.limit(1))
        if not rows:
            raise NotFound("Mensagem não encontrada.", code="message_not_found")
        return read_message(rows[0])

    async def change(
        self,
        connection: Connection,
        row: MessageRow,
        operation: Operation,
        value: str | None,
    ) -> Submitted:
        """React to, edit or delete a message.

        Raises NotFound when the row is none of the connection's, UnreadableRow, and Conflict where
        WhatsApp allows it not.
        """
        _check_belongs(connection, row)
        row.check("dados", "numero_cliente", "remetente", "whatsapp_id")
        if operation != "reacao" and not row.own:
            raise Conflict("Só é possível alterar mensagens enviadas.", code="not_own_message")
        if operation == "edicao" and not _is_editable(row):
            raise Conflict("Só é possível editar textos.", code="not_editable")
        if not _is_message(row):
            raise Conflict("Esta mensagem não passou pelo WhatsApp.", code="not_a_whatsapp_message")
        now = datetime.now(UTC)
        key = {"id": row.whatsapp_id, "fromMe": row.own, "participant": row.participant}
        content = change_content(operation, key, value)
        text = _TEXTS[operation].format(value or "") if value else "Alterou uma mensagem anterior."
        command, entry = compose(
            connection,
            to=row.address,
            text=text,
            message_id=new_message_id(),
            idempotency_key=None,
            now=now,
            facts={
                "kind": "change",
                "tipo": "SISTEMA",
                "alvo": row.id,
                "operacao": operation,
                "autor": "eu",
                "valor": value,
            },
        )
        return await self._journal.submit(
            replace(command, content=content), replace(entry, kind="change")
        )

    async def read(self, connection: Connection, row: MessageRow) -> int:
        """Mark a message and those before it as read, here and at WhatsApp; tells of how many.

        Raises as `change`.
        """
        _check_belongs(connection, row)
        row.check("numero_cliente", "timestamp")
        query = (
            self._supabase.table("whatsapp_mensagens")
            .select("whatsapp_id")
            .eq("atendimento_id", row.atendimento_id)
            .eq("owner_id", row.owner_id)
            .eq("connection_id", connection.id)
            .eq("remetente", "CLIENTE")
            .eq("lida", "false")
            .lte("timestamp", row.moment)
            .order("timestamp", desc=True)
            .limit(MAX_READ)
        )
        unread = await self._supabase.fetch(query)
        # One that cannot be a message's would have WhatsApp refuse them all.
        ids = [name for one in unread if (name := whatsapp_id(one.get("whatsapp_id")))]
        entry = NewEntry(
            kind="read",
            key=None,
            payload={"kind": "read", "owner_id": row.owner_id, "id": row.id},
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
            to=row.address,
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


def _check_belongs(connection: Connection, row: MessageRow) -> None:
    """Whoever may write rows names any connection and any atendimento in them.

    Raises NotFound, as of a connection that does not exist, and UnreadableRow.
    """
    if (row.owner_id, row.connection_id) != (connection.owner_id, connection.id):
        raise NotFound("Conexão não encontrada.", code="connection_not_found")
    row.check("atendimento_id")


def _is_editable(row: MessageRow) -> bool:
    return row.kind == "TEXTO" and not _NO_TEXTS & row.facts.keys()


def _is_message(row: MessageRow) -> bool:
    """Whether WhatsApp has it as a message: a call is a row, too."""
    return row.whatsapp_id is not None and "chamada" not in row.facts


def _quoted(row: MessageRow) -> Quoted:
    row.check("atendimento_id", "dados", "remetente", "whatsapp_id")
    if row.whatsapp_id is None or not _is_message(row):
        raise Conflict("Esta mensagem não passou pelo WhatsApp.", code="not_a_whatsapp_message")
    return Quoted(
        row_id=row.id,
        message_id=row.whatsapp_id,
        from_me=row.own,
        text=(row.text or row.file_name or _SHOWN.get(row.kind, "Mensagem"))[: limits.QUOTED // 2],
        participant=row.participant,
    )
