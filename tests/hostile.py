"""Rows as a stranger, or an earlier time, left them: written past every trigger and key."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

TIMES = (
    "infinity",
    "-infinity",
    "10000-01-01 00:00:00+00",
    "294276-12-31 23:59:59.999999+00",
    "0044-03-15 12:00:00+00 BC",
)
"""What PostgreSQL takes for a time and Python does not have."""
FACTS = (
    "null",
    "[]",
    '"x"',
    "5",
    "true",
    "1e4000",
    "1e400",
    "12345678901234567890.5e300",
    "[" * 3000 + "]" * 3000,
    '{"a":' * 3000 + "1" + "}" * 3000,
    '{"participante": 5}',
    '{"participante": {"numero": 5}}',
    '{"participante": {"numero": "x@evil"}}',
    '{"reacoes": []}',
    '{"reacoes": "x"}',
    '{"edicoes": {}}',
    '{"apagada": 1}',
    '{"chamada": null}',
    '{"midia": "x"}',
    '{"midia": {"estado": [], "codigo": 5, "motivo": {}}}',
    '{"midia": {"estado": "available"}, "n": 1e10000}',
)
"""What may be in ``dados``, ``tags`` and other JSON columns."""
NUMBERS = (
    "",
    "x@evil",
    "5511987654321@evil.example",
    "5511987654321\n",
    "5511987654321@s.whatsapp.net\nx",
    "status@broadcast",
    "123456789@broadcast",
    "120363000000000000@newsletter",
    "５５１１９８７６５４３２１",  # noqa: RUF001
    "9" * 2000,
    "1@lid",
    "@g.us",
    "+55 11 98765-4321",
)
"""What is nobody's ``numero_cliente``."""
WHATSAPP_IDS = ("", "x" * 256, "🤔" * 128)


@contextmanager
def past_triggers(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's session for which there are neither triggers nor foreign keys."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set session_replication_role = replica")
        yield connection


def insert(connection: psycopg.Connection[Any], table: str, **columns: Any) -> str:
    """A row with these columns, of which a missing ``id`` is made up; returns the id."""
    columns.setdefault("id", uuid.uuid4())
    query = sql.SQL("insert into public.{} ({}) values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(sql.Placeholder() * len(columns)),
    )
    connection.execute(query, list(columns.values()))
    return str(columns["id"])


def atendimento(connection: psycopg.Connection[Any], owner: Any, **columns: Any) -> str:
    """A row of ``whatsapp_atendimentos``."""
    values = {"owner_id": owner, "numero_cliente": "5521987654321", **columns}
    return insert(connection, "whatsapp_atendimentos", **values)


def message(connection: psycopg.Connection[Any], owner: Any, place: str, **columns: Any) -> str:
    """A row of ``whatsapp_mensagens``."""
    values = {
        "owner_id": owner,
        "atendimento_id": place,
        "conteudo": "oi",
        "remetente": "CLIENTE",
        "whatsapp_id": f"3EB0{uuid.uuid4().hex.upper()}",
        **columns,
    }
    return insert(connection, "whatsapp_mensagens", **values)
