"""Rows that somebody wrote by hand: nobody acts through another's number, no call fails for them.

Azul may write what row-level security lets every signed-in user write, and does.
"""

from __future__ import annotations

import uuid
from itertools import product as combinations

import httpx
import pytest

from tests import hostile

from .conftest import fresh_number
from .harness import API_KEY, Shop, until

API = "/api/whatsapp-integration"
REFUSED = {(404, "connection_not_found"), (404, "message_not_found"), (409, "unreadable_row")}


@pytest.fixture(scope="module")
def shops(shared_product, simulator):
    """Two owners, each with a customer who wrote once; their row and its atendimento."""
    made = []
    for name in ("rows-rosa", "rows-azul"):
        shop = Shop(shared_product, simulator, name, fresh_number()).pair()
        shop.customer = fresh_number("55219")
        simulator.post("/contacts", number=shop.customer, name="Maria")
        simulator.post(f"/contacts/{shop.customer}/send", to=shop.number, text=f"para {name}")
        until(shop.rows, what="the conversation")
        [(shop.message, shop.place, shop.whatsapp_id)] = shared_product.query(
            "select id::text, atendimento_id::text, whatsapp_id from whatsapp_mensagens"
            " where owner_id = %s",
            shop.owner,
        )
        made.append(shop)
    return made


@pytest.fixture
def database(shared_product):
    with hostile.past_triggers(shared_product.stack.dsn) as connection:
        yield connection


@pytest.fixture
def call(shared_product, shops):
    """A call with the token of Azul; its status and code."""
    token = shared_product.stack.user_token(shops[1].owner)

    def call(method, path, *, credential=token, **options):
        for _ in range(3):
            response = httpx.request(
                method,
                f"http://127.0.0.1:{shared_product.port}{API}{path}",
                headers={"Authorization": f"Bearer {credential}"},
                timeout=30,
                **options,
            )
            if '"code":"network"' not in response.text:  # a socket that broke is no row's doing
                break
        assert response.status_code < 500, (method, path, response.text)
        if response.headers["content-type"] != "application/json":
            return response.status_code, None
        return response.status_code, response.json().get("code")

    return call


def acts(row):
    """Every call that acts by a row."""
    path = f"/messages/{row}"
    return [
        ("POST", f"{path}/read", None),
        ("POST", f"{path}/reaction", {"emoji": "👎"}),
        ("PATCH", path, {"content": "outro texto"}),
        ("DELETE", path, None),
    ]


def everything(row, place):
    """Every call that reads a row, or the atendimento in which it is."""
    return [
        *acts(row),
        ("GET", f"/media/{row}", None),
        ("POST", f"/messages/{row}/media/retry", None),
        ("GET", f"/messages/{place}", None),
        ("GET", f"/messages/{place}?after={row}", None),
        ("GET", f"/atendimentos/{place}", None),
        ("PATCH", f"/atendimentos/{place}", {"observacoes": "nota"}),
        ("GET", "/atendimentos?limit=200", None),
        ("GET", "/atendimentos/active", None),
        ("GET", "/sessions/active", None),
        ("GET", "/robot", None),
    ]


def forged(database, rosa, azul):
    """Rows of Azul's that name what is Rosa's."""
    crooked = hostile.atendimento(
        database, azul.owner, connection_id=rosa.name, numero_cliente=rosa.customer
    )
    mine = {"whatsapp_id": rosa.whatsapp_id}
    for sender, (connection, place) in combinations(
        ("CLIENTE", "ATENDENTE"),
        [
            (rosa.name, azul.place),
            (rosa.name, rosa.place),
            (azul.name, rosa.place),
            (rosa.name, crooked),
            (azul.name, crooked),
            (rosa.name, str(uuid.uuid4())),
            (azul.name, str(uuid.uuid4())),
            (None, rosa.place),
            ("no-such", azul.place),
        ],
    ):
        yield hostile.message(
            database, azul.owner, place, connection_id=connection, remetente=sender, **mine
        )


def test_nobody_acts_through_anothers_number(shared_product, simulator, shops, database, call):
    rosa, azul = shops
    before = simulator.get(f"/contacts/{rosa.customer}/inbox")
    outgoing = shared_product.query(
        "select count(*) from whatsapp_mensagens where connection_id = %s and owner_id = %s",
        rosa.name,
        rosa.owner,
    )
    for row in forged(database, rosa, azul):
        for credential in (shared_product.stack.user_token(azul.owner), API_KEY):
            for method, path, body in acts(row):
                answer = call(method, path, json=body, credential=credential)
                assert answer in REFUSED | {(409, "not_own_message")}, (method, path, answer)
            for connection in (azul.name, rosa.name):
                sent = {
                    "connectionId": connection,
                    "to": azul.customer,
                    "content": "veja",
                    "quotedMessageId": row,
                }
                answer = call("POST", "/messages/send", json=sent, credential=credential)
                assert answer in REFUSED, answer
    # What is sent afterwards arrives, and nothing else has.
    shared_product.send(rosa.name, rosa.customer, "depois")
    until(
        lambda: len(simulator.get(f"/contacts/{rosa.customer}/inbox")) > len(before),
        what="the honest message",
    )
    after = simulator.get(f"/contacts/{rosa.customer}/inbox")
    assert [one["text"] for one in after[len(before) :]] == ["depois"]
    assert shared_product.query(
        "select count(*) from whatsapp_mensagens where connection_id = %s and owner_id = %s",
        rosa.name,
        rosa.owner,
    ) == [(outgoing[0][0] + 1,)]
    [[read, facts]] = shared_product.query(
        "select lida, dados from whatsapp_mensagens where id = %s", rosa.message
    )
    assert not read
    assert not (facts or {}).get("reacoes")


def test_an_owner_still_acts_on_what_is_theirs(shared_product, shops, call):
    _, azul = shops
    assert call("POST", f"/messages/{azul.message}/reaction", json={"emoji": "👍"})[0] in (200, 202)
    assert call("POST", f"/messages/{azul.message}/read")[0] == 200
    sent = {
        "connectionId": azul.name,
        "to": azul.customer,
        "content": "resposta",
        "quotedMessageId": azul.message,
    }
    assert call("POST", "/messages/send", json=sent)[0] in (200, 202)
    until(
        lambda: shared_product.query(
            "select 1 from whatsapp_mensagens where id = %s and lida and dados ? 'reacoes'",
            azul.message,
        ),
        what="the row is read and reacted to",
    )
    [[own]] = shared_product.query(
        "select id::text from whatsapp_mensagens where owner_id = %s and conteudo = 'resposta'",
        azul.owner,
    )
    assert call("PATCH", f"/messages/{own}", json={"content": "corrigida"})[0] in (200, 202)
    assert call("DELETE", f"/messages/{own}")[0] in (200, 202)


def test_a_conversation_has_no_rows_of_another(shared_product, shops, database):
    rosa, azul = shops
    row = hostile.message(database, azul.owner, rosa.place, connection_id=rosa.name)
    shown = [one["id"] for one in shared_product.data("GET", f"{API}/messages/{rosa.place}")]
    assert rosa.message in shown
    assert row not in shown
    after = shared_product.call("GET", f"{API}/messages/{rosa.place}", params={"after": row})
    assert (after.status_code, after.json()["code"]) == (404, "message_not_found")


def test_reading_reads_no_row_of_another(shared_product, shops, database, call):
    """Nor is one that cannot be a message's sent to WhatsApp with the others."""
    rosa, azul = shops
    mine = {"connection_id": azul.name, "timestamp": "2020-01-01"}
    for name in hostile.WHATSAPP_IDS:
        hostile.message(database, azul.owner, azul.place, whatsapp_id=name, **mine)
    foreign = hostile.message(
        database, rosa.owner, azul.place, connection_id=rosa.name, timestamp="2020-01-01"
    )
    last = hostile.message(database, azul.owner, azul.place, **mine)
    response = shared_product.data("POST", f"{API}/messages/{last}/read")
    assert response["read"] == 1
    assert shared_product.query(
        "select count(*) from whatsapp_mensagens where id = %s", foreign
    ) == [(1,)]


@pytest.mark.parametrize("number", hostile.NUMBERS)
def test_a_number_that_is_nobodys_is_refused(shops, database, call, number):
    _, azul = shops
    mine = {"connection_id": azul.name}
    place = hostile.atendimento(database, azul.owner, numero_cliente=number, **mine)
    row = hostile.message(database, azul.owner, place, remetente="ATENDENTE", **mine)
    for method, path, body in acts(row):
        assert call(method, path, json=body) == (409, "unreadable_row"), (method, path)


@pytest.mark.parametrize("name", hostile.WHATSAPP_IDS)
def test_what_cannot_be_a_message_is_refused(shops, database, call, name):
    _, azul = shops
    mine = {"connection_id": azul.name, "whatsapp_id": name}
    row = hostile.message(database, azul.owner, azul.place, remetente="ATENDENTE", **mine)
    for method, path, body in acts(row)[1:]:
        assert call(method, path, json=body) == (409, "unreadable_row"), (method, path)


@pytest.mark.parametrize("place_of", ["person", "group"])
@pytest.mark.parametrize("facts", hostile.FACTS, ids=lambda facts: facts[:40])
def test_no_call_fails_for_what_is_in_a_json_column(
    shared_product, shops, database, call, facts, place_of
):
    _, azul = shops
    number = azul.customer if place_of == "person" else "120363041234567890@g.us"
    place = hostile.atendimento(
        database, azul.owner, connection_id=azul.name, numero_cliente=number, tags=facts
    )
    columns = {"connection_id": azul.name, "dados": facts, "midia_url": "/x"}
    who = {} if place_of == "person" else {"credential": API_KEY}
    rows = set()
    for sender in ("CLIENTE", "ATENDENTE"):
        row = hostile.message(database, azul.owner, place, remetente=sender, **columns)
        rows.add(row)
        for method, path, body in everything(row, place):
            call(method, path, json=body, **who)  # fails for a 5xx
        quoting = {
            "connectionId": azul.name,
            "to": azul.customer,
            "content": "veja",
            "quotedMessageId": row,
        }
        call("POST", "/messages/send", json=quoting)
    assert rows <= {row["id"] for row in shared_product.data("GET", f"{API}/messages/{place}")}
    database.execute("delete from whatsapp_mensagens where atendimento_id = %s", [place])
    database.execute("delete from whatsapp_atendimentos where id = %s", [place])


def test_pages_of_messages_end_where_there_are_no_more(shared_product, shops, database, call):
    _, azul = shops
    place = hostile.atendimento(database, azul.owner, connection_id=azul.name)
    rows = {
        hostile.message(
            database, azul.owner, place, connection_id=azul.name, timestamp=at, ordem=order
        )
        for at in (*hostile.TIMES, "2026-01-01 00:00:00+00")
        for order in (None, -(2**63), 2**63 - 1)
    }
    url = f"{API}/messages/{place}"
    for size in (1, 5):
        seen, after = [], {}
        while page := shared_product.data("GET", url, params={"limit": size, **after}):
            seen += [row["id"] for row in page]
            after = {"after": seen[-1]}
        assert sorted(seen) == sorted(rows)
    for row in rows:
        for method, path, body in everything(row, place):
            call(method, path, json=body)


def test_pages_of_atendimentos_end_where_there_are_no_more(shared_product, shops, database):
    _, azul = shops
    rows = {
        hostile.atendimento(
            database,
            azul.owner,
            connection_id=azul.name,
            tags='["tempos"]',
            ultima_mensagem=at,
            data_inicio=at,
            data_fim=at,
            updated_at=at,
        )
        for at in (*hostile.TIMES, "2026-01-01 00:00:00+00")
        for _ in range(2)
    }
    for owner in ({}, {"ownerId": str(azul.owner)}):
        for size in (1, 5):
            seen, cursor = [], {}
            while True:
                page = shared_product.data(
                    "GET",
                    f"{API}/atendimentos",
                    params={"tag": "tempos", "limit": size, **owner, **cursor},
                )
                seen += [row["id"] for row in page["items"]]
                if page["nextCursor"] is None:
                    break
                cursor = {"cursor": page["nextCursor"]}
            assert sorted(seen) == sorted(rows)


def test_a_robot_answers_whatever_another_owner_wrote(shared_product, simulator, shops, database):
    """Times that never come, five thousand robots, thousands of ends: all of them Azul's."""
    rosa, azul = shops
    config = {
        "nome": "r",
        "mensagem_boas_vindas": "Bem-vinda à Rosa",
        "mensagem_menu": "",
        "mensagem_despedida": "Volte sempre",
    }
    for at in hostile.TIMES:
        hostile.atendimento(
            database,
            azul.owner,
            connection_id=azul.name,
            status="FINALIZADO",
            updated_at=at,
            data_fim=at,
        )
    database.execute(
        "insert into whatsapp_configuracoes (owner_id, company_id, nome, mensagem_boas_vindas,"
        " mensagem_menu, mensagem_despedida, tempo_resposta, max_tentativas, updated_at)"
        " select %s, gen_random_uuid(), 'x', 'x', repeat(E'1 - x\\n', 500), 'x', -1, 0,"
        " case n %% 2 when 0 then 'infinity'::timestamptz else now() - interval '1 year' end"
        " from generate_series(1, 5001) n",
        [azul.owner],
    )
    database.execute(
        "insert into whatsapp_atendimentos (owner_id, connection_id, numero_cliente, status)"
        " select %s, %s, 'x' || n, 'FINALIZADO' from generate_series(1, 3000) n",
        [azul.owner, azul.name],
    )
    robot = shared_product.data(
        "POST",
        f"{API}/robot",
        json={
            "ownerId": str(rosa.owner),
            "nome": config["nome"],
            "mensagemBoasVindas": config["mensagem_boas_vindas"],
            "mensagemMenu": config["mensagem_menu"],
            "mensagemDespedida": config["mensagem_despedida"],
        },
    )
    guest = fresh_number("55219")
    simulator.post("/contacts", number=guest, name="Nova")
    simulator.post(f"/contacts/{guest}/send", to=rosa.number, text="oi")

    def heard() -> list[str]:
        return [one["text"] for one in simulator.get(f"/contacts/{guest}/inbox")]

    until(lambda: heard() == ["Bem-vinda à Rosa"], what="the welcome", seconds=60)
    [[place]] = shared_product.query(
        "select id::text from whatsapp_atendimentos where numero_cliente = %s", guest
    )
    shared_product.data("PATCH", f"{API}/atendimentos/{place}", json={"status": "FINALIZADO"})
    until(lambda: heard() == ["Bem-vinda à Rosa", "Volte sempre"], what="the goodbye", seconds=60)
    shared_product.data("DELETE", f"{API}/robot/{robot['id']}")
    database.execute("delete from whatsapp_configuracoes where owner_id = %s", [azul.owner])
    database.execute("delete from whatsapp_atendimentos where numero_cliente like 'x%%'")
    tree = shared_product.data("GET", "/api/whatsapp-bootstrap/tree")
    assert _find(tree, "robot")["restarts"] == 0


def _find(node, name):
    if node["name"] == name:
        return node
    return next((found for one in node["children"] if (found := _find(one, name))), None)
