"""Whose change counts, and that it counts whenever it comes: before its message, or before what the
message says."""

from __future__ import annotations

import itertools
import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from .conftest import Project
from .items import CUSTOMER, NOON, contact, message, results

GROUP = "120363041234567890@g.us"
ANA, BIA = "5511987654321", "5521912345678"
LID = "123456789012345@lid"
CALL = "select public.zapvisor_ingest(%s)"


def change(project: Project, target: str, operation: str, seq: int, **changes: Any) -> dict:
    return message(
        project.owner,
        seq,
        kind="change",
        alvo=target,
        operacao=operation,
        conteudo="Alterou uma mensagem anterior.",
        tipo="SISTEMA",
        **{"autor": ANA, "valor": None, **changes},
    )


def of_member(project: Project, number: str, seq: int = 1, **changes: Any) -> dict[str, Any]:
    facts = {"participante": {"numero": number, "nome": None}}
    return message(project.owner, seq, numero_cliente=GROUP, dados=facts, **changes)


def rows(project: Project) -> list[dict[str, Any]]:
    return project.rows(
        "select id::text, conteudo, tipo, dados, midia_tipo from whatsapp_mensagens"
        " order by ordem, id"
    )


def waiting(project: Project) -> int:
    return len(project.rows("select from zapvisor.pending_changes"))


# --- authority


def test_in_a_group_an_edit_counts_from_its_author_alone(project: Project) -> None:
    item = of_member(project, ANA, conteudo="pedido confirmado: R$ 100")
    project.ingest(item)
    forged = change(
        project, item["id"], "edicao", 2, valor="R$ 10", autor=BIA, numero_cliente=GROUP
    )
    forged |= {"admin": True}
    assert results(project.ingest(forged)) == ["ignored"]
    assert rows(project)[0]["dados"] == item["dados"]
    honest = change(project, item["id"], "edicao", 3, valor="R$ 90", numero_cliente=GROUP)
    assert results(project.ingest(honest)) == ["updated"]
    assert rows(project)[0]["conteudo"] == "R$ 90"


def test_in_a_group_a_deletion_counts_from_the_author_and_from_an_admin(project: Project) -> None:
    item, other = of_member(project, ANA, 1), of_member(project, ANA, 2)
    project.ingest(item, other)
    forged = change(project, item["id"], "exclusao", 3, autor=BIA, numero_cliente=GROUP)
    assert results(project.ingest(forged, forged | {"admin": False})) == ["ignored", "ignored"]
    assert [row["dados"] for row in rows(project)] == [item["dados"], other["dados"]]
    by_admin = forged | {"id": str(uuid.uuid4()), "seq": 4, "admin": True}
    own = change(project, other["id"], "exclusao", 5, numero_cliente=GROUP)
    assert results(project.ingest(by_admin, own)) == ["updated", "updated"]
    assert [row["dados"]["apagada"]["por"] for row in rows(project)] == [BIA, ANA]


@pytest.mark.parametrize("operation", ["edicao", "exclusao"])
def test_a_customer_does_not_change_what_is_ours_nor_we_what_is_theirs(
    project: Project, operation: str
) -> None:
    ours = message(project.owner, 1, remetente="ATENDENTE")
    robot = message(project.owner, 2, remetente="SISTEMA")
    theirs = message(project.owner, 3)
    project.ingest(ours, robot, theirs)
    asked = [
        change(project, ours["id"], operation, 4, valor="x", admin=True),
        change(project, robot["id"], operation, 5, valor="x"),
        change(project, theirs["id"], operation, 6, valor="x", autor="eu"),
    ]
    assert results(project.ingest(*asked)) == ["ignored"] * 3
    honest = [
        change(project, ours["id"], operation, 7, valor="x", autor="eu"),
        change(project, robot["id"], operation, 8, valor="x", autor="eu"),
        change(project, theirs["id"], operation, 9, valor="x"),
    ]
    assert results(project.ingest(*honest)) == ["updated"] * 3


@pytest.mark.parametrize("operation", ["reacao", "edicao", "exclusao"])
@pytest.mark.parametrize("remetente", ["CLIENTE", "ATENDENTE"])
def test_nobody_reaches_a_message_of_another_chat_or_connection(
    project: Project, operation: str, remetente: str
) -> None:
    item = message(project.owner, 1, remetente=remetente)
    project.ingest(item, message(project.owner, 2, numero_cliente=BIA))
    asked = change(project, item["id"], operation, 3, valor="x", admin=True)
    elsewhere = {"autor": BIA, "numero_cliente": BIA}
    in_group = {"autor": BIA, "numero_cliente": GROUP}
    other = {"connection_id": "filial"}
    attempts = [asked | one | {"id": str(uuid.uuid4())} for one in (elsewhere, in_group, other)]
    assert results(project.ingest(*attempts)) == ["ignored"] * 3
    assert rows(project)[0]["dados"] is None


def test_a_group_admin_is_none_in_another_chat(project: Project) -> None:
    item = of_member(project, ANA)
    project.ingest(item)
    other = "120363041234567891@g.us"
    asked = change(project, item["id"], "exclusao", 2, autor=BIA, numero_cliente=other, admin=True)
    assert results(project.ingest(asked)) == ["ignored"]


@pytest.mark.parametrize(
    ("written_as", "changed_as"),
    [
        ("5511987654321", ["551187654321"]),
        ("551187654321", ["5511987654321@s.whatsapp.net"]),
        (LID, ["5511987654321", LID]),
        ("5511987654321", [LID, "5511987654321"]),
        (LID, ["123456789012345:12@lid"]),
        ("5511987654321", ["551187654321:3@s.whatsapp.net"]),
    ],
)
@pytest.mark.parametrize("group", [True, False])
def test_the_names_of_one_person_are_one_person(
    project: Project, written_as: str, changed_as: list[str], group: bool
) -> None:
    if group:
        item = of_member(project, written_as)
    else:
        item = message(project.owner, 1, numero_cliente=written_as)
    project.ingest(item)
    chat = GROUP if group else changed_as[0].partition(":")[0].removesuffix("@s.whatsapp.net")
    asked = {"autor": changed_as[0], "autores": changed_as, "numero_cliente": chat}
    if not group and "@lid" in changed_as[0]:
        asked["numero_cliente"] = LID
    edit = change(project, item["id"], "edicao", 2, valor="x", **asked)
    gone = change(project, item["id"], "exclusao", 3, **asked)
    liked = change(project, item["id"], "reacao", 4, **asked | {"valor": "👍"})
    assert results(project.ingest(edit, gone, liked)) == ["updated"] * 3


def test_a_message_is_found_under_each_id_that_its_author_may_have_given_it(
    project: Project,
) -> None:
    item = message(project.owner, 1, numero_cliente=LID)
    project.ingest(item)
    ids = [str(uuid.uuid4()), item["id"]]
    asked = change(project, ids[0], "edicao", 2, valor="x", alvos=ids, proprias=ids, autores=[ANA])
    assert results(project.ingest(asked)) == ["updated"]
    assert project.ingest(asked)[0]["alvo"] == item["id"]


def test_one_person_has_one_reaction_by_whatever_name(project: Project) -> None:
    item = message(project.owner, 1)
    names = {"autores": [LID, ANA]}
    project.ingest(
        item,
        change(project, item["id"], "reacao", 2, valor="👍", autor=LID, **names),
        change(project, item["id"], "reacao", 3, valor="❤️", **names),
    )
    assert {who: one["emoji"] for who, one in rows(project)[0]["dados"]["reacoes"].items()} == {
        ANA: "❤️"
    }


# --- changes that come first


def test_a_change_waits_for_its_message_and_begins_no_conversation(project: Project) -> None:
    item = message(project.owner, 9, conteudo="um")
    edit = change(project, item["id"], "edicao", 1, valor="dois")
    liked = change(project, item["id"], "reacao", 2, valor="👍")
    gone = change(project, item["id"], "exclusao", 3)
    assert results(project.ingest(edit, liked)) == ["waiting", "waiting"]
    assert results(project.ingest(gone, edit)) == ["waiting", "waiting"]
    assert rows(project) == project.rows("select from whatsapp_atendimentos") == []
    (answer,) = project.ingest(item)
    assert answer["result"] == "inserted"
    assert [made["operacao"] for made in answer["changes"]] == ["edicao", "reacao", "exclusao"]
    (row,) = rows(project)
    assert row["conteudo"] == "dois"
    assert row["dados"].keys() == {"edicoes", "reacoes", "apagada"}
    assert row["dados"]["edicoes"][0]["antes"] == "um"
    assert waiting(project) == 0
    assert results(project.ingest(edit, liked, gone, item)) == ["ignored"] * 3 + ["duplicate"]
    assert rows(project) == [row]


def test_who_may_not_change_a_message_may_not_by_coming_first(project: Project) -> None:
    item = of_member(project, ANA, 9)
    asked = {"autor": BIA, "numero_cliente": GROUP}
    project.ingest(
        change(project, item["id"], "edicao", 1, valor="x", **asked),
        change(project, item["id"], "exclusao", 2, **asked),
        change(project, item["id"], "reacao", 3, valor="👍", autor=BIA, numero_cliente=BIA),
    )
    (answer,) = project.ingest(item)
    assert "changes" not in answer
    assert rows(project)[0]["dados"] == item["dados"]
    assert waiting(project) == 0


def test_what_waits_is_its_owner_s(project: Project) -> None:
    item = message(project.owner, 9)
    stranger = str(project.add_owner())
    project.ingest(change(project, item["id"], "edicao", 1, valor="x") | {"owner_id": stranger})
    project.ingest(item)
    assert rows(project)[0]["conteudo"] == "Oi"
    assert waiting(project) == 1


def test_a_change_waits_for_a_message_of_the_robot_s_too(project: Project) -> None:
    (answer,) = project.ingest(message(project.owner, 1))
    item = message(
        project.owner,
        9,
        kind="placed",
        atendimento_id=answer["atendimento_id"],
        remetente="SISTEMA",
    )
    project.ingest(change(project, item["id"], "reacao", 2, valor="👍"))
    project.ingest(item)
    assert rows(project)[1]["dados"]["reacoes"][ANA]["emoji"] == "👍"


def test_a_message_and_its_change_at_the_same_time_do_not_miss_each_other(
    project: Project,
) -> None:
    for first_is_change in (True, False):
        item = message(project.owner, 1)
        edit = change(project, item["id"], "edicao", 2, valor="x")
        calls = [[edit], [item]] if first_is_change else [[item], [edit]]
        with (
            psycopg.connect(project.dsn) as one,
            psycopg.connect(project.dsn) as two,
            ThreadPoolExecutor(1) as pool,
        ):
            one.execute(CALL, [Jsonb(calls[0])])
            answer = pool.submit(two.execute, CALL, [Jsonb(calls[1])])
            while not project.rows("select from pg_locks where not granted"):
                assert not answer.done(), answer.result()
            one.commit()
            answer.result(10)
            two.commit()
        assert [row["conteudo"] for row in rows(project) if row["id"] == item["id"]] == ["x"]
    assert waiting(project) == 0


def test_what_waited_too_long_is_a_line_of_its_conversation_and_no_news(project: Project) -> None:
    lost = change(project, str(uuid.uuid4()), "reacao", 1, valor="👍")
    nobody = change(project, str(uuid.uuid4()), "reacao", 2, valor="👍", numero_cliente=BIA)
    project.ingest(lost, nobody)
    project.ingest(message(project.owner, 3, timestamp=(NOON + timedelta(hours=1)).isoformat()))
    place = project.rows("select ultima_mensagem, status from whatsapp_atendimentos")
    project.connection.execute(
        "update zapvisor.pending_changes set espera_desde = now() - interval '31 days'"
    )
    other = change(project, str(uuid.uuid4()), "exclusao", 4)
    assert results(project.ingest(other)) == ["waiting"]
    assert [row["conteudo"] for row in rows(project)] == ["Alterou uma mensagem anterior.", "Oi"]
    assert project.rows("select ultima_mensagem, status from whatsapp_atendimentos") == place
    assert waiting(project) == 1
    assert results(project.ingest(lost)) == ["duplicate"]


def test_one_chat_does_not_push_out_what_waits_for_another(project: Project) -> None:
    item = message(project.owner, 9999, numero_cliente=BIA)
    project.ingest(
        change(project, item["id"], "reacao", 1, valor="👍", autor=BIA, numero_cliente=BIA)
    )
    flood = [change(project, str(uuid.uuid4()), "reacao", seq, valor="👍") for seq in range(2, 300)]
    assert set(results(project.ingest(*flood))) == {"waiting"}
    assert waiting(project) == 201
    kept = {row["seq"] for row in project.rows("select seq from zapvisor.pending_changes")}
    assert kept == {1, *range(100, 300)}
    project.ingest(item)
    assert rows(project)[0]["dados"]["reacoes"][BIA]["emoji"] == "👍"


def test_nobody_but_the_service_role_sees_what_waits(project: Project) -> None:
    for role in ("anon", "authenticated"):
        with project.connection.transaction(force_rollback=True):
            project.connection.execute(f"set local role {role}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                project.connection.execute("select from zapvisor.pending_changes")


# --- content that comes late


def test_late_content_does_not_undo_what_happened_since(project: Project) -> None:
    stub = message(project.owner, 1, tipo="SISTEMA", conteudo="aguarde", dados={"stub": "x"})
    file = {"estado": "pending", "segundos": 3}
    content = stub | {
        "seq": 5,
        "tipo": "IMAGEM",
        "conteudo": "um",
        "midia_tipo": "image/webp",
        "dados": {"midia": file},
    }
    project.ingest(
        stub,
        change(project, stub["id"], "edicao", 2, valor="dois"),
        change(project, stub["id"], "reacao", 3, valor="👍"),
        change(project, stub["id"], "exclusao", 4),
    )
    told = [{"id": stub["id"], "midia": {"estado": "available"}, "tipo": "image/png"}]
    project.connection.execute("select zapvisor_media(%s)", [Jsonb(told)])
    assert results(project.ingest(content)) == ["updated"]
    (row,) = rows(project)
    assert (row["conteudo"], row["tipo"], row["midia_tipo"]) == ("dois", "IMAGEM", "image/png")
    assert row["dados"]["midia"] == {"estado": "available", "segundos": 3}
    assert row["dados"]["edicoes"][0]["antes"] == "um"
    assert row["dados"].keys() == {"midia", "edicoes", "reacoes", "apagada"}


def test_an_edit_that_comes_late_does_not_undo_a_later_one(project: Project) -> None:
    item = message(project.owner, 1, conteudo="um")

    def edit(seq: int, minute: int, text: str) -> dict[str, Any]:
        at = (NOON + timedelta(minutes=minute)).isoformat()
        return change(project, item["id"], "edicao", seq, valor=text, timestamp=at)

    project.ingest(item, edit(2, 2, "três"), edit(3, 1, "dois"), edit(4, 3, "quatro"))
    (row,) = rows(project)
    assert row["conteudo"] == "quatro"
    assert [one["antes"] for one in row["dados"]["edicoes"]] == ["um", "dois", "três"]


def test_the_first_text_and_the_last_edits_of_very_many_are_kept(project: Project) -> None:
    item = message(project.owner, 1, conteudo="um")
    edits = [change(project, item["id"], "edicao", n, valor=f"{n}") for n in range(2, 152)]
    project.ingest(item, *edits)
    (row,) = rows(project)
    known = [one["antes"] for one in row["dados"]["edicoes"]]
    assert (row["conteudo"], len(known), known[0], known[-1]) == ("151", 100, "um", "150")


@pytest.mark.parametrize(
    "facts",
    [
        [],
        "x",
        {"reacoes": [], "edicoes": {}, "apagada": "ontem"},
        {"reacoes": {ANA: {"em": "nunca", "ordem": "x"}}, "edicoes": [None, 7, {"em": {}}]},
    ],
)
def test_what_a_user_wrote_into_dados_stops_nobody(project: Project, facts: Any) -> None:
    item = message(project.owner, 1)
    project.ingest(item)
    project.connection.execute("update whatsapp_mensagens set dados = %s", [Jsonb(facts)])
    asked = [
        change(project, item["id"], "reacao", 2, valor="👍"),
        change(project, item["id"], "edicao", 3, valor="dois"),
        change(project, item["id"], "exclusao", 4),
        message(project.owner, 5, id=item["id"]),
    ]
    answers = results(project.ingest(*asked))
    assert answers[:2] == ["updated", "updated"]
    assert rows(project)[0]["conteudo"] == "dois"


def test_in_every_order_the_row_is_the_same_in_the_end(project: Project) -> None:
    """Each of them alone or with others in a call, some twice."""
    rng = random.Random(11)
    as_they_happened = None
    for round_ in range(60):
        project.connection.execute("truncate whatsapp_atendimentos cascade")
        items = _story(project)
        order = items if round_ == 0 else rng.sample(items, len(items))
        if round_ % 3 == 2:
            order = order + rng.sample(items, 3)
        for call in _cut(rng, order):
            project.ingest(*call)
        (row,) = rows(project)
        as_they_happened = as_they_happened or row
        assert row == as_they_happened, [item["seq"] for item in order]
        assert waiting(project) == 0
    assert as_they_happened is not None
    assert as_they_happened["conteudo"] == "três"


def _story(project: Project) -> list[dict[str, Any]]:
    ids = (str(uuid.UUID(int=n)) for n in itertools.count(1))
    target = next(ids)
    stub = message(project.owner, 1, id=target, tipo="SISTEMA", conteudo="?", dados={"stub": "x"})
    content = stub | {"seq": 7, "tipo": "TEXTO", "conteudo": "um", "dados": {"link": 1}}
    asked = [
        ("edicao", "dois", {}),
        ("reacao", "👍", {"autores": [LID]}),
        ("edicao", "três", {}),
        ("reacao", "❤️", {"autor": LID, "autores": [LID, CUSTOMER]}),
        ("exclusao", None, {}),
        ("edicao", "forjada", {"autor": BIA}),
        ("exclusao", None, {"autor": "eu"}),
    ]
    made = [
        change(project, target, operation, seq, id=next(ids), valor=value, **more)
        for seq, (operation, value, more) in enumerate(asked, 2)
    ]
    return [stub, *made, content]


def _cut(rng: random.Random, order: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    calls: list[list[dict[str, Any]]] = [[]]
    for item in order:
        if rng.random() < 0.5:
            calls.append([])
        calls[-1].append(item)
    return [call for call in calls if call]


def test_a_contact_that_is_learned_takes_changes_along(project: Project) -> None:
    """The message was stored under a LID, the change knows the number."""
    item = message(project.owner, 1, numero_cliente=LID)
    project.ingest(item)
    asked = change(project, item["id"], "edicao", 3, valor="x", autores=[ANA, LID])
    assert results(project.ingest(contact(project.owner, LID), asked)) == ["updated", "updated"]
