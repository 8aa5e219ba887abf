"""What a batch costs in every age of the tables: statements counted, rows touched counted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Project
from .items import CUSTOMER, contact, message
from .plans import rows_touched

CUSTOMERS = 40
STATEMENTS = 22
"""Of a batch, however many customers it has: none for each."""
OPEN = 5000
EXPLAINED = ("log_min_duration = 0", "log_nested_statements = on", "log_analyze = on")

_FILL = f"""insert into whatsapp_atendimentos
        (owner_id, connection_id, numero_cliente, status, ultima_mensagem)
    select %s, 'loja', '55219' || (10000000 + n), 'AGUARDANDO', now() - n * interval '1 second'
    from generate_series({CUSTOMERS + 1}, {OPEN}) as n"""

ANALYZE = "analyze whatsapp_atendimentos, whatsapp_mensagens"
AGES = {
    "empty": [],
    "a batch old": ["batch"],
    "grown, with statistics to come": ["batch", "fill"],
    "grown, with statistics to come, for new customers": ["fill"],
    "grown, with statistics of its youth": ["one", ANALYZE, "fill", "one"],
    "grown, with plans of its youth": ["one", ANALYZE, *(["one"] * 9), "fill"],
    "grown": ["batch", "fill", ANALYZE],
}


@pytest.mark.parametrize("age", AGES)
def test_a_batch_is_looked_up_at_once_and_touches_its_own_rows_only(
    project: Project, age: str
) -> None:
    _bring_to(project, age)
    plans = _plans_of(project, _batch(project, CUSTOMERS))
    assert len(plans) <= STATEMENTS, [text for text, _ in plans]
    assert _touched(plans) <= 6 * CUSTOMERS, json.dumps(plans)


@pytest.mark.parametrize("age", AGES)
def test_what_is_learned_of_customers_touches_their_own_rows_only(
    project: Project, age: str
) -> None:
    _bring_to(project, age)
    project.ingest(*_batch(project, CUSTOMERS))
    plans = _plans_of(project, [_learned(project, n) for n in range(1, CUSTOMERS + 1)])
    assert _touched(plans) <= 8 * CUSTOMERS, json.dumps(plans)


_WAIT = """insert into zapvisor.pending_changes
        (id, owner_id, connection_id, numero_cliente, alvos, operacao, autor, seq, item)
    select gen_random_uuid(), %s, 'loja', '55219' || n %% 100, array[gen_random_uuid()],
           'reacao', 'x', n, '{}'
    from generate_series(1, 5000) as n"""


@pytest.mark.parametrize("analyzed", [False, True])
def test_changes_that_wait_cost_a_batch_nearly_nothing(project: Project, analyzed: bool) -> None:
    project.connection.execute(_WAIT, [project.owner])
    if analyzed:
        project.connection.execute("analyze zapvisor.pending_changes")
    batch = _batch(project, 0)
    lost = change_of(project, "00000000-0000-4000-8000-000000000000")
    project.ingest(lost | {"alvos": [batch[0]["id"]]})
    plans = _plans_of(project, batch)
    touched = sum(rows_touched(plan, "pending_changes") for _, plan in plans)
    assert touched <= 5, json.dumps(plans)
    assert len(plans) < CUSTOMERS, [text for text, _ in plans]


def change_of(project: Project, target: str) -> dict[str, Any]:
    return message(
        project.owner, kind="change", alvo=target, operacao="reacao", autor=CUSTOMER, valor="x"
    )


def _bring_to(project: Project, age: str) -> None:
    project.connection.execute("discard plans")
    project.connection.execute(ANALYZE)
    for step in AGES[age]:
        if step == "batch":
            project.ingest(*_batch(project, 0))
        elif step == "one":
            project.ingest(message(project.owner), _learned(project, 0))
        elif step == "fill":
            project.connection.execute(_FILL, [project.owner])
        else:
            project.connection.execute(step)


def _touched(plans: list[tuple[str, dict[str, Any]]]) -> float:
    return sum(rows_touched(plan, "whatsapp_atendimentos") for _, plan in plans)


def _number(n: int) -> str:
    return f"55219{10_000_000 + n}"


def _batch(project: Project, first: int) -> list[dict[str, Any]]:
    return [
        message(project.owner, first + n, numero_cliente=_number(n))
        for n in range(1, CUSTOMERS + 1)
    ]


def _learned(project: Project, n: int) -> dict[str, Any]:
    """The name of a customer; of every other one who it was known as, too."""
    alias = None if n % 2 else f"{n}@lid"
    return contact(project.owner, alias, _number(n), seq=n, nome_cliente=f"Ana {n}")


def _plans_of(project: Project, batch: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Text and plan of each statement that storing the batch takes, in functions too; foreign keys
    excepted."""
    told: list[str] = []
    connection = project.connection
    connection.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
    connection.execute("load 'auto_explain'")
    for setting in (*EXPLAINED, "log_format = json", "log_level = notice"):
        connection.execute(f"set auto_explain.{setting}")
    project.ingest(*batch)
    connection.execute("set auto_explain.log_min_duration = -1")
    plans = [json.loads(text.split("plan:\n", 1)[1]) for text in told if "plan:\n" in text]
    texts = [(plan["Query Text"].strip(), plan["Plan"]) for plan in plans]
    assert texts
    return [(text, plan) for text, plan in texts if not text.startswith("SELECT 1 FROM ONLY")]
