"""Sessions: one row per connection, brought to its last state."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from .conftest import Project
from .items import NOON, results, session


def row(project: Project) -> dict[str, Any]:
    (found,) = project.rows("select * from whatsapp_sessions")
    return found


def at(minutes: int) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_a_new_connection_gets_a_row(project: Project) -> None:
    (answer,) = project.ingest(session(project.owner, "connecting", 3, qr_code="2@abc"))
    assert answer == {"seq": 3, "result": "inserted", "atendimento_id": None}
    found = row(project)
    assert (found["connection_id"], found["session_name"]) == ("loja", "Loja")
    assert (found["owner_id"], found["status"]) == (project.owner, "connecting")
    assert (found["qr_code"], found["connected_at"]) == ("2@abc", None)


def test_it_follows_the_connection(project: Project) -> None:
    project.ingest(session(project.owner, "connecting", qr_code="2@abc"))
    info = {"platform": "android"}
    answer = project.ingest(
        session(
            project.owner,
            "connected",
            at=at(1).isoformat(),
            phone_number="5511900000000",
            whatsapp_id="5511900000000:3@s.whatsapp.net",
            whatsapp_info=info,
        )
    )
    assert results(answer) == ["updated"]
    found = row(project)
    assert (found["status"], found["qr_code"]) == ("connected", None)
    assert (found["connected_at"], found["disconnected_at"]) == (at(1), None)
    assert (found["phone_number"], found["whatsapp_info"]) == ("5511900000000", info)
    project.ingest(session(project.owner, "disconnected", at=at(2).isoformat()))
    found = row(project)
    assert (found["connected_at"], found["disconnected_at"]) == (at(1), at(2))
    assert found["phone_number"] == "5511900000000"


def test_times_belong_to_changes_and_not_to_repetitions(project: Project) -> None:
    for minute, value in enumerate(("connected", "connected", "error", "disconnected")):
        project.ingest(session(project.owner, value, at=at(minute).isoformat()))
    found = row(project)
    assert (found["status"], found["connected_at"]) == ("disconnected", at(0))
    assert found["disconnected_at"] == at(2)


def test_the_last_of_a_batch_wins_and_no_time_is_lost(project: Project) -> None:
    answer = project.ingest(
        session(project.owner, "connected", 1, at=at(1).isoformat()),
        session(project.owner, "error", 2, at=at(2).isoformat(), phone_number="5511900000000"),
        session(project.owner, "connecting", 3, at=at(3).isoformat(), qr_code="2@xyz"),
    )
    assert results(answer) == ["ignored", "ignored", "inserted"]
    found = row(project)
    assert (found["status"], found["qr_code"]) == ("connecting", "2@xyz")
    assert (found["connected_at"], found["disconnected_at"]) == (at(1), at(2))
    assert found["phone_number"] == "5511900000000"


def test_without_a_name_the_connection_id_serves(project: Project) -> None:
    project.ingest(session(project.owner, "connecting", session_name=None))
    assert row(project)["session_name"] == "loja"
    project.ingest(session(project.owner, "connecting", session_name="Loja nova"))
    project.ingest(session(project.owner, "connecting", session_name=None))
    assert row(project)["session_name"] == "Loja nova"


def test_connections_have_rows_of_their_own(project: Project) -> None:
    answer = project.ingest(
        session(project.owner, "connected", 1),
        session(project.add_owner(), "connecting", 2, connection_id="filial"),
    )
    assert results(answer) == ["inserted", "inserted"]
    assert len(project.rows("select from whatsapp_sessions")) == 2


def test_updated_at_is_maintained(project: Project) -> None:
    project.ingest(session(project.owner, "connecting"))
    project.rows(
        "update whatsapp_sessions set updated_at = '2020-01-01', status = 'error' returning id"
    )
    assert row(project)["updated_at"].year > 2020
