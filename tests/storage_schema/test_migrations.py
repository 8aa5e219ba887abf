"""The migrations: on nothing, on every earlier installation, and twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from runtime import migrate

from .conftest import MIGRATIONS, Project
from .earlier import NAMES, VARIANTS, Earlier
from .items import message, results, session, status

FIRST_OWNER = "00000000-0000-4000-8000-000000000001"

# What the database consists of, as text: two equal answers mean that nothing was added or lost.
CATALOG = """
select 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
    || ' ' || coalesce(column_default, '') as entry
    from information_schema.columns where table_schema = 'public'
union all select concat_ws(' ', 'check', conrelid::regclass, conname, pg_get_constraintdef(oid))
    from pg_constraint where connamespace = 'public'::regnamespace
union all select 'index ' || indexdef from pg_indexes where schemaname = 'public'
union all select 'policy ' || tablename || ' ' || policyname || ' ' || coalesce(qual, '')
    from pg_policies where schemaname = 'public'
union all select 'trigger ' || pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
union all select 'function ' || oid::regprocedure || ' ' || coalesce(proacl::text, '')
    from pg_proc where pronamespace in ('public'::regnamespace, to_regnamespace('zapvisor'))
union all select concat_ws(' ', 'table', oid::regclass, relrowsecurity, relacl::text)
    from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
order by 1
"""


def catalog(connection: psycopg.Connection[Any]) -> list[str]:
    return [entry for (entry,) in connection.execute(CATALOG)]


def contents(connection: psycopg.Connection[Any], columns: dict[str, list[str]]) -> dict[str, Any]:
    return {
        table: connection.execute(
            f"select {', '.join(names)} from public.{table} order by id"
        ).fetchall()
        for table, names in columns.items()
    }


def columns_of(connection: psycopg.Connection[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table, column in connection.execute(
        """select table_name, quote_ident(column_name) from information_schema.columns
        where table_schema = 'public'"""
    ):
        found.setdefault(table, []).append(column)
    return found


@pytest.fixture
def empty(empty_dsn: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        yield connection


def test_an_empty_project_gets_everything(empty_dsn: str) -> None:
    applied = migrate.apply(empty_dsn, MIGRATIONS)
    assert [m.version for m in applied] == sorted(path.stem for path in MIGRATIONS.glob("*.sql"))
    with psycopg.connect(empty_dsn) as connection:
        tables = columns_of(connection)
        assert set(tables) >= {f"whatsapp_{name}" for name in NAMES}
        assert connection.execute("select public.zapvisor_schema_version()").fetchone() == (3,)


def test_companies_and_employees_are_referenced_where_they_exist(
    empty: psycopg.Connection[Any], empty_dsn: str
) -> None:
    empty.execute("create table companies (id uuid primary key)")
    empty.execute("create table employees (id text primary key)")  # cannot be referenced
    migrate.apply(empty_dsn, MIGRATIONS)
    constraints = [entry for entry in catalog(empty) if "REFERENCES companies" in entry]
    assert len(constraints) == 2
    assert all("ON DELETE SET NULL" in entry for entry in constraints)
    assert not any("REFERENCES employees" in entry for entry in catalog(empty))


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_an_earlier_installation_keeps_all_it_has(
    empty: psycopg.Connection[Any], empty_dsn: str, variant: Earlier
) -> None:
    empty.execute(variant.sql())
    columns = columns_of(empty)
    rows, before = contents(empty, columns), catalog(empty)
    migrate.apply(empty_dsn, MIGRATIONS)
    assert contents(empty, columns) == rows
    lost = set(before) - set(catalog(empty))
    # CHECK constraints that refuse our values are widened, tables get row-level security.
    assert all(
        "_tipo_check" in entry or "_status_check" in entry or entry.startswith("table ")
        for entry in lost
    )
    assert bool([entry for entry in lost if "check" in entry]) == variant.narrow_checks


@pytest.mark.parametrize("variant", [Earlier("nothing"), *VARIANTS], ids=str)
def test_a_second_run_changes_nothing(
    empty: psycopg.Connection[Any], empty_dsn: str, variant: Earlier
) -> None:
    if variant.name != "nothing":
        empty.execute(variant.sql())
    migrate.apply(empty_dsn, MIGRATIONS)
    once = catalog(empty)
    for migration in migrate.migrations(MIGRATIONS):  # as the Supabase CLI would, unrecorded
        empty.execute(migration.sql.encode())
    assert catalog(empty) == once


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_runtime_works_on_an_earlier_installation(
    empty: psycopg.Connection[Any], empty_dsn: str, variant: Earlier
) -> None:
    empty.execute(variant.sql())
    migrate.apply(empty_dsn, MIGRATIONS)
    (owner,) = empty.execute("select %s::uuid", [FIRST_OWNER]).fetchone()
    project = Project(empty_dsn, empty, owner)
    sticker = message(owner, 1, tipo="STICKER", numero_cliente="5511987654321")
    answer = project.ingest(
        sticker,
        message(owner, 2, tipo="SISTEMA", remetente="SISTEMA", numero_cliente="5511987654321"),
        status(sticker["id"], "read", 3),
        session(owner, "connecting", 4),
        session(owner, "error", 5),
    )
    assert results(answer)[:3] == ["inserted", "inserted", "updated"]
    # Of the two that the earlier system left open, the newest goes on.
    assert answer[0]["atendimento_id"].endswith("03")
    (found,) = project.rows(
        "select status from whatsapp_sessions where connection_id = 'loja' and status = 'error'"
    )
    assert found["status"] == "error"


def test_a_widened_check_still_refuses_the_rest(
    empty: psycopg.Connection[Any], empty_dsn: str
) -> None:
    empty.execute(Earlier("narrow", narrow_checks=True).sql())
    migrate.apply(empty_dsn, MIGRATIONS)
    empty.execute("update whatsapp_mensagens set tipo = 'LOCALIZACAO'")
    with pytest.raises(psycopg.errors.CheckViolation):
        empty.execute("update whatsapp_mensagens set tipo = 'FIGURINHA'")


def test_the_owner_of_a_hosted_project_may_migrate(
    empty: psycopg.Connection[Any], empty_dsn: str
) -> None:
    # As hosted projects have `postgres`: no superuser, owner of `public`, a guest in `auth`.
    empty.execute("""
        do $$ begin
            if not exists (select from pg_roles where rolname = 'hosted') then
                create role hosted createdb createrole bypassrls;
            end if;
        end $$;
        alter schema public owner to hosted;
        grant usage on schema auth to hosted;
        grant all on auth.users to hosted;
    """)
    empty.execute(f"grant create on database {empty.info.dbname} to hosted")
    as_hosted = make_conninfo(empty_dsn, options="-c role=hosted")
    assert migrate.apply(as_hosted, MIGRATIONS)
    assert migrate.pending(as_hosted, MIGRATIONS) == []


def test_rows_that_share_a_connection_id_are_reported(
    empty: psycopg.Connection[Any], empty_dsn: str
) -> None:
    empty.execute(Earlier("shared", session_columns=True, shared_connection_ids=True).sql())
    lines: list[str] = []
    migrate.apply(empty_dsn, MIGRATIONS, lines.append)
    assert any("share a connection_id" in line for line in lines)
