"""What lists and reads cost at a million messages: plans on real PostgreSQL, rows touched counted.

The conditions are those of ``runtime.storage``, as PostgREST turns them into SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from .plans import rows_touched, walk

MESSAGES = 1_000_000
ATENDIMENTOS = 100_000
OWNERS = 50
LARGE = 10_000  # messages of the largest conversation
PAGE = 50

_FILL = f"""
set session_replication_role = replica;  -- no foreign keys, no triggers: only rows
insert into auth.users (id) select md5('o' || n)::uuid from generate_series(1, {OWNERS}) n;
insert into whatsapp_sessions (owner_id, session_name, connection_id)
    select md5('o' || (n % {OWNERS} + 1))::uuid, 's', 'c' || n from generate_series(1, 500) n;
insert into whatsapp_atendimentos
    (id, owner_id, numero_cliente, nome_cliente, status, connection_id, data_inicio,
     ultima_mensagem)
    select md5('a' || n)::uuid, md5('o' || (n % {OWNERS} + 1))::uuid, '55119' || n, 'Cliente ' || n,
        case when n % 7 = 0 then 'AGUARDANDO' else 'FINALIZADO' end, 'c' || (n % 500 + 1),
        '2026-01-01'::timestamptz + n * interval '1 minute',
        '2026-01-01'::timestamptz + n * interval '2 minutes'
    from generate_series(1, {ATENDIMENTOS}) n;
insert into whatsapp_mensagens
    (owner_id, atendimento_id, conteudo, remetente, "timestamp", ordem, connection_id)
    select md5('o' || (a % {OWNERS} + 1))::uuid, md5('a' || a)::uuid, 'mensagem', 'CLIENTE',
        '2026-01-01'::timestamptz + n * interval '1 second', n, 'c' || (a % 500 + 1)
    from (select n, case when n <= {LARGE} then 1 else n % {ATENDIMENTOS} + 1 end as a
          from generate_series(1, {MESSAGES}) n) as numbered
    order by 2, 5;  -- as the index wants them
set session_replication_role = origin;
analyze whatsapp_sessions, whatsapp_atendimentos, whatsapp_mensagens;
"""

_OWNER = "md5('o2')::uuid"  # of the largest conversation, md5('a1')
_OPEN = "status in ('AGUARDANDO', 'EM_ATENDIMENTO')"
_CONVERSATION = f"atendimento_id = md5('a1')::uuid and owner_id = {_OWNER}"
_IN_ORDER = f'order by "timestamp", ordem, id limit {PAGE}'
_MIDDLE = "'2026-01-01'::timestamptz + 5000 * interval '1 second'"
_NOBODY = "'00000000-0000-4000-8000-000000000000'"
_NEWEST = f"order by ultima_mensagem desc, id desc limit {PAGE + 1}"
_LATER = "'2026-03-10T00:00:00Z'::timestamptz"
_CURSOR = (
    f"ultima_mensagem <= {_LATER} and (ultima_mensagem < {_LATER}"
    f" or (ultima_mensagem = {_LATER} and id < {_NOBODY}))"
)

READS = {  # by name: the query, and how many rows it may touch
    "first page of a conversation": (
        f"select * from whatsapp_mensagens where {_CONVERSATION} {_IN_ORDER}",
        4 * PAGE,
    ),
    "next page of a conversation": (
        (
            f"select * from whatsapp_mensagens where {_CONVERSATION}"
            f' and "timestamp" >= {_MIDDLE}'
            f' and ("timestamp" > {_MIDDLE} or ("timestamp" = {_MIDDLE}'
            " and (ordem > 5000 or ordem is null"
            f" or (ordem = 5000 and id > {_NOBODY})))) {_IN_ORDER}"
        ),
        4 * PAGE,
    ),
    "one message": (f"select * from whatsapp_mensagens where id = {_NOBODY}", 4),
    "open atendimentos of an owner": (
        (
            f"select * from whatsapp_atendimentos where owner_id = {_OWNER} and {_OPEN}"
            " order by ultima_mensagem desc limit 1000"
        ),
        4 * ATENDIMENTOS // OWNERS // 7,
    ),
    "first page of an owner's atendimentos": (
        f"select * from whatsapp_atendimentos where owner_id = {_OWNER} {_NEWEST}",
        4 * PAGE,
    ),
    "next page of an owner's atendimentos": (
        f"select * from whatsapp_atendimentos where owner_id = {_OWNER} and {_CURSOR} {_NEWEST}",
        4 * PAGE,
    ),
    "first page of everybody's atendimentos": (
        f"select * from whatsapp_atendimentos {_NEWEST}",
        4 * PAGE,
    ),
    "first page of an owner's atendimentos of one status": (
        (
            f"select * from whatsapp_atendimentos where owner_id = {_OWNER}"
            f" and status in ('AGUARDANDO') {_NEWEST}"
        ),
        4 * PAGE,
    ),
    "an owner's customers by a part of their name": (
        (
            f"select * from whatsapp_atendimentos where owner_id = {_OWNER}"
            f" and (nome_cliente ilike '%nte 51%' or numero_cliente ilike '%nte 51%') {_NEWEST}"
        ),
        2 * ATENDIMENTOS // OWNERS,
    ),
    "what was finished lately": (
        (
            "select * from whatsapp_atendimentos where status = 'FINALIZADO'"
            " and updated_at >= now() and updated_at <= 'now'"
            f" order by updated_at, id limit {PAGE}"
        ),
        4 * PAGE,
    ),
    "the open atendimento of a customer": (
        (
            f"select * from whatsapp_atendimentos where owner_id = {_OWNER}"
            f" and numero_cliente = '551191' and connection_id = 'c2' and {_OPEN}"
        ),
        40,
    ),
    "one atendimento": (
        "select * from whatsapp_atendimentos where id = md5('a1')::uuid",
        4,
    ),
    "sessions of an owner": (
        f"select * from whatsapp_sessions where owner_id = {_OWNER} order by created_at limit 1000",
        1000,
    ),
}


@pytest.fixture(scope="module")
def million(
    make_database: Callable[[str], str], templates: dict[str, str]
) -> Iterator[psycopg.Connection[Any]]:
    dsn = make_database(templates["migrated"])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set synchronous_commit = off")
        connection.execute(_FILL)
        yield connection


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", READS)
def test_a_read_uses_an_index_and_touches_no_more_than_its_page(
    million: psycopg.Connection[Any], name: str
) -> None:
    sql, allowed = READS[name]
    [[[plan]]] = million.execute(f"explain (analyze, format json) {sql}").fetchall()
    nodes = list(walk(plan["Plan"]))
    scans = [node["Relation Name"] for node in nodes if node["Node Type"].endswith("Seq Scan")]
    assert set(scans) <= {"whatsapp_sessions"}, plan  # five hundred rows: a scan may be cheaper
    assert rows_touched(plan["Plan"]) <= allowed, plan


def test_the_million_is_there(million: psycopg.Connection[Any]) -> None:
    [[count]] = million.execute("select count(*) from whatsapp_mensagens").fetchall()
    assert count == MESSAGES
    [[largest]] = million.execute(
        "select count(*) from whatsapp_mensagens where atendimento_id = md5('a1')::uuid"
    ).fetchall()
    assert largest >= LARGE
