"""Commands on their way to WhatsApp, and the states they go through."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from .. import identity
from ..errors import Conflict, NotFound
from ..events import Event, EventName
from ..refusals import Refusal, refusal_of
from . import codec, events
from .inbox import Prepared, accept, is_known, prepare
from .records import Command, CommandState, NewCommand, NewEntry, Submitted

_COLUMNS = (
    "seq, connection_id, message_id, row_id, to_jid, content, idempotency_key, request_hash, "
    "created_at, expires_at, state, error, sent_at, updated_at"
)

# Without the names of its indexes SQLite reads all queued commands, or all files still to come.
_HELD = (
    "WITH held (jid, since) AS ("
    "SELECT c.to_jid, min(c.seq) FROM media_task t INDEXED BY media_uploads_to_do "
    "JOIN media m ON m.row_id = t.row_id AND m.connection_id = ?1 "
    "JOIN command c ON c.connection_id = m.connection_id AND c.message_id = m.message_id "
    "WHERE t.due IS NOT NULL AND t.name = 'upload' AND c.state = 'queued' GROUP BY c.to_jid)"
)
"""Chats with a file still to be uploaded, and the command since which they wait for it."""

_Q, _S, _D, _R, _P, _F, _U = (
    CommandState.QUEUED,
    CommandState.SENT,
    CommandState.DELIVERED,
    CommandState.READ,
    CommandState.PLAYED,
    CommandState.FAILED,
    CommandState.UNKNOWN,
)

FORWARD: dict[CommandState, frozenset[CommandState]] = {
    _Q: frozenset({_S, _D, _R, _P, _F, _U}),
    # A receipt proves more than any doubt or refusal before it.
    _U: frozenset({_S, _D, _R, _P, _F}),
    _F: frozenset({_D, _R, _P}),
    _S: frozenset({_D, _R, _P, _F}),
    _D: frozenset({_R, _P}),
    _R: frozenset({_P}),
    _P: frozenset(),
}
"""Which states may follow which; there is no other way than forward."""

_STATUS_STATES = frozenset({_S, _D, _R, _P, _F})
"""The states that a row of ``whatsapp_mensagens`` can show; ``unknown`` is ours alone."""


def submit(
    connection: sqlite3.Connection, command: NewCommand, entry: Prepared, now: int
) -> Submitted:
    """Store a command and its message entry; see `Journal.submit` for what it raises."""
    if command.idempotency_key is not None:
        existing = submitted(connection, command.connection_id, command.idempotency_key)
        if existing is not None:
            if existing.request_hash != command.request_hash:
                raise Conflict(
                    "Essa chave de idempotência já foi usada para outra mensagem.",
                    code="idempotency_conflict",
                )
            return Submitted(existing, existing=True)
    if _owner(connection, command.connection_id) is None:
        raise NotFound("Conexão não encontrada.", code="connection_not_found")
    if find(connection, command.message_id, command.connection_id) is not None:
        raise Conflict("Já existe uma mensagem com esse id.", code="message_exists")
    connection.execute(
        "INSERT INTO command (connection_id, message_id, row_id, to_jid, content, "
        "idempotency_key, request_hash, created_at, expires_at, state, updated_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?)",
        (
            command.connection_id,
            command.message_id,
            command.row_id,
            command.to_jid,
            codec.encode(command.content),
            command.idempotency_key,
            command.request_hash,
            codec.micros(command.created_at),
            codec.micros(command.expires_at),
            now,
        ),
    )
    accept(connection, [entry], now)
    stored = find(connection, command.message_id, command.connection_id)
    assert stored is not None
    return Submitted(stored, existing=False)


def outgoing(
    connection: sqlite3.Connection, connection_id: str, limit: int, after_seq: int = 0
) -> list[Command]:
    """Queued commands in the order of their submission, those behind ``after_seq``.

    A message whose file WhatsApp does not have yet is left out, and what follows it in its chat.
    """
    rows = connection.execute(
        f"{_HELD} SELECT {_COLUMNS} FROM command INDEXED BY command_queued "  # noqa: S608
        "LEFT JOIN held ON jid = to_jid "
        "WHERE connection_id = ?1 AND state = 'queued' AND seq > ?3 "
        "AND (since IS NULL OR seq < since) ORDER BY seq LIMIT ?2",
        (connection_id, limit, after_seq),
    )
    return [_command(row) for row in rows]


def still_queued(
    connection: sqlite3.Connection, connection_id: str, message_ids: Iterable[str]
) -> set[str]:
    """Which of these WhatsApp has not acknowledged."""
    rows = connection.execute(
        "SELECT message_id FROM command WHERE connection_id = ? AND state = 'queued'"
        " AND message_id IN (SELECT value FROM json_each(?))",
        (connection_id, json.dumps(list(message_ids))),
    )
    return {message_id for (message_id,) in rows}


def submitted(
    connection: sqlite3.Connection, connection_id: str, idempotency_key: str
) -> Command | None:
    """The command that was submitted with this idempotency key."""
    return _one(
        connection,
        "connection_id = ? AND idempotency_key = ?",
        (connection_id, idempotency_key),
    )


def find(connection: sqlite3.Connection, message_id: str, connection_id: str) -> Command | None:
    """The command that has this WhatsApp message id."""
    return _one(connection, "connection_id = ? AND message_id = ?", (connection_id, message_id))


def mark(
    connection: sqlite3.Connection,
    connection_id: str,
    message_id: str,
    state: CommandState,
    error: str | None,
    at: int,
    now: int,
) -> bool:
    """Move a command forward and tell Supabase; see `Journal.mark`."""
    command = find(connection, message_id, connection_id)
    if command is None:
        return _mark_foreign(connection, connection_id, message_id, state, error, at, now)
    if state not in FORWARD[command.state]:
        return False
    told = _told(state, error, command.to_jid)
    connection.execute(
        "UPDATE command SET state = ?, error = ?, updated_at = ?, "
        "sent_at = CASE WHEN ? THEN coalesce(sent_at, ?) ELSE sent_at END WHERE seq = ?",
        (state.value, error, now, state in _STATUS_STATES - {_F}, at, command.seq),
    )
    if state in _STATUS_STATES:
        code = told.code if told else None
        _tell(connection, connection_id, command.row_id, state, code, at, now)
    number = command.to_jid.partition("@")[0]
    facts = {
        "messageId": message_id,
        "id": command.row_id,
        "to": number,
        "status": state.value,
        **_why(told),
    }
    _announce(connection, connection_id, state, facts, number, at, now)
    return True


def fail_queued(connection: sqlite3.Connection, connection_id: str, error: str, now: int) -> None:
    """No queued command of this connection will be sent any more."""
    rows = connection.execute(
        "SELECT message_id FROM command WHERE connection_id = ? AND state = 'queued'",
        (connection_id,),
    ).fetchall()
    for (message_id,) in rows:
        mark(connection, connection_id, message_id, CommandState.FAILED, error, now, now)


def _mark_foreign(
    connection: sqlite3.Connection,
    connection_id: str,
    message_id: str,
    state: CommandState,
    error: str | None,
    at: int,
    now: int,
) -> bool:
    """The state of a message of ours that was sent from the phone: there is no command."""
    owner = _owner(connection, connection_id)
    if owner is None or state not in _STATUS_STATES:
        return False
    key = identity.message_key(owner, connection_id, chat="", sender=None, message_id=message_id)
    row_id = str(identity.row_id(key))
    further = FORWARD[state] - {_F}
    if any(is_known(connection, _status_key(row_id, later)) for later in further):
        return False
    told = _told(state, error, "")
    code = told.code if told else None
    if not _tell(connection, connection_id, row_id, state, code, at, now):
        return False
    facts = {"messageId": message_id, "id": row_id, "status": state.value, **_why(told)}
    # Its chat is not known here; so the order is that of the message itself.
    _announce(connection, connection_id, state, facts, message_id, at, now)
    return True


def _told(state: CommandState, error: str | None, chat: str) -> Refusal | None:
    """What the row and the events say of a message that was not sent, or perhaps not."""
    return refusal_of(error, chat) if state in (_F, _U) else None


def _why(told: Refusal | None) -> dict[str, Any]:
    return {"error": None} if told is None else {"error": told.code, **(told.facts or {})}


def _announce(
    connection: sqlite3.Connection,
    connection_id: str,
    state: CommandState,
    facts: dict[str, Any],
    chat: str,
    at: int,
    now: int,
) -> None:
    name = EventName.MESSAGE_SENT if state is _S else EventName.MESSAGE_STATUS
    owner = _owner(connection, connection_id)
    happened = codec.moment(at)
    event = Event(name, facts, connection_id, owner, timestamp=happened, chat=chat)
    events.append(connection, [event], now)


def _tell(
    connection: sqlite3.Connection,
    connection_id: str,
    row_id: str,
    state: CommandState,
    error: str | None,
    at: int,
    now: int,
) -> bool:
    payload = {
        "kind": "status",
        "id": row_id,
        "owner_id": _owner(connection, connection_id),
        "connection_id": connection_id,
        "status": state.value,
        "error": error,
        "at": codec.iso(at),
    }
    entry = prepare(NewEntry(kind="status", key=_status_key(row_id, state), payload=payload))
    (accepted,) = accept(connection, [entry], now)
    return not accepted.duplicate


def _status_key(row_id: str, state: CommandState) -> str:
    return f"status/{row_id}/{state.value}"


def _owner(connection: sqlite3.Connection, connection_id: str) -> str | None:
    row = connection.execute(
        "SELECT owner_id FROM connection WHERE id = ?", (connection_id,)
    ).fetchone()
    return None if row is None else row[0]


def _one(connection: sqlite3.Connection, where: str, values: tuple[str, ...]) -> Command | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM command WHERE {where}",  # noqa: S608 - `where` is ours
        values,
    ).fetchone()
    return None if row is None else _command(row)


def _command(row: tuple[Any, ...]) -> Command:
    (
        seq,
        connection_id,
        message_id,
        row_id,
        to_jid,
        content,
        idempotency_key,
        request_hash,
        created_at,
        expires_at,
        state,
        error,
        sent_at,
        updated_at,
    ) = row
    return Command(
        seq=seq,
        connection_id=connection_id,
        message_id=message_id,
        row_id=row_id,
        to_jid=to_jid,
        content=codec.decode(content),
        idempotency_key=idempotency_key,
        request_hash=request_hash,
        created_at=codec.moment(created_at),
        expires_at=codec.moment(expires_at),
        state=CommandState(state),
        error=error,
        sent_at=codec.optional_moment(sent_at),
        updated_at=codec.moment(updated_at),
    )
