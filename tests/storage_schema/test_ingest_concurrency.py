"""Two callers at a time: neither a second atendimento nor a deadlock nor a lost message."""

from __future__ import annotations

import random
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from .conftest import Project
from .items import message, results, session

CALL = "select public.zapvisor_ingest(%s)"


def one_after_the_other(
    project: Project, first: list[dict[str, Any]], second: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """``second`` begins while the transaction of ``first`` is open, and waits for it."""
    with (
        psycopg.connect(project.dsn) as one,
        psycopg.connect(project.dsn) as two,
        ThreadPoolExecutor(1) as pool,
    ):
        one.execute(CALL, [Jsonb(first)])
        answer: Future[Any] = pool.submit(lambda: two.execute(CALL, [Jsonb(second)]).fetchone())
        while not project.rows("select from pg_locks where not granted"):
            assert not answer.done(), answer.result()
        one.commit()
        return answer.result(10)[0]


def test_a_new_customer_gets_one_atendimento(project: Project) -> None:
    (answer,) = one_after_the_other(
        project, [message(project.owner, 1)], [message(project.owner, 2)]
    )
    (place,) = project.rows("select id from whatsapp_atendimentos")
    assert answer == {"seq": 2, "result": "inserted", "atendimento_id": str(place["id"])}
    assert len(project.rows("select from whatsapp_mensagens")) == 2


def test_the_same_batch_twice_is_stored_once(project: Project) -> None:
    batch = [message(project.owner, seq) for seq in range(3)]
    assert results(one_after_the_other(project, batch, batch)) == ["duplicate"] * 3
    assert len(project.rows("select from whatsapp_mensagens")) == 3
    assert len(project.rows("select from whatsapp_atendimentos")) == 1


def test_a_new_connection_gets_one_session(project: Project) -> None:
    (answer,) = one_after_the_other(
        project, [session(project.owner, "connecting")], [session(project.owner, "connected")]
    )
    assert answer["result"] == "updated"
    (row,) = project.rows("select status from whatsapp_sessions")
    assert row["status"] == "connected"


def test_one_old_atendimento_is_adopted_by_one_of_two_connections(project: Project) -> None:
    first = message(project.owner, 1)
    project.rows(
        "insert into whatsapp_atendimentos (owner_id, numero_cliente) values (%s, %s) returning id",
        project.owner,
        first["numero_cliente"],
    )
    one_after_the_other(project, [first], [message(project.owner, 2, connection_id="filial")])
    rows = project.rows("select connection_id from whatsapp_atendimentos order by 1")
    assert [row["connection_id"] for row in rows] == ["filial", "loja"]


def test_many_callers_over_the_same_customers(project: Project) -> None:
    rng = random.Random(7)
    batches = []
    for number in range(24):
        customers = rng.choices(range(12), k=30)
        batches.append(
            [
                message(
                    project.owner, number * 100 + n, numero_cliente=f"55119000000{customer:02d}"
                )
                for n, customer in enumerate(customers)
            ]
        )

    def work(part: list[list[dict[str, Any]]]) -> None:
        with psycopg.connect(project.dsn, autocommit=True) as connection:
            for batch in part:
                connection.execute(CALL, [Jsonb(batch)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, (batches[start::4] for start in range(4))))
    assert len(project.rows("select from whatsapp_mensagens")) == 24 * 30
    counts = project.rows("select count(*) from whatsapp_atendimentos group by numero_cliente")
    assert {row["count"] for row in counts} == {1}
