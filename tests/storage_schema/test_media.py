"""Rows are brought up to date with their files, and nothing else of them changes."""

from __future__ import annotations

import uuid

import psycopg
import pytest
from psycopg.types.json import Jsonb

from .conftest import Project, service_role
from .items import message


def tell(project: Project, *items: dict) -> list[uuid.UUID]:
    with service_role(project.connection):
        (row,) = project.rows("select public.zapvisor_media(%s) as found", Jsonb(items))
    return row["found"]


@pytest.fixture
def picture(project: Project) -> str:
    item = message(
        project.owner,
        tipo="IMAGEM",
        midia_url="/api/whatsapp-integration/media/x",
        midia_tipo="image/jpeg",
        midia_nome="a.jpg",
        midia_tamanho=5,
        dados={"midia": {"estado": "pending", "voz": True}, "citada": "x"},
    )
    project.ingest(item)
    return item["id"]


def row(project: Project) -> dict:
    (found,) = project.rows(
        "select midia_url, midia_tipo, midia_nome, midia_tamanho, dados from whatsapp_mensagens"
    )
    return found


def test_what_is_told_is_merged_and_what_is_not_stays(project: Project, picture: str) -> None:
    found = tell(
        project,
        {
            "id": picture,
            "midia": {"estado": "available", "codigo": None},
            "tipo": "image/png",
            "nome": None,
            "tamanho": 700,
        },
    )
    assert found == [uuid.UUID(picture)]
    assert row(project) == {
        "midia_url": "/api/whatsapp-integration/media/x",
        "midia_tipo": "image/png",
        "midia_nome": "a.jpg",
        "midia_tamanho": 700,
        "dados": {
            "midia": {"estado": "available", "voz": True, "codigo": None},
            "citada": "x",
        },
    }


def test_rows_that_do_not_exist_are_not_found(project: Project, picture: str) -> None:
    other = str(uuid.uuid4())
    facts = {"midia": {"estado": "failed"}}
    assert tell(project, {"id": other, **facts}) == []
    assert tell(project, {"id": other, **facts}, {"id": picture, **facts}) == [uuid.UUID(picture)]
    assert tell(project) == []


def test_a_row_without_facts_gets_them(project: Project) -> None:
    item = message(project.owner, dados=None)
    project.ingest(item)
    tell(project, {"id": item["id"], "midia": {"estado": "failed"}})
    assert row(project)["dados"] == {"midia": {"estado": "failed"}}


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_only_the_service_role_may_tell(project: Project, picture: str, role: str) -> None:
    with project.connection.transaction(force_rollback=True):
        project.connection.execute(f"set local role {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            project.rows("select public.zapvisor_media('[]')")


def test_owners_read_their_own_objects_where_there_is_supabase_storage(
    make_database, templates
) -> None:
    """The policy, on a project that has `storage.objects` as hosted ones do."""
    from runtime import migrate

    from .conftest import MIGRATIONS

    dsn = make_database(templates["empty"])
    mine, theirs = uuid.uuid4(), uuid.uuid4()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create schema storage")
        connection.execute("create table storage.objects (bucket_id text, name text)")
        connection.execute("alter table storage.objects enable row level security")
        connection.execute("grant usage on schema storage to authenticated")
        connection.execute("grant select on storage.objects to authenticated")
        connection.cursor().executemany(
            "insert into storage.objects values (%s, %s)",
            [
                ("whatsapp-media", f"{mine}/a"),
                ("whatsapp-media", f"{theirs}/b"),
                ("outro", f"{mine}/c"),
            ],
        )
        migrate.apply(dsn, MIGRATIONS)
        migrate.apply(dsn, MIGRATIONS)
        with connection.transaction():
            connection.execute("set local role authenticated")
            connection.execute(
                "select set_config('request.jwt.claims', %s, true)", (f'{{"sub": "{mine}"}}',)
            )
            found = connection.execute("select name from storage.objects").fetchall()
    assert found == [(f"{mine}/a",)]
