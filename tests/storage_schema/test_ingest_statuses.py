"""Statuses of outgoing messages move forward only."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from .conftest import Project
from .items import NOON, message, results, status


@pytest.fixture
def sent(project: Project) -> str:
    """The id of an outgoing message without a status."""
    item = message(project.owner, remetente="ATENDENTE")
    project.ingest(item)
    return item["id"]


def state(project: Project) -> tuple[str | None, str | None]:
    (row,) = project.rows("select status, erro from whatsapp_mensagens")
    return row["status"], row["erro"]


def test_a_status_moves_forward_with_its_time(project: Project, sent: str) -> None:
    later = NOON + timedelta(seconds=3)
    (answer,) = project.ingest(status(sent, "sent", 4, at=later.isoformat()))
    (row,) = project.rows("select status, status_em, atendimento_id from whatsapp_mensagens")
    assert (row["status"], row["status_em"]) == ("sent", later)
    assert answer == {
        "seq": 4,
        "result": "updated",
        "atendimento_id": str(row["atendimento_id"]),
    }


@pytest.mark.parametrize(
    ("steps", "last"),
    [
        (["queued", "sent", "delivered", "read", "played"], "played"),
        (["read", "delivered", "sent", "queued"], "read"),
        (["sent", "failed"], "failed"),
        (["queued", "failed", "sent"], "failed"),
        (["delivered", "failed"], "delivered"),
        (["failed", "delivered"], "delivered"),
    ],
)
def test_the_furthest_counts_one_by_one_and_in_one_batch(
    project: Project, sent: str, steps: list[str], last: str
) -> None:
    other = message(project.owner, 2, remetente="ATENDENTE")
    project.ingest(other)
    for value in steps:
        project.ingest(status(sent, value))
    project.ingest(*(status(other["id"], value) for value in steps))
    assert {row["status"] for row in project.rows("select status from whatsapp_mensagens")} == {
        last
    }


def test_only_the_furthest_of_a_batch_reports_an_update(project: Project, sent: str) -> None:
    answer = project.ingest(
        status(sent, "sent", 1), status(sent, "read", 2), status(sent, "delivered", 3)
    )
    assert results(answer) == ["ignored", "updated", "ignored"]


def test_an_error_belongs_to_a_failure(project: Project, sent: str) -> None:
    project.ingest(status(sent, "failed", error="no route"))
    assert state(project) == ("failed", "no route")
    project.ingest(status(sent, "delivered"))
    assert state(project) == ("delivered", None)


def test_unknown_ids_and_steps_back_are_ignored(project: Project, sent: str) -> None:
    project.ingest(status(sent, "read"))
    answer = project.ingest(status(str(uuid.uuid4()), "read"), status(sent, "read"))
    assert results(answer) == ["ignored", "ignored"]
    assert answer[0]["atendimento_id"] is None


def test_a_status_may_come_before_its_message_in_the_batch(project: Project) -> None:
    item = message(project.owner, 2, status="queued", remetente="ATENDENTE")
    assert results(project.ingest(status(item["id"], "sent", 1), item)) == ["updated", "inserted"]
    assert state(project) == ("sent", None)
