"""Who may see and do what."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from .conftest import Project
from .earlier import NAMES
from .items import message, session


@contextmanager
def acting_as(project: Project, role: str, user: uuid.UUID | None = None) -> Iterator[None]:
    """One transaction as PostgREST opens it."""
    claims = {"role": role} | ({"sub": str(user)} if user else {})
    with project.connection.transaction():
        project.rows("select set_config('request.jwt.claims', %s, true)", json.dumps(claims))
        project.connection.execute(f"set local role {role}")
        yield


@pytest.fixture
def filled(project: Project) -> Project:
    project.ingest(message(project.owner), session(project.owner, "connected"))
    project.rows(
        """insert into whatsapp_configuracoes
        (owner_id, nome, mensagem_boas_vindas, mensagem_menu, mensagem_despedida)
        values (%s, 'Robô', 'Olá', 'Menu', 'Tchau') returning id""",
        project.owner,
    )
    return project


def test_owners_see_their_rows_and_nobody_elses(filled: Project) -> None:
    stranger = filled.add_owner()
    for name in NAMES:
        query = f"select owner_id from public.whatsapp_{name}"
        with acting_as(filled, "authenticated", filled.owner):
            assert [row["owner_id"] for row in filled.rows(query)] == [filled.owner]
        with acting_as(filled, "authenticated", stranger):
            assert filled.rows(query) == []
        with acting_as(filled, "anon"):
            assert filled.rows(query) == []
        with acting_as(filled, "service_role"):
            assert len(filled.rows(query)) == 1


def test_nobody_writes_in_anothers_name(filled: Project) -> None:
    insert = """insert into public.whatsapp_atendimentos (owner_id, numero_cliente)
        values (%s, '5511900000000') returning id"""
    stranger = filled.add_owner()
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        acting_as(filled, "authenticated", stranger),
    ):
        filled.rows(insert, filled.owner)
    with acting_as(filled, "authenticated", filled.owner):
        assert filled.rows(insert, filled.owner)


def test_a_front_end_may_reopen_an_atendimento_beside_an_open_one(filled: Project) -> None:
    with acting_as(filled, "authenticated", filled.owner):
        filled.rows("update public.whatsapp_atendimentos set status = 'FINALIZADO' returning id")
    filled.ingest(message(filled.owner))
    with acting_as(filled, "authenticated", filled.owner):
        assert filled.rows(
            """update public.whatsapp_atendimentos set status = 'EM_ATENDIMENTO'
            where status = 'FINALIZADO' returning id"""
        )


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(
    "call",
    [
        "public.zapvisor_ingest('[]')",
        "public.zapvisor_schema_version()",
        "zapvisor.ingest_messages('{}')",
        "zapvisor.status_rank('sent')",
    ],
)
def test_the_functions_are_for_the_service_role_alone(
    project: Project, role: str, call: str
) -> None:
    with acting_as(project, "service_role"):
        project.rows(f"select {call}")
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        acting_as(project, role, project.owner),
    ):
        project.rows(f"select {call}")


def test_deleting_an_atendimento_deletes_its_messages(filled: Project) -> None:
    with acting_as(filled, "authenticated", filled.owner):
        filled.rows("delete from public.whatsapp_atendimentos returning id")
    assert filled.rows("select from whatsapp_mensagens") == []
