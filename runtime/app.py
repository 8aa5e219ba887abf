"""The application as the HTTP API and the command line see it: one method per call.

What it returns is JSON-serialisable; what a client can cause is raised as ``ZapvisorError``. How it
is started and stopped is in ``lifecycle``, how the whole program is run in ``launch``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any
from uuid import UUID

import trio

from .errors import Conflict, Invalid, StorageUnavailable, Unavailable, Unsendable
from .event_log import EventFeed, EventFilter
from .journal import CommandState, Connection, DeadLetter, Submitted
from .lifecycle import Lifecycle
from .media.desk import Addressed, MediaFile, MediaRequest
from .media.spool import Received
from .media.stores import Opened
from .notifier import Sender, Webhooks
from .outbound.conversation import Operation
from .outbound.plain_message import PlainRequest
from .phones import phone_digits
from .refusals import refusal_of
from .storage import AtendimentoFilter, MessageRow
from .whatsapp.credential_files import Archive
from .whatsapp.live import Status
from .whatsapp.manager import describe, parked
from .whatsapp.sessions import session_item

SEND_WAIT = 3.0
"""Seconds that a send waits for WhatsApp's acknowledgement before it answers ``queued``."""
QR_WAIT = 5.0
"""Seconds that creating a connection waits for its first QR code."""


class Application(Lifecycle):
    """The running product. Made by ``launch.running``; callable from any task."""

    # --- connections

    async def create_connection(
        self,
        *,
        connection_id: str,
        name: str,
        owner_id: UUID,
        company_id: UUID | None,
        by_admin: bool,
    ) -> dict[str, Any]:
        """Create and start a connection; waits shortly for its first QR code.

        Anybody but an admin is bound by ``ZAPVISOR_MAX_CONNECTIONS_PER_OWNER``.
        """
        self._check_running()
        connection = await self.book.create(
            connection_id,
            name=name,
            owner_id=owner_id,
            company_id=company_id,
            check_owner=self._check_owner,
            most=None if by_admin else self.settings.max_connections_per_owner,
        )
        live = self.book.live(connection_id)
        with trio.move_on_after(QR_WAIT):
            await live.qr_shown.wait()
        return {
            "connectionId": connection.id,
            "name": connection.name,
            "status": live.status.value,
            "qrCode": live.qr,
        }

    async def _check_owner(self, connection: Connection) -> None:
        """Refuse an owner that Supabase does not know, when it can be asked."""
        if not self.probe.healthy:
            return
        item = {"seq": 0, **session_item(connection, self.book.live(connection.id))}
        try:
            await self.supabase.ingest_checked(item)
        except Invalid as refusal:
            raise Invalid(
                "O ownerId não é de um usuário deste projeto.",
                code="unknown_owner",
                details=refusal.details,
            ) from refusal
        except StorageUnavailable:
            return  # it will be checked when the row arrives

    async def connections(self, *, closely: bool = False) -> list[dict[str, Any]]:
        """``GET /connections``; ``closely``: with what only the operator may know."""
        return [
            describe(one, self.book.live(one.id), closely=closely) for one in await self.book.all()
        ]

    async def connection(self, connection_id: str, *, closely: bool = False) -> dict[str, Any]:
        """``GET /connections/:id``: with the QR code and what supervision knows."""
        connection = await self.book.get(connection_id)
        live = self.book.live(connection_id)
        return {
            **describe(connection, live, closely=closely),
            "qrCode": live.qr,
            **self.report.supervision(connection_id),
            "counters": live.counters(),
        }

    async def delete_connection(self, connection_id: str) -> None:
        """``DELETE /connections/:id``."""
        self._check_running()
        await self.book.delete(connection_id)

    async def qr(self, connection_id: str) -> dict[str, Any]:
        """``GET /connections/:id/qr``; ``qrCode`` is None when there is none now.

        ``code`` and ``reason`` say why none will come until a person acts.
        """
        connection = await self.book.get(connection_id)
        live = self.book.live(connection_id)
        return {
            "connectionId": connection_id,
            "qrCode": live.qr,
            "isConnected": live.status is Status.CONNECTED,
            "expiresAt": live.qr_expires_at.isoformat() if live.qr_expires_at else None,
            "code": connection.parked_code,
            "reason": connection.parked_reason,
        }

    async def pairing_code(self, connection_id: str, phone: str) -> dict[str, Any]:
        """``POST /connections/:id/pairing-code``: a code to be typed on the phone."""
        self._check_running()
        connection = await self.book.get(connection_id)
        number = phone_digits(phone)  # nobody's contact, but the account itself
        if connection.parked_code is not None:
            raise parked(connection.parked_code, connection.parked_reason)
        live = self.book.live(connection_id)
        if live.status is Status.CONNECTED:
            raise Conflict("Esta conexão já está conectada.", code="already_connected")
        answer = await live.ask_bridge("pairingCode", phone=number)
        return {"connectionId": connection_id, "pairingCode": answer["pairingCode"]}

    async def change_connection(
        self,
        connection_id: str,
        *,
        name: str | None,
        options: Mapping[str, Any] | None,
        by_admin: bool,
    ) -> dict[str, Any]:
        """``PATCH /connections/:id``: takes effect at once, without losing the session."""
        self._check_running()
        await self.book.change(connection_id, name=name, options=options, by_admin=by_admin)
        return await self.connection(connection_id)

    async def restart_connection(self, connection_id: str) -> None:
        """Start a connection anew; unparks it."""
        self._check_running()
        await self.book.restart(connection_id)

    async def logout_connection(self, connection_id: str) -> None:
        """Log a connection out from WhatsApp; it then waits for a restart."""
        self._check_running()
        await self.book.logout(connection_id)

    async def archives(self, connection_id: str) -> list[dict[str, Any]]:
        """``GET /connections/:id/archives``: credentials that were put aside, newest first."""
        return [_described(one) for one in await self.book.archives(connection_id)]

    async def restore_connection(
        self, connection_id: str, archive_id: str | None
    ) -> dict[str, Any]:
        """``POST /connections/:id/restore``: the archive that is in use again."""
        self._check_running()
        return _described(await self.book.restore(connection_id, archive_id))

    # --- messages

    async def send_message(
        self,
        *,
        connection_id: str,
        to: str,
        content: str,
        kind: str = "text",
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Accept a message; when this returns it is on disk, and often sent already."""
        if kind != "text":
            raise Unsendable("Este tipo de mensagem não é suportado.", code="unsupported_type")
        connection = await self.book.get(connection_id)
        recipient = await self.contacts.recipient(connection, self.book.live(connection_id), to)
        submitted = await self.outbox.submit(
            connection, to=recipient.jid, text=content, idempotency_key=idempotency_key
        )
        return await self._sent(connection_id, submitted)

    async def send_plain(self, *, connection_id: str, request: PlainRequest) -> dict[str, Any]:
        """Accept a location, contacts, a poll, or a text that answers another message."""
        connection = await self.book.get(connection_id)
        live = self.book.live(connection_id)
        submitted = await self.conversation.send(connection, live, request)
        return await self._sent(connection_id, submitted)

    async def message(self, message_id: UUID, owner_id: UUID | None) -> MessageRow:
        """The row of a message. Raises NotFound, UnreadableRow."""
        return await self.conversation.message(message_id, owner_id)

    async def change_message(
        self, row: MessageRow, operation: Operation, value: str | None
    ) -> dict[str, Any]:
        """React to, edit or delete a message."""
        connection = await self.book.get(row.connection_id or "")
        submitted = await self.conversation.change(connection, row, operation, value)
        return await self._sent(connection.id, submitted)

    async def read_message(self, row: MessageRow) -> dict[str, Any]:
        """Mark a message and those before it in its atendimento as read."""
        connection = await self.book.get(row.connection_id or "")
        told = await self.conversation.read(connection, row)
        self.book.live(connection.id).outbox.ring()
        return {"messageId": row.id, "read": told}

    async def check_contacts(
        self, connection_id: str, phones: Sequence[str]
    ) -> list[dict[str, Any]]:
        """``GET /contacts/check``: whether these numbers are on WhatsApp."""
        connection = await self.book.get(connection_id)
        return await self.contacts.check(connection, self.book.live(connection_id), phones)

    async def show_presence(self, connection_id: str, to: str | None, state: str) -> None:
        """Show a chat (or everybody) what the attendant does: nothing is kept of it."""
        connection = await self.book.get(connection_id)
        live = self.book.live(connection_id)
        address = None
        if to is not None:
            address = (await self.contacts.recipient(connection, live, to)).jid
        await live.ask("presence", to=address, state=state)

    async def send_media(
        self, *, connection_id: str, request: MediaRequest, url: str
    ) -> dict[str, Any]:
        """Accept a message with the file at ``url`` (http, https or data)."""
        connection = await self.book.get(connection_id)
        to = await self._addressed(connection, request)
        submitted = await self.media.submit_url(connection, request, to, url)
        return await self._sent(connection_id, submitted)

    def receive_file(self) -> AbstractAsyncContextManager[Received]:
        """A file that a client uploads, for `send_file`."""
        self._check_running()
        return self.media.receive()

    async def send_file(
        self,
        *,
        connection_id: str,
        request: MediaRequest,
        file: Received,
        mimetype: str | None,
    ) -> dict[str, Any]:
        """Accept a message with an uploaded file."""
        connection = await self.book.get(connection_id)
        to = await self._addressed(connection, request)
        submitted = await self.media.submit_file(connection, request, to, file, mimetype)
        return await self._sent(connection_id, submitted)

    async def _addressed(self, connection: Connection, request: MediaRequest) -> Addressed:
        """Raises NotFound for the quoted message, Unsendable for the recipient."""
        quoted = await self.conversation.quoted(connection, request.quoted_id)
        live = self.book.live(connection.id)
        recipient = await self.contacts.recipient(connection, live, request.to)
        mentions = await self.contacts.jids(connection, request.mentions)
        return Addressed(recipient.asked, recipient.jid, quoted, mentions)

    async def find_media(self, message_id: UUID, owner_id: UUID | None) -> MediaFile:
        """The file of a message, to be read with `open_media`."""
        return await self.media.find(message_id, owner_id)

    def open_media(
        self, file: MediaFile, first: int = 0, last: int | None = None
    ) -> AbstractAsyncContextManager[Opened]:
        """Read a file, from byte ``first`` to ``last`` (included)."""
        return self.media.open(file, first, last)

    async def retry_media(self, message_id: UUID) -> dict[str, Any]:
        """``POST /messages/:id/media/retry``: fetch a file again that failed."""
        return await self.media.retry(message_id)

    async def _sent(self, connection_id: str, submitted: Submitted) -> dict[str, Any]:
        """What became of a message, after a moment for WhatsApp's acknowledgement.

        Raises what fits a message that was refused.
        """
        live = self.book.live(connection_id)
        live.outbox.ring()
        command = submitted.command
        if live.status is Status.CONNECTED:
            command = await self.outbox.wait_sent(command, SEND_WAIT)
        sent = {
            "messageId": command.message_id,
            "id": command.row_id,
            "status": command.state.value,
        }
        if command.state is CommandState.FAILED:
            raise refusal_of(command.error, command.to_jid).failure(sent)
        return {**sent, "sentAt": command.sent_at.isoformat() if command.sent_at else None}

    async def messages(
        self,
        atendimento_id: UUID,
        owner_id: UUID | None,
        limit: int,
        offset: int,
        after: UUID | None = None,
    ) -> list[dict[str, Any]]:
        """``GET /messages/:atendimentoId``: rows, oldest first."""
        return await self.supabase.messages(atendimento_id, owner_id, limit, offset, after)

    async def active_atendimentos(
        self, owner_id: UUID, company_id: UUID | None
    ) -> list[dict[str, Any]]:
        """``GET /atendimentos/active``: rows, newest message first."""
        return await self.supabase.active_atendimentos(owner_id, company_id)

    async def list_atendimentos(self, wanted: AtendimentoFilter) -> dict[str, Any]:
        """``GET /atendimentos``: ``items``, newest message first, and ``nextCursor``."""
        rows, cursor = await self.atendimentos.page(wanted)
        return {"items": rows, "nextCursor": cursor}

    async def atendimento(self, atendimento_id: UUID, owner_id: UUID | None) -> dict[str, Any]:
        """``GET /atendimentos/:id``: the row."""
        return await self.atendimentos.one(atendimento_id, owner_id)

    async def change_atendimento(
        self, atendimento_id: UUID, changes: Mapping[str, Any], owner_id: UUID | None
    ) -> dict[str, Any]:
        """``PATCH /atendimentos/:id``: the row as it is then."""
        row = await self.atendimentos.change(atendimento_id, changes, owner_id)
        if "status" in changes:
            self.robot.nudge()
        return row

    # --- robots

    async def robots(self, owner_id: UUID | None, company_id: UUID | None) -> list[dict[str, Any]]:
        """``GET /robot``: rows of ``whatsapp_configuracoes``."""
        return await self.configuracoes.of(owner_id, company_id)

    async def robot_row(self, robot_id: UUID, owner_id: UUID | None) -> dict[str, Any]:
        """``GET /robot/:id``: the row."""
        return await self.configuracoes.one(robot_id, owner_id)

    async def create_robot(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """``POST /robot``: the row."""
        row = await self.configuracoes.create(values)
        await self._tell_robot()
        return row

    async def change_robot(
        self, robot_id: UUID, changes: Mapping[str, Any], owner_id: UUID | None
    ) -> dict[str, Any]:
        """``PATCH /robot/:id``: the row as it is then."""
        row = await self.configuracoes.change(robot_id, changes, owner_id)
        await self._tell_robot()
        return row

    async def delete_robot(self, robot_id: UUID, owner_id: UUID | None) -> None:
        """``DELETE /robot/:id``."""
        await self.configuracoes.delete(robot_id, owner_id)
        await self._tell_robot()

    async def _tell_robot(self) -> None:
        """What has just been changed counts for the next message; if that fails, soon after."""
        with suppress(StorageUnavailable):
            await self.robot.read_configs()

    # --- events

    async def follow_events(
        self, wanted: EventFilter, *, after: str | None, recent: int
    ) -> EventFeed:
        """``GET /events``: see ``EventLog.follow``."""
        return await self.event_log.follow(wanted, after=after, recent=recent)

    def webhooks(self, owner_id: UUID | None) -> Webhooks:
        """The webhooks of an owner; None: of all."""
        return Webhooks(
            self.journal,
            owner_id,
            sender=lambda: Sender(self._webhook_network),
            nudge=self.notifier.nudge,
        )

    # --- sessions and figures

    async def active_sessions(self, owner_id: UUID) -> list[dict[str, Any]]:
        """``GET /sessions/active``: rows."""
        return await self.supabase.sessions(owner_id)

    async def supabase_stats(self) -> dict[str, Any]:
        """``GET /stats/supabase``."""
        return await self.report.supabase()

    async def clear_queue(self) -> dict[str, Any]:
        """``POST /queue/clear``: dead letters move to an archive file, nothing else does."""
        return {"archived": await self.journal.archive()}

    # --- dead letters

    async def dead_letters(self, *, limit: int, after_seq: int) -> list[dict[str, Any]]:
        """Oldest first, those behind ``after_seq``."""
        letters = await self.journal.dead_letters(limit=limit, after_seq=after_seq)
        return [_describe_dead_letter(letter) for letter in letters]

    async def dead_letter(self, seq: int) -> dict[str, Any]:
        """One dead letter, whole. Raises NotFound."""
        return _describe_dead_letter(await self.journal.dead_letter(seq))

    async def retry_dead_letter(self, seq: int, *, changes: Mapping[str, Any]) -> None:
        """Queue a dead letter again, with some columns changed. Raises NotFound, Invalid."""
        fixed = sorted(changes.keys() & {"kind", "id", "seq"})
        if fixed:
            raise Invalid(
                f"Não é possível mudar: {', '.join(fixed)}.",
                code="fixed_fields",
                details=fixed,
            )
        letter = await self.journal.dead_letter(seq)
        await self.journal.retry(seq, {**letter.payload, **changes} if changes else None)

    def _check_running(self) -> None:
        if not self.report.is_running():
            raise Unavailable(
                "O serviço está parado. Inicie-o com POST /api/whatsapp-bootstrap/initialize.",
                code="runtime_stopped",
            )


def _describe_dead_letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "seq": letter.seq,
        "kind": letter.kind,
        "code": letter.code,
        "reason": letter.reason,
        "payload": letter.payload,
        "raw": letter.raw,
        "acceptedAt": letter.accepted_at.isoformat(),
        "diedAt": letter.died_at.isoformat(),
        "attempts": letter.attempts,
    }


def _described(archive: Archive) -> dict[str, Any]:
    return {
        "id": archive.id,
        "archivedAt": archive.archived_at.isoformat(),
        "reason": archive.reason,
        "phoneNumber": archive.phone_number,
    }
