"""Outgoing messages: accepted by us, durable, and followed until they are read or failed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import trio

from .. import limits
from ..errors import Invalid
from ..events import EventBus, EventName
from ..failpoints import failpoint
from ..identity import message_key, new_message_id, recipient_jid, row_id
from ..journal import Command, CommandState, Connection, Journal, NewCommand, NewEntry, Submitted
from ..phones import person

MESSAGE_LIFETIME = timedelta(hours=24)
"""How long a message waits for its connection before it fails as expired."""
_OUTCOMES = (CommandState.SENT, CommandState.FAILED, CommandState.UNKNOWN)


class Outbox:
    """The way of a message from our API to the journal, and of its status back.

    Attributes:
        outcomes: how many messages left the queue since the start, and how.
    """

    def __init__(self, journal: Journal, events: EventBus) -> None:
        self._journal = journal
        self._events = events
        self.outcomes: Counter[CommandState] = Counter(dict.fromkeys(_OUTCOMES, 0))
        self._waiting: defaultdict[tuple[str, str], list[trio.Event]] = defaultdict(list)

    async def submit(
        self,
        connection: Connection,
        *,
        to: str,
        text: str,
        idempotency_key: str | None,
    ) -> Submitted:
        """Accept a text message: when this returns it is on disk, and so is its row to be.

        Raises Invalid for a recipient or text that makes no sense, Conflict for an idempotency key
        that was used for another message, JournalUnavailable when nothing can be stored.
        """
        command, entry = compose(
            connection,
            to=to,
            text=text,
            message_id=new_message_id(),
            idempotency_key=idempotency_key,
            now=datetime.now(UTC),
        )
        submitted = await self._journal.submit(command, entry)
        failpoint("command-written")
        return submitted

    async def advance(
        self,
        connection: Connection,
        message_id: str,
        state: CommandState,
        *,
        error: str | None,
        at: datetime,
    ) -> bool:
        """Move a message's status on, never back, and tell who waits for it.

        ``error`` is the word of who refused it, see ``refusals``. Returns whether it moved.
        """
        changed = await self._journal.mark(connection.id, message_id, state, error=error, at=at)
        if not changed:
            return False
        if state in _OUTCOMES:
            self.outcomes[state] += 1
        for waiter in self._waiting.pop((connection.id, message_id), ()):
            waiter.set()
        name = EventName.MESSAGE_SENT if state is CommandState.SENT else EventName.MESSAGE_STATUS
        self._events.publish(
            name,
            {"messageId": message_id, "status": state.value, "error": error},
            connection_id=connection.id,
            owner_id=connection.owner_id,
        )
        return True

    async def wait_sent(self, command: Command, seconds: float) -> Command:
        """The command as it is once it left ``queued``, or as it is after ``seconds``."""
        key = (command.connection_id, command.message_id)
        event = trio.Event()
        self._waiting[key].append(event)
        try:
            current = await self._journal.command(command.message_id, command.connection_id)
            if current is None or current.state is not CommandState.QUEUED:
                return current or command
            with trio.move_on_after(seconds):
                await event.wait()
        finally:
            waiters = self._waiting.get(key)
            if waiters is not None and event in waiters:
                waiters.remove(event)
                if not waiters:
                    del self._waiting[key]
        current = await self._journal.command(command.message_id, command.connection_id)
        return current or command


def compose(
    connection: Connection,
    *,
    to: str,
    text: str,
    message_id: str,
    idempotency_key: str | None,
    now: datetime,
    lifetime: timedelta = MESSAGE_LIFETIME,
    sender: str = "ATENDENTE",
    facts: Mapping[str, Any] | None = None,
) -> tuple[NewCommand, NewEntry]:
    """A text message as the command that sends it and the entry of its row. Pure.

    Args:
        lifetime: how long it waits for its connection before it fails as expired.
        sender: as in ``remetente``.
        facts: further keys of the ingest item, or others in place of the usual ones.

    Raises Invalid for a recipient or text that makes no sense.
    """
    jid = recipient_jid(to)
    _check_text(text)
    key = message_key(
        connection.owner_id, connection.id, chat=jid, sender=None, message_id=message_id
    )
    identifier = str(row_id(key))
    content = {"text": text}
    number = jid.removesuffix("@s.whatsapp.net")
    command = NewCommand(
        connection_id=connection.id,
        message_id=message_id,
        row_id=identifier,
        to_jid=jid,
        content=content,
        idempotency_key=idempotency_key,
        request_hash=_request_hash(person(number), content),
        created_at=now,
        expires_at=now + lifetime,
    )
    entry = NewEntry(
        kind="message",
        key=key,
        payload={
            "kind": "message",
            "id": identifier,
            "owner_id": connection.owner_id,
            "connection_id": connection.id,
            "company_id": connection.company_id,
            "numero_cliente": number,
            "conteudo": text,
            "tipo": "TEXTO",
            "remetente": sender,
            "timestamp": now.isoformat(),
            "lida": True,
            "whatsapp_id": message_id,
            "status": CommandState.QUEUED.value,
            **(facts or {}),
        },
        order_key=f"{connection.owner_id}/{connection.id}/{person(number)}",
    )
    return command, entry


def _check_text(text: str) -> None:
    if not text.strip():
        raise Invalid("O conteúdo da mensagem está vazio.", code="empty_content")
    if limits.units(text) > limits.TEXT:
        raise Invalid(f"O conteúdo passa de {limits.TEXT} caracteres.", code="content_too_long")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Invalid("O conteúdo tem caracteres que não são texto.", code="invalid_text")


def _request_hash(recipient: str, content: dict[str, str]) -> str:
    canonical = json.dumps([recipient, content], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
