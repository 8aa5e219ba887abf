"""Messages that name their atendimento: the robot's, which must never open one."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from .conftest import Project
from .items import NOON, message, results, status


@pytest.fixture
def place(project: Project) -> str:
    (answer,) = project.ingest(message(project.owner, 1))
    return answer["atendimento_id"]


def placed(owner: uuid.UUID, place: str, seq: int = 2, **changes: Any) -> dict[str, Any]:
    return message(
        owner,
        seq,
        kind="placed",
        atendimento_id=place,
        remetente="SISTEMA",
        conteudo="Até logo!",
        timestamp=(NOON + timedelta(seconds=seq)).isoformat(),
        **changes,
    )


def test_a_message_joins_the_atendimento_it_names_even_when_that_is_closed(
    project: Project, place: str
) -> None:
    project.rows("update whatsapp_atendimentos set status = 'FINALIZADO' returning id")
    (answer,) = project.ingest(placed(project.owner, place))
    assert answer == {"seq": 2, "result": "inserted", "atendimento_id": place}
    (row,) = project.rows("select status, ultima_mensagem from whatsapp_atendimentos")
    assert row == {"status": "FINALIZADO", "ultima_mensagem": NOON + timedelta(seconds=2)}
    rows = project.rows("select remetente, ordem from whatsapp_mensagens order by ordem")
    assert rows[1] == {"remetente": "SISTEMA", "ordem": 2}


def test_repeating_it_changes_nothing(project: Project, place: str) -> None:
    item = placed(project.owner, place)
    assert results(project.ingest(item, item)) == ["inserted", "duplicate"]
    assert results(project.ingest(item)) == ["duplicate"]
    assert len(project.rows("select from whatsapp_mensagens")) == 2


def test_it_comes_after_the_messages_and_before_the_statuses_of_its_batch(
    project: Project, place: str
) -> None:
    item = placed(project.owner, place, 2, status="queued")
    answers = project.ingest(status(item["id"], "sent", 1), item, message(project.owner, 3))
    assert results(answers) == ["updated", "inserted", "inserted"]
    (row,) = project.rows("select status from whatsapp_mensagens where remetente = 'SISTEMA'")
    assert row["status"] == "sent"


def test_without_its_atendimento_it_is_ignored(project: Project, place: str) -> None:
    stranger = project.add_owner()
    answers = project.ingest(
        placed(project.owner, str(uuid.uuid4()), 2), placed(stranger, place, 3)
    )
    assert results(answers) == ["ignored", "ignored"]
    assert [answer["atendimento_id"] for answer in answers] == [None, None]
    assert len(project.rows("select from whatsapp_mensagens")) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, ["Vendas"]),
        ("null", ["Vendas"]),
        ("[]", ["Vendas"]),
        ('["vip"]', ["vip", "Vendas"]),
        ('["Vendas"]', ["Vendas"]),
        ('{"a": 1}', {"a": 1}),
    ],
)
def test_its_tag_is_added_once(project: Project, place: str, before: str, after: Any) -> None:
    project.rows("update whatsapp_atendimentos set tags = %s::jsonb returning id", before)
    item = placed(project.owner, place, tag="Vendas")
    project.ingest(item)
    project.ingest(item)
    (row,) = project.rows("select tags from whatsapp_atendimentos")
    assert row["tags"] == after


def test_it_needs_an_atendimento_to_name(project: Project, place: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        project.ingest({**placed(project.owner, place), "atendimento_id": None})


def test_one_robot_per_owner_without_a_company(project: Project) -> None:
    insert = (
        "insert into whatsapp_configuracoes (owner_id, nome, mensagem_boas_vindas,"
        " mensagem_menu, mensagem_despedida) values (%s, 'Robô', 'Oi', '1 - A', 'Tchau')"
        " returning id"
    )
    project.rows(insert, project.owner)
    with pytest.raises(psycopg.errors.UniqueViolation):
        project.rows(insert, project.owner)
    assert project.rows(insert, project.add_owner())
