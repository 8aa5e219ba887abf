"""Messages: one row each, in the right atendimento."""

from __future__ import annotations

import uuid
from datetime import timedelta

from .conftest import Project
from .items import CUSTOMER, NOON, message, results

ATENDIMENTOS = "select * from whatsapp_atendimentos order by data_inicio, id"
OPEN_OLD = """insert into whatsapp_atendimentos (owner_id, numero_cliente)
    values (%s, %s) returning id"""
MESSAGES = "select * from whatsapp_mensagens order by ordem"


def test_a_first_message_opens_an_atendimento(project: Project) -> None:
    company = uuid.uuid4()
    item = message(
        project.owner, 7, nome_cliente="Maria", company_id=str(company), dados={"a": [1]}
    )
    (answer,) = project.ingest(item)
    (place,) = project.rows(ATENDIMENTOS)
    (row,) = project.rows(MESSAGES)
    assert answer == {"seq": 7, "result": "inserted", "atendimento_id": str(place["id"])}
    assert place["owner_id"] == project.owner
    assert place["company_id"] == company
    assert place["connection_id"] == "loja"
    assert place["numero_cliente"] == CUSTOMER
    assert place["nome_cliente"] == "Maria"
    assert place["status"] == "AGUARDANDO"
    assert place["canal"] == "whatsapp"
    assert place["data_inicio"] == place["ultima_mensagem"] == NOON
    assert str(row["id"]) == item["id"]
    assert row["atendimento_id"] == place["id"]
    assert (row["conteudo"], row["tipo"], row["remetente"]) == ("Oi", "TEXTO", "CLIENTE")
    assert (row["timestamp"], row["lida"], row["ordem"]) == (NOON, False, 7)
    assert (row["whatsapp_id"], row["connection_id"]) == (item["whatsapp_id"], "loja")
    assert (row["status"], row["status_em"], row["dados"]) == (None, None, {"a": [1]})


def test_media_and_status_columns_are_kept(project: Project) -> None:
    project.ingest(
        message(
            project.owner,
            tipo="IMAGEM",
            remetente="ATENDENTE",
            status="queued",
            lida=True,
            midia_url="https://example.test/a.png",
            midia_tipo="image/png",
            midia_nome="a.png",
            midia_tamanho=42,
        )
    )
    (row,) = project.rows(MESSAGES)
    assert (row["status"], row["status_em"], row["lida"]) == ("queued", NOON, True)
    assert (row["midia_url"], row["midia_tipo"]) == ("https://example.test/a.png", "image/png")
    assert (row["midia_nome"], row["midia_tamanho"]) == ("a.png", 42)


def test_missing_optional_keys_are_nulls(project: Project) -> None:
    item = message(project.owner)
    for key in ("nome_cliente", "lida", "whatsapp_id"):
        del item[key]
    assert results(project.ingest(item)) == ["inserted"]
    (row,) = project.rows(MESSAGES)
    assert (row["lida"], row["whatsapp_id"]) == (False, None)


def test_an_attendants_first_message_opens_it_in_attendance(project: Project) -> None:
    project.ingest(message(project.owner, 1, remetente="ATENDENTE"), message(project.owner, 2))
    (place,) = project.rows(ATENDIMENTOS)
    assert place["status"] == "EM_ATENDIMENTO"


def test_messages_of_one_customer_in_one_batch_join_one_atendimento(project: Project) -> None:
    later = (NOON + timedelta(seconds=5)).isoformat()
    earlier = (NOON - timedelta(seconds=5)).isoformat()
    answer = project.ingest(
        message(project.owner, 1),
        message(project.owner, 2, timestamp=later),
        message(project.owner, 3, timestamp=earlier),
    )
    (place,) = project.rows(ATENDIMENTOS)
    assert {entry["atendimento_id"] for entry in answer} == {str(place["id"])}
    assert place["data_inicio"] == NOON
    assert place["ultima_mensagem"] == NOON + timedelta(seconds=5)


def test_later_batches_join_the_open_atendimento(project: Project) -> None:
    (first,) = project.ingest(message(project.owner, 1))
    (second,) = project.ingest(message(project.owner, 2))
    assert first["atendimento_id"] == second["atendimento_id"]


def test_after_the_end_a_new_one_opens(project: Project) -> None:
    for end in ("FINALIZADO", "CANCELADO"):
        project.ingest(message(project.owner))
        project.rows("update whatsapp_atendimentos set status = %s returning id", end)
    (answer,) = project.ingest(message(project.owner))
    assert len(project.rows(ATENDIMENTOS)) == 3
    (open_,) = project.rows("select id from whatsapp_atendimentos where status = 'AGUARDANDO'")
    assert answer["atendimento_id"] == str(open_["id"])


def test_owners_connections_and_customers_are_kept_apart(project: Project) -> None:
    answer = project.ingest(
        message(project.owner, 1),
        message(project.add_owner(), 2),
        message(project.owner, 3, connection_id="filial"),
        message(project.owner, 4, numero_cliente="5521900000000"),
    )
    assert len({entry["atendimento_id"] for entry in answer}) == 4


def test_a_known_id_is_a_duplicate_and_touches_nothing(project: Project) -> None:
    item = message(project.owner, 1)
    (first,) = project.ingest(item)
    before = project.rows(ATENDIMENTOS)
    changed = {**item, "seq": 9, "timestamp": (NOON + timedelta(days=1)).isoformat()}
    (again,) = project.ingest({**changed, "nome_cliente": "Outra"})
    assert again == {"seq": 9, "result": "duplicate", "atendimento_id": first["atendimento_id"]}
    assert project.rows(ATENDIMENTOS) == before


def test_a_duplicate_of_a_closed_atendimento_opens_none(project: Project) -> None:
    item = message(project.owner, 1)
    project.ingest(item)
    project.rows("update whatsapp_atendimentos set status = 'FINALIZADO' returning id")
    assert results(project.ingest(item)) == ["duplicate"]
    assert len(project.rows(ATENDIMENTOS)) == 1


def test_a_duplicate_beside_a_new_message_stays_where_it_was(project: Project) -> None:
    old = message(project.owner, 1)
    (first,) = project.ingest(old)
    project.rows("update whatsapp_atendimentos set status = 'FINALIZADO' returning id")
    duplicate, new = project.ingest({**old, "seq": 2}, message(project.owner, 3))
    assert (duplicate["result"], new["result"]) == ("duplicate", "inserted")
    assert duplicate["atendimento_id"] == first["atendimento_id"] != new["atendimento_id"]


def test_an_id_twice_in_one_batch_is_stored_once(project: Project) -> None:
    item = message(project.owner, 1)
    assert results(project.ingest(item, {**item, "seq": 2})) == ["inserted", "duplicate"]
    assert [row["ordem"] for row in project.rows(MESSAGES)] == [1]


def test_the_last_message_time_never_moves_back(project: Project) -> None:
    project.ingest(message(project.owner, 1))
    project.ingest(message(project.owner, 2, timestamp=(NOON - timedelta(days=1)).isoformat()))
    (place,) = project.rows(ATENDIMENTOS)
    assert place["ultima_mensagem"] == place["data_inicio"] == NOON


def test_names_come_from_customers_alone(project: Project) -> None:
    project.ingest(message(project.owner, 1, nome_cliente="Loja", remetente="ATENDENTE"))
    assert project.rows(ATENDIMENTOS)[0]["nome_cliente"] is None
    project.ingest(message(project.owner, 2, nome_cliente="Maria"))
    project.ingest(message(project.owner, 3, nome_cliente="  "))
    project.ingest(message(project.owner, 4, nome_cliente=None))
    assert project.rows(ATENDIMENTOS)[0]["nome_cliente"] == "Maria"
    old = (NOON - timedelta(days=1)).isoformat()
    project.ingest(
        message(project.owner, 5, nome_cliente="Maria S.", timestamp=old),
        message(project.owner, 6, nome_cliente="Maria Souza", timestamp=old),
    )
    assert project.rows(ATENDIMENTOS)[0]["nome_cliente"] == "Maria Souza"


def test_it_adopts_the_newest_open_atendimento_of_the_earlier_system(project: Project) -> None:
    for status, days in (("FINALIZADO", 0), ("AGUARDANDO", 3), ("EM_ATENDIMENTO", 2)):
        project.rows(
            """insert into whatsapp_atendimentos (owner_id, numero_cliente, status, ultima_mensagem)
            values (%s, %s, %s, %s) returning id""",
            project.owner,
            CUSTOMER,
            status,
            NOON - timedelta(days=days),
        )
    (answer,) = project.ingest(message(project.owner))
    (adopted,) = project.rows("select * from whatsapp_atendimentos where connection_id = 'loja'")
    assert answer["atendimento_id"] == str(adopted["id"])
    assert (adopted["status"], adopted["ultima_mensagem"]) == ("EM_ATENDIMENTO", NOON)
    assert len(project.rows(ATENDIMENTOS)) == 3


def test_it_adopts_nothing_of_another_owner_or_number(project: Project) -> None:
    for owner, number in ((project.add_owner(), CUSTOMER), (project.owner, "5521900000000")):
        project.rows(
            OPEN_OLD,
            owner,
            number,
        )
    project.ingest(message(project.owner))
    assert len(project.rows(ATENDIMENTOS)) == 3


def test_two_connections_do_not_adopt_the_same_one(project: Project) -> None:
    project.rows(
        OPEN_OLD,
        project.owner,
        CUSTOMER,
    )
    first, second = project.ingest(
        message(project.owner, 1), message(project.owner, 2, connection_id="filial")
    )
    assert first["atendimento_id"] != second["atendimento_id"]
    rows = project.rows(ATENDIMENTOS)
    assert sorted(row["connection_id"] for row in rows) == ["filial", "loja"]


def test_where_a_front_end_reopened_one_the_newest_open_one_is_used(project: Project) -> None:
    project.ingest(message(project.owner, 1))
    project.rows("update whatsapp_atendimentos set status = 'FINALIZADO' returning id")
    (newer,) = project.ingest(
        message(project.owner, 2, timestamp=(NOON + timedelta(hours=1)).isoformat())
    )
    project.rows("update whatsapp_atendimentos set status = 'EM_ATENDIMENTO' returning id")
    (answer,) = project.ingest(message(project.owner, 3))
    assert answer["atendimento_id"] == newer["atendimento_id"]


def test_an_empty_batch_is_an_empty_answer(project: Project) -> None:
    assert project.ingest() == []


def test_results_keep_order_and_length_in_a_mixed_batch(project: Project) -> None:
    item = message(project.owner, 1)
    answer = project.ingest(
        {"kind": "status", "seq": 10, "id": item["id"], "status": "sent"},
        {"kind": "session", "seq": 11, "connection_id": "loja", "owner_id": str(project.owner),
         "status": "connected"},
        {**item, "seq": 12},
        {"kind": "status", "seq": 13, "id": str(uuid.uuid4()), "status": "sent"},
    )  # fmt: skip
    assert [entry["seq"] for entry in answer] == [10, 11, 12, 13]
    assert results(answer) == ["updated", "inserted", "inserted", "ignored"]
