"""Edits, deletions, reactions, late content, reading, and names of one customer that become one."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from .conftest import Project
from .items import CUSTOMER, NOON, contact, message, results

LID = "123456789012345@lid"
WITHOUT_NINTH = "551187654321"


def change(project: Project, target: str, operation: str, seq: int, **changes: Any) -> dict:
    return message(
        project.owner,
        seq,
        kind="change",
        alvo=target,
        operacao=operation,
        autor="5511987654321",
        conteudo="Reagiu com 👍",
        tipo="SISTEMA",
        **changes,
    )


def stored(project: Project) -> dict[str, Any]:
    (row,) = project.rows("select conteudo, tipo, dados, lida from whatsapp_mensagens")
    return row


def test_a_reaction_annotates_the_message_and_the_last_one_counts(project: Project) -> None:
    item = message(project.owner, 1)
    first = change(project, item["id"], "reacao", 2, valor="👍")
    second = change(project, item["id"], "reacao", 3, valor="❤️")
    assert results(project.ingest(item, first, second)) == ["inserted", "updated", "updated"]
    assert stored(project)["dados"]["reacoes"]["5511987654321"]["emoji"] == "❤️"
    assert results(project.ingest(first)) == ["ignored"]
    project.ingest(change(project, item["id"], "reacao", 4, valor=""))
    assert stored(project)["dados"]["reacoes"]["5511987654321"]["emoji"] is None


def test_an_edit_replaces_the_text_and_keeps_the_one_before(project: Project) -> None:
    item = message(project.owner, 1, conteudo="um")
    edits = [
        change(project, item["id"], "edicao", 2, valor="dois"),
        change(project, item["id"], "edicao", 3, valor="três"),
    ]
    project.ingest(item)
    assert results(project.ingest(*edits)) == ["updated", "updated"]
    assert results(project.ingest(*edits)) == ["ignored", "ignored"]
    row = stored(project)
    assert row["conteudo"] == "três"
    assert [edit["antes"] for edit in row["dados"]["edicoes"]] == ["um", "dois"]


def test_a_deletion_is_a_note_and_the_text_stays(project: Project) -> None:
    item = message(project.owner, 1)
    gone = change(project, item["id"], "exclusao", 2)
    assert results(project.ingest(item, gone)) == ["inserted", "updated"]
    assert results(project.ingest(gone)) == ["ignored"]
    row = stored(project)
    assert row["conteudo"] == "Oi"
    assert row["dados"]["apagada"]["por"] == "5511987654321"


def test_nobody_changes_the_messages_of_another_owner(project: Project) -> None:
    item = message(project.owner, 1)
    project.ingest(item)
    stranger = str(project.add_owner())
    project.ingest(change(project, item["id"], "edicao", 2, valor="x") | {"owner_id": stranger})
    (row,) = project.rows(
        "select conteudo from whatsapp_mensagens where owner_id = %s", project.owner
    )
    assert row["conteudo"] == "Oi"


def test_content_fills_its_stub_once_also_in_one_batch(project: Project) -> None:
    stub = message(project.owner, 1, tipo="SISTEMA", conteudo="aguarde", dados={"stub": "x"})
    content = stub | {"seq": 2, "tipo": "TEXTO", "conteudo": "Oi!", "dados": None}
    assert results(project.ingest(stub, content)) == ["inserted", "updated"]
    assert results(project.ingest(stub, content)) == ["duplicate", "duplicate"]
    row = stored(project)
    assert (row["conteudo"], row["tipo"], row["dados"]) == ("Oi!", "TEXTO", None)


def test_reading_marks_the_message_and_those_before_it(project: Project) -> None:
    items = [
        message(project.owner, seq, timestamp=(NOON + timedelta(seconds=seq)).isoformat())
        for seq in range(1, 4)
    ]
    project.ingest(*items)
    read = {"kind": "read", "seq": 9, "owner_id": str(project.owner), "id": items[1]["id"]}
    assert results(project.ingest(read)) == ["updated"]
    rows = project.rows('select lida from whatsapp_mensagens order by "timestamp"')
    assert [row["lida"] for row in rows] == [True, True, False]
    assert results(project.ingest(read | {"id": str(uuid.uuid4())})) == ["ignored"]


def test_a_customer_with_or_without_the_ninth_digit_is_one(project: Project) -> None:
    project.ingest(message(project.owner, 1))
    project.ingest(message(project.owner, 2, numero_cliente=WITHOUT_NINTH))
    (row,) = project.rows("select numero_cliente from whatsapp_atendimentos")
    assert row["numero_cliente"] == CUSTOMER


def test_what_was_stored_under_a_lid_becomes_the_number_s(project: Project) -> None:
    project.ingest(message(project.owner, 1, numero_cliente=LID))
    assert results(project.ingest(contact(project.owner, LID))) == ["updated"]
    assert results(project.ingest(contact(project.owner, LID))) == ["ignored"]
    project.ingest(message(project.owner, 2))
    (row,) = project.rows("select numero_cliente from whatsapp_atendimentos")
    assert row["numero_cliente"] == CUSTOMER


def test_two_open_atendimentos_of_one_person_become_one_and_no_row_is_lost(
    project: Project,
) -> None:
    late = (NOON + timedelta(minutes=5)).isoformat()
    project.ingest(
        message(project.owner, 1, numero_cliente=LID),
        message(project.owner, 2, timestamp=late, remetente="ATENDENTE"),
        contact(project.owner, LID),
    )
    rows = project.rows(
        "select status, numero_cliente, ultima_mensagem, observacoes,"
        " (select count(*) from whatsapp_mensagens m where m.atendimento_id = a.id) as n"
        " from whatsapp_atendimentos a order by data_inicio"
    )
    assert [(row["numero_cliente"], row["n"]) for row in rows] == [(CUSTOMER, 2), (CUSTOMER, 0)]
    # The attendant wrote to the one that is closed: that person is attended all the same.
    assert [row["status"] for row in rows] == ["EM_ATENDIMENTO", "CANCELADO"]
    assert rows[0]["ultima_mensagem"] == NOON + timedelta(minutes=5)
    assert "Unido" in rows[1]["observacoes"]


def test_what_attendants_noted_of_both_goes_on(project: Project) -> None:
    project.ingest(message(project.owner, 1, numero_cliente=LID), message(project.owner, 2))
    project.connection.execute(
        "update whatsapp_atendimentos set tags = '[\"vip\"]' where numero_cliente = %s", (LID,)
    )
    project.connection.execute(
        'update whatsapp_atendimentos set tags = \'["vip", "Vendas"]\', prioridade = 7,'
        " foto_url = 'https://x/y' where numero_cliente = %s",
        (CUSTOMER,),
    )
    project.ingest(contact(project.owner, LID))
    (kept,) = project.rows(
        "select status, tags, prioridade, foto_url from whatsapp_atendimentos"
        " where status <> 'CANCELADO'"
    )
    assert kept == {
        "status": "AGUARDANDO",
        "tags": ["vip", "Vendas"],
        "prioridade": 7,
        "foto_url": "https://x/y",
    }


@pytest.mark.parametrize("theirs", ["null", '{"a": 1}', '"vip"'])
def test_tags_in_another_format_stay_and_keep_nobody_from_being_joined(
    project: Project, theirs: str
) -> None:
    project.ingest(message(project.owner, 1, numero_cliente=LID), message(project.owner, 2))
    project.connection.execute("update whatsapp_atendimentos set tags = %s", (theirs,))
    project.ingest(contact(project.owner, LID))
    rows = project.rows("select tags::text as tags from whatsapp_atendimentos")
    assert [row["tags"] for row in rows] == [theirs, theirs]


def test_a_new_atendimento_knows_the_customer_of_earlier_ones(project: Project) -> None:
    project.ingest(message(project.owner, 1, nome_cliente="Ana"))
    project.ingest(contact(project.owner, None, foto_url="https://x/y"))
    project.connection.execute("update whatsapp_atendimentos set status = 'FINALIZADO'")
    project.ingest(message(project.owner, 2, remetente="ATENDENTE"))
    project.ingest(message(project.owner, 3, numero_cliente="5521912345678"))
    rows = project.rows(
        "select nome_cliente, foto_url from whatsapp_atendimentos"
        " where status <> 'FINALIZADO' order by numero_cliente"
    )
    known, stranger = rows
    assert known == {"nome_cliente": "Ana", "foto_url": "https://x/y"}
    assert stranger == {"nome_cliente": None, "foto_url": None}


def test_a_picture_that_was_removed_is_shown_no_longer(project: Project) -> None:
    project.ingest(message(project.owner, 1), contact(project.owner, None, foto_url="https://x/y"))
    assert results(project.ingest(contact(project.owner, None, foto_url=""))) == ["updated"]
    (row,) = project.rows("select foto_url from whatsapp_atendimentos")
    assert row["foto_url"] is None


def test_name_and_picture_of_a_contact_are_taken_over(project: Project) -> None:
    project.ingest(message(project.owner, 1))
    item = contact(project.owner, None, WITHOUT_NINTH, nome_cliente="Ana", foto_url="https://x/y")
    assert results(project.ingest(item)) == ["updated"]
    (row,) = project.rows("select nome_cliente, foto_url from whatsapp_atendimentos")
    assert row == {"nome_cliente": "Ana", "foto_url": "https://x/y"}


@pytest.mark.parametrize(
    "broken",
    [{"alvo": None}, {"operacao": "outra"}, {"operacao": "edicao"}, {"autor": None}],
)
def test_an_incomplete_change_is_refused(project: Project, broken: dict[str, Any]) -> None:
    item = change(project, str(uuid.uuid4()), "reacao", 1, valor="👍") | {"valor": None}
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        project.ingest(item | broken)
