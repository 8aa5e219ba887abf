"""A row is a stranger's input: what users may write, and what the ingest touches of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from .conftest import Project, service_role
from .items import CUSTOMER, NOON, contact, message, results, session, status

OTHERS = "5521999990000"


@pytest.fixture
def stranger(project: Project) -> uuid.UUID:
    """Another owner, signed in; `project.owner` has the connection "loja", it has "banca"."""
    other = project.add_owner()
    project.ingest(session(project.owner, "connected"))
    project.ingest(session(other, "connected", connection_id="banca"))
    return other


@contextmanager
def signed_in(project: Project, owner: uuid.UUID) -> Iterator[None]:
    with project.connection.transaction():
        project.connection.execute(
            "select set_config('request.jwt.claims', %s, true)",
            [f'{{"sub": "{owner}", "role": "authenticated"}}'],
        )
        project.connection.execute("set local role authenticated")
        yield


@contextmanager
def from_before(project: Project) -> Iterator[None]:
    """Rows that were written when nothing refused them."""
    with project.connection.transaction():
        project.connection.execute("set local session_replication_role = replica")
        yield


def insert(project: Project, table: str, **row: Any) -> uuid.UUID:
    names = ", ".join(f'"{name}"' for name in row)
    places = ", ".join(["%s"] * len(row))
    [made] = project.rows(
        f"insert into public.{table} ({names}) values ({places}) returning id", *row.values()
    )
    return made["id"]


def atendimento_of(project: Project, owner: uuid.UUID) -> uuid.UUID:
    [row] = project.rows("select id from whatsapp_atendimentos where owner_id = %s", owner)
    return row["id"]


def a_row(owner: uuid.UUID, place: uuid.UUID, **changes: Any) -> dict[str, Any]:
    return {
        "owner_id": owner,
        "atendimento_id": place,
        "conteudo": "x",
        "remetente": "CLIENTE",
        **changes,
    }


# --- what users may write


def test_a_row_points_at_nothing_of_another_owner(project: Project, stranger: uuid.UUID) -> None:
    project.ingest(message(project.owner), message(stranger, 2, connection_id="banca"))
    theirs, own = atendimento_of(project, project.owner), atendimento_of(project, stranger)
    forged = [
        ("whatsapp_mensagens", a_row(stranger, own, connection_id="loja")),
        ("whatsapp_mensagens", a_row(stranger, theirs)),
        ("whatsapp_mensagens", a_row(stranger, theirs, connection_id="loja")),
        (
            "whatsapp_atendimentos",
            {"owner_id": stranger, "numero_cliente": CUSTOMER, "connection_id": "loja"},
        ),
        (
            "whatsapp_sessions",
            {"owner_id": stranger, "session_name": "x", "connection_id": "loja"},
        ),
    ]
    for table, row in forged:
        # Nobody: neither a user nor the service role nor the owner of the tables.
        with pytest.raises(psycopg.errors.IntegrityError), signed_in(project, stranger):
            insert(project, table, **row)
        with pytest.raises(psycopg.errors.IntegrityError), service_role(project.connection):
            insert(project, table, **row)
        with pytest.raises(psycopg.errors.IntegrityError):
            insert(project, table, **row)


def test_a_row_is_not_moved_to_what_is_anothers(project: Project, stranger: uuid.UUID) -> None:
    project.ingest(message(project.owner), message(stranger, 2, connection_id="banca"))
    theirs = atendimento_of(project, project.owner)
    for table, change, value in (
        ("whatsapp_mensagens", "connection_id", "loja"),
        ("whatsapp_mensagens", "atendimento_id", theirs),
        ("whatsapp_atendimentos", "connection_id", "loja"),
        ("whatsapp_sessions", "connection_id", "loja"),
    ):
        with pytest.raises(psycopg.errors.IntegrityError), signed_in(project, stranger):
            project.connection.execute(f"update public.{table} set {change} = %s", [value])


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "294276-01-01", "0044-03-15 BC"])
def test_a_time_that_cannot_be_is_about_now_whoever_writes_it(
    project: Project, stranger: uuid.UUID, moment: str
) -> None:
    project.ingest(message(stranger, connection_id="banca"))
    for table, column in (
        ("whatsapp_mensagens", "timestamp"),
        ("whatsapp_atendimentos", "ultima_mensagem"),
        ("whatsapp_atendimentos", "data_inicio"),
        ("whatsapp_sessions", "connected_at"),
    ):
        with signed_in(project, stranger):
            project.connection.execute(f'update public.{table} set "{column}" = %s', [moment])
        [row] = project.rows(f'select "{column}" from public.{table} where owner_id = %s', stranger)
        assert abs(row[column] - datetime.now(UTC)) < timedelta(minutes=1)
    robot = {
        "owner_id": stranger,
        "nome": "r",
        "mensagem_boas_vindas": "",
        "mensagem_menu": "",
        "mensagem_despedida": "",
        "updated_at": moment,
    }
    with signed_in(project, stranger):
        insert(project, "whatsapp_configuracoes", **robot)
    [row] = project.rows("select updated_at from whatsapp_configuracoes")
    assert abs(row["updated_at"] - datetime.now(UTC)) < timedelta(minutes=1)


def test_front_ends_work_as_before(project: Project, stranger: uuid.UUID) -> None:
    """Rows without a connection, in atendimentos of one's own; and all that is changed of them."""
    with signed_in(project, stranger):
        place = insert(project, "whatsapp_atendimentos", owner_id=stranger, numero_cliente=CUSTOMER)
        insert(project, "whatsapp_mensagens", **a_row(stranger, place))
        insert(project, "whatsapp_mensagens", **a_row(stranger, place, connection_id="banca"))
        insert(project, "whatsapp_sessions", owner_id=stranger, session_name="x")
        for change in (
            "status = 'FINALIZADO', data_fim = now()",
            "ultima_mensagem = now()",
            "nome_cliente = 'João'",
            "connection_id = 'banca'",
        ):
            project.connection.execute(f"update public.whatsapp_atendimentos set {change}")
        project.connection.execute("update public.whatsapp_mensagens set lida = true")


def test_a_bad_row_of_before_can_still_be_changed(project: Project, stranger: uuid.UUID) -> None:
    project.ingest(message(project.owner))
    theirs = atendimento_of(project, project.owner)
    with from_before(project):
        insert(project, "whatsapp_mensagens", **a_row(stranger, theirs, connection_id="loja"))
    with signed_in(project, stranger):
        project.connection.execute("update public.whatsapp_mensagens set conteudo = 'y'")
        project.connection.execute("delete from public.whatsapp_mensagens")


# --- ids that can be told beforehand


def test_a_message_whose_id_is_taken_is_refused_and_its_neighbours_are_not(
    project: Project, stranger: uuid.UUID
) -> None:
    project.ingest(message(stranger, connection_id="banca"))
    own = atendimento_of(project, stranger)
    item = message(project.owner, 7)
    with signed_in(project, stranger):
        insert(project, "whatsapp_mensagens", id=item["id"], **a_row(stranger, own))
    first, second, third = project.ingest(
        message(project.owner, 6), item, message(project.owner, 8)
    )
    assert results([first, second, third]) == ["inserted", "refused", "inserted"]
    assert second["code"] == "id_taken"
    assert second["atendimento_id"] is None

    # What is told of it later touches the other's row neither.
    whose = {"owner_id": str(project.owner), "connection_id": "loja"}
    told = project.ingest(status(item["id"], "read", **whose))
    assert results(told) == ["ignored"]
    assert told[0]["atendimento_id"] is None
    project.rows(
        "select public.zapvisor_media(%s::jsonb)",
        f'[{{"id": "{item["id"]}", "owner_id": "{project.owner}", "midia": {{"estado": "x"}}}}]',
    )
    [row] = project.rows("select * from whatsapp_mensagens where id = %s", item["id"])
    assert (row["owner_id"], row["conteudo"], row["status"], row["dados"]) == (
        stranger,
        "x",
        None,
        None,
    )

    # When the row is gone, the dead letter goes through.
    project.connection.execute("delete from whatsapp_mensagens where id = %s", [item["id"]])
    assert results(project.ingest(item)) == ["inserted"]
    assert results(project.ingest(item)) == ["duplicate"]


def test_a_new_customer_whose_message_is_refused_opens_nothing(
    project: Project, stranger: uuid.UUID
) -> None:
    project.ingest(message(stranger, connection_id="banca"))
    item = message(project.owner, 7)
    taken = a_row(stranger, atendimento_of(project, stranger))
    insert(project, "whatsapp_mensagens", id=item["id"], **taken)
    assert results(project.ingest(item)) == ["refused"]
    assert not project.rows(
        "select id from whatsapp_atendimentos where owner_id = %s", project.owner
    )


def test_an_id_taken_by_another_connection_of_the_owner_is_refused(project: Project) -> None:
    item = message(project.owner)
    project.ingest(item)
    assert results(project.ingest({**item, "connection_id": "filial"})) == ["refused"]


def test_what_is_placed_is_refused_in_the_same_way(project: Project, stranger: uuid.UUID) -> None:
    project.ingest(message(project.owner), message(stranger, 2, connection_id="banca"))
    theirs, own = atendimento_of(project, project.owner), atendimento_of(project, stranger)
    item = message(project.owner, 9, kind="placed", atendimento_id=str(theirs), remetente="SISTEMA")
    insert(project, "whatsapp_mensagens", id=item["id"], **a_row(stranger, own))
    [answer] = project.ingest(item)
    assert (answer["result"], answer["code"]) == ("refused", "id_taken")
    elsewhere = message(project.owner, 10, kind="placed", atendimento_id=str(own))
    assert results(project.ingest(elsewhere)) == ["ignored"]


# --- what the ingest follows


def test_reading_a_row_marks_no_row_of_another_owner(project: Project, stranger: uuid.UUID) -> None:
    project.ingest(message(project.owner))
    theirs = atendimento_of(project, project.owner)
    forged = uuid.uuid4()
    with from_before(project):
        insert(project, "whatsapp_mensagens", id=forged, **a_row(stranger, theirs))
    read = {"kind": "read", "seq": 3, "id": str(forged), "owner_id": str(stranger)}
    assert results(project.ingest(read)) == ["ignored"]
    [row] = project.rows("select lida from whatsapp_mensagens where owner_id = %s", project.owner)
    assert row["lida"] is False


def test_reading_ones_own_marks_no_row_that_somebody_put_there(
    project: Project, stranger: uuid.UUID
) -> None:
    item = message(project.owner)
    project.ingest(item)
    with from_before(project):
        insert(
            project,
            "whatsapp_mensagens",
            **a_row(stranger, atendimento_of(project, project.owner), timestamp=NOON),
        )
    read = {"kind": "read", "seq": 3, "id": item["id"], "owner_id": str(project.owner)}
    assert results(project.ingest(read)) == ["updated"]
    marked = project.rows("select owner_id from whatsapp_mensagens where lida")
    assert [row["owner_id"] for row in marked] == [project.owner]


# --- whose a connection is


def test_the_runtime_says_whose_a_connection_is(project: Project, stranger: uuid.UUID) -> None:
    """An id that somebody wrote before the connection was made is not theirs, nor is the row."""
    with signed_in(project, stranger):
        squat = insert(
            project,
            "whatsapp_sessions",
            owner_id=stranger,
            session_name="minha",
            connection_id="futura",
            phone_number="5500000000000",
        )
    made = session(project.owner, "connecting", connection_id="futura", session_name="Futura")
    assert results(project.ingest(made)) == ["inserted"]
    [row] = project.rows("select * from whatsapp_sessions where connection_id = 'futura'")
    assert (row["owner_id"], row["session_name"]) == (project.owner, "Futura")
    assert row["phone_number"] is None
    [row] = project.rows("select * from whatsapp_sessions where id = %s", squat)
    assert (row["owner_id"], row["connection_id"]) == (stranger, None)
    for _ in range(2):
        assert results(project.ingest({**made, "status": "connected"})) == ["updated"]
    with pytest.raises(psycopg.errors.IntegrityError), signed_in(project, stranger):
        project.connection.execute(
            "update whatsapp_sessions set connection_id = 'futura' where id = %s", [squat]
        )


def test_users_see_nothing_of_whose_connections_are(project: Project, stranger: uuid.UUID) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), signed_in(project, stranger):
        project.rows("select * from zapvisor.connections")


# --- names


def name(project: Project) -> str | None:
    [row] = project.rows("select nome_cliente from whatsapp_atendimentos order by data_inicio desc")
    found: str | None = row["nome_cliente"]
    return found


def test_a_name_follows_whatsapp_until_a_person_writes_one(project: Project) -> None:
    owner = project.owner
    project.ingest(message(owner, 1, nome_cliente="Jô"))
    assert name(project) == "Jô"
    project.ingest(message(owner, 2, nome_cliente="Joana"))
    assert name(project) == "Joana"
    project.ingest(message(owner, 3, nome_cliente="."))
    assert name(project) == "Joana"
    with signed_in(project, owner):
        project.connection.execute(
            "update whatsapp_atendimentos set nome_cliente = 'Joana (Padaria)'"
        )
    project.ingest(message(owner, 4, nome_cliente="Jojô"))
    project.ingest(contact(owner, None, nome_cliente="Jojoca"))
    assert name(project) == "Joana (Padaria)"
    [row] = project.rows("select nome_whatsapp from whatsapp_atendimentos")
    assert row["nome_whatsapp"] == "Jojoca"


def test_a_new_atendimento_keeps_what_a_person_called_the_customer(project: Project) -> None:
    owner = project.owner
    project.ingest(message(owner, 1, nome_cliente="Jô"))
    project.connection.execute(
        "update whatsapp_atendimentos set nome_cliente = 'João', status = 'FINALIZADO'"
    )
    project.ingest(message(owner, 2, nome_cliente="Jô", timestamp=datetime.now(UTC).isoformat()))
    assert [row["nome_cliente"] for row in project.rows("select * from whatsapp_atendimentos")] == [
        "João",
        "João",
    ]


def test_a_name_of_before_stays(project: Project) -> None:
    """Nobody knows who wrote it."""
    owner = project.owner
    insert(
        project,
        "whatsapp_atendimentos",
        owner_id=owner,
        numero_cliente=CUSTOMER,
        connection_id="loja",
        nome_cliente="João da Silva",
    )
    project.ingest(message(owner, nome_cliente="Jô"))
    assert name(project) == "João da Silva"


def test_of_two_that_become_one_the_name_that_a_person_wrote_is_kept(project: Project) -> None:
    owner = project.owner
    project.ingest(message(owner, 1, numero_cliente="1@lid", nome_cliente="Jô"))
    project.ingest(message(owner, 2, nome_cliente="Jô da loja"))
    project.connection.execute(
        "update whatsapp_atendimentos set nome_cliente = 'João' where numero_cliente = %s",
        [CUSTOMER],
    )
    project.ingest(contact(owner, "1@lid"))
    [row] = project.rows(
        "select nome_cliente from whatsapp_atendimentos where status = 'AGUARDANDO'"
    )
    assert row["nome_cliente"] == "João"


# --- the clock


@pytest.mark.parametrize("moment", ["infinity", "-infinity", "2999-01-01", "1969-12-31"])
def test_a_time_that_cannot_be_is_that_of_the_arrival(project: Project, moment: str) -> None:
    project.ingest(message(project.owner, timestamp=moment))
    [row] = project.rows(
        'select m."timestamp", a.ultima_mensagem, a.data_inicio from whatsapp_mensagens m'
        " join whatsapp_atendimentos a on a.id = m.atendimento_id"
    )
    for found in row.values():
        assert abs(found - datetime.now(UTC)) < timedelta(minutes=1)


def test_what_stood_on_top_for_ever_comes_down_with_the_next_message(project: Project) -> None:
    project.ingest(message(project.owner))
    with from_before(project):
        project.connection.execute("update whatsapp_atendimentos set ultima_mensagem = 'infinity'")
    at = datetime.now(UTC) - timedelta(minutes=3)
    project.ingest(message(project.owner, 2, timestamp=at.isoformat()))
    [row] = project.rows("select ultima_mensagem from whatsapp_atendimentos")
    assert row["ultima_mensagem"] == at


def test_what_we_sent_takes_whatsapps_time(project: Project) -> None:
    owner = project.owner
    ours = message(owner, 1, remetente="ATENDENTE", status="queued")
    project.ingest(ours)
    answered = NOON + timedelta(hours=1)
    project.ingest(message(owner, 2, timestamp=answered.isoformat()))
    sent = NOON + timedelta(hours=2)
    whose = {"owner_id": str(owner), "connection_id": "loja"}
    project.ingest(
        status(ours["id"], "sent", 3, at=sent.isoformat(), **whose),
        status(ours["id"], "delivered", 4, at=(sent + timedelta(seconds=9)).isoformat(), **whose),
    )
    rows = project.rows('select * from whatsapp_mensagens order by "timestamp"')
    assert [row["ordem"] for row in rows] == [2, 1]
    assert rows[1]["timestamp"] == sent
    assert rows[1]["status"] == "delivered"
    [row] = project.rows("select ultima_mensagem from whatsapp_atendimentos")
    assert row["ultima_mensagem"] == sent
    # Only once: what is told again later moves nothing.
    project.ingest(status(ours["id"], "sent", 5, at=(sent + timedelta(hours=1)).isoformat()))
    [row] = project.rows("select * from whatsapp_mensagens where ordem = 1")
    assert row["timestamp"] == sent


def test_our_clock_that_goes_ahead_leaves_nothing_on_top(project: Project) -> None:
    now = datetime.now(UTC)
    ahead = now + timedelta(minutes=4)
    ours = message(project.owner, 1, remetente="ATENDENTE", status="queued")
    project.ingest({**ours, "timestamp": ahead.isoformat()})
    project.ingest(status(ours["id"], "sent", 2, at=now.isoformat()))
    [row] = project.rows("select ultima_mensagem from whatsapp_atendimentos")
    assert row["ultima_mensagem"] == now
