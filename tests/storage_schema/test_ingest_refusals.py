"""A faulty item fails the whole call, with the SQLSTATE of its fault, and leaves nothing."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from .conftest import Project
from .items import message, session, status

UNKNOWN_OWNER = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("changes", "sqlstate"),
    [
        ({"kind": "hologram"}, "22023"),
        ({"kind": None}, "22023"),
        ({"connection_id": None}, "22023"),
        ({"id": "nonsense"}, "22P02"),
        ({"id": None}, "23502"),
        ({"owner_id": UNKNOWN_OWNER}, "23503"),
        ({"tipo": "FIGURINHA"}, "23514"),
        ({"remetente": "ROBO"}, "23514"),
        ({"status": "lost"}, "23514"),
        ({"conteudo": None}, "23502"),
        ({"numero_cliente": None}, "22023"),
        ({"owner_id": None}, "22023"),
        ({"timestamp": "yesterday-ish"}, "22007"),
        ({"midia_tamanho": 2**31}, "22003"),
    ],
)
def test_a_faulty_message(project: Project, changes: dict[str, Any], sqlstate: str) -> None:
    with pytest.raises(psycopg.Error) as failure:
        project.ingest(
            message(project.owner, 1), {**message(project.owner, 2), **changes},
            session(project.owner, "connected", 3),
        )  # fmt: skip
    assert failure.value.sqlstate == sqlstate
    for table in ("whatsapp_mensagens", "whatsapp_atendimentos", "whatsapp_sessions"):
        assert project.rows(f"select from {table}") == []


def test_an_unknown_kind_is_named(project: Project) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="reaction"):
        project.ingest({"kind": "reaction", "seq": 5})


def test_an_unknown_status(project: Project) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="kind status"):
        project.ingest(status(message(project.owner)["id"], "vanished"))


def test_a_faulty_session(project: Project) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        project.ingest(session(project.owner, "asleep"))


@pytest.mark.parametrize("items", [{"kind": "message"}, "text", 5, [1]])
def test_anything_but_an_array_of_objects(project: Project, items: Any) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        project.rows("select public.zapvisor_ingest(%s)", Jsonb(items))
