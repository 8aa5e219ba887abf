"""Atendimentos on real parts: lists, changes, and one open one per customer whatever happens."""

from __future__ import annotations

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from .harness import until

API = "/api/whatsapp-integration"
NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.fixture
def owner(shared_product):
    return shared_product.owner()


@pytest.fixture
def insert(shared_product, owner):
    """Insert an atendimento; returns its id."""

    def insert_(**columns):
        values = {
            "owner_id": owner,
            "numero_cliente": "5511987654321",
            "connection_id": "loja",
            **columns,
        }
        if "tags" in values:
            values["tags"] = json.dumps(values["tags"])
        names = ", ".join(values)
        places = ", ".join(["%s"] * len(values))
        [(identifier,)] = shared_product.query(
            f"insert into whatsapp_atendimentos ({names}) values ({places}) returning id",
            *values.values(),
        )
        return str(identifier)

    return insert_


@pytest.fixture
def listed(shared_product, owner):
    """The ids that a list with these parameters answers, in order."""

    def listed_(**params):
        params = {"ownerId": str(owner), **params}
        page = shared_product.data("GET", f"{API}/atendimentos", params=params)
        return [row["id"] for row in page["items"]]

    return listed_


def patch(product, identifier, **body):
    return product.call("PATCH", f"{API}/atendimentos/{identifier}", json=body)


def changed(product, identifier, **body):
    response = patch(product, identifier, **body)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def refused(response, status, code):
    body = response.json()
    assert (response.status_code, body["success"], body["code"]) == (status, False, code), body
    return body


def test_every_filter(insert, listed):
    attendant, company = uuid.uuid4(), uuid.uuid4()
    jose = insert(
        nome_cliente="José da Conceição",
        ultima_mensagem=NOON,
        data_inicio=NOON,
        tags=["vip", "Vendas"],
    )
    ana = insert(
        nome_cliente='ana "50%_off" (loja)',
        numero_cliente="5521912345678",
        ultima_mensagem=NOON + timedelta(minutes=1),
        data_inicio=NOON - timedelta(days=1),
        status="EM_ATENDIMENTO",
        atendente_id=attendant,
        connection_id="filial",
    )
    lid = insert(
        numero_cliente="77@lid",
        company_id=company,
        status="FINALIZADO",
        ultima_mensagem=NOON + timedelta(minutes=2),
        data_inicio=NOON + timedelta(days=1),
    )
    everything = [lid, ana, jose]
    for params, expected in [
        ({}, everything),
        ({"status": "AGUARDANDO"}, [jose]),
        ({"status": "AGUARDANDO,FINALIZADO"}, [lid, jose]),
        ({"companyId": str(company)}, [lid]),
        ({"connectionId": "filial"}, [ana]),
        ({"atendenteId": str(attendant)}, [ana]),
        ({"numero": "(11) 98765-4321"}, [jose]),
        ({"numero": "+55 21 91234-5678"}, [ana]),
        ({"numero": "(11) 8765-4321"}, [jose]),
        ({"numero": 'a,b")or(id.gt.0@lid'}, []),
        ({"numero": "77@lid"}, [lid]),
        ({"tag": "vip"}, [jose]),
        ({"tag": "vi"}, []),
        ({"search": "jose"}, [jose]),
        ({"search": "CONCEICAO"}, [jose]),
        ({"search": "da  conceição"}, [jose]),
        ({"search": "ána"}, [ana]),
        ({"search": '"50%_off" (l'}, [ana]),
        ({"search": "50.*"}, []),
        ({"search": "a,b)or(id.neq.1"}, []),
        ({"search": "\\"}, []),
        ({"search": "98765-43"}, [jose]),
        ({"search": "(21) 91234"}, [ana]),
        ({"from": NOON.isoformat()}, [lid, jose]),
        ({"to": NOON.isoformat()}, [ana]),
        ({"from": "2026-01-31", "to": "2026-02-01"}, [jose]),
        ({"search": "a", "status": "EM_ATENDIMENTO", "connectionId": "loja"}, []),
    ]:
        assert listed(**params) == expected, params


def test_pages_follow_each_other_though_moments_are_equal(shared_product, owner, insert):
    made = {insert(numero_cliente=f"55119{n:08d}", ultima_mensagem=NOON) for n in range(7)}
    insert(ultima_mensagem=NOON - timedelta(microseconds=1), nome_cliente="x")
    seen: list[str] = []
    params = {"ownerId": str(owner), "limit": 3, "search": "55119"}
    while True:
        page = shared_product.data("GET", f"{API}/atendimentos", params=params)
        seen += [row["id"] for row in page["items"]]
        if page["nextCursor"] is None:
            break
        params["cursor"] = page["nextCursor"]
    assert len(seen) == len(set(seen)) == 8
    assert set(seen[:7]) == made
    for cursor in ("x", "W10", "WyJhIiwiYiJd"):
        response = shared_product.call("GET", f"{API}/atendimentos", params={"cursor": cursor})
        refused(response, 400, "invalid_cursor")


def test_the_way_of_an_atendimento(shared_product, insert):
    one = insert()
    attendant = str(uuid.uuid4())
    row = changed(
        shared_product,
        one,
        status="EM_ATENDIMENTO",
        atendenteId=attendant,
        prioridade=7,
        tags=["vip"],
        observacoes="prefere WhatsApp",
    )
    assert (row["status"], row["atendente_id"], row["data_fim"]) == (
        "EM_ATENDIMENTO",
        attendant,
        None,
    )
    assert (row["prioridade"], row["tags"], row["observacoes"]) == (7, ["vip"], "prefere WhatsApp")
    row = changed(shared_product, one, atendenteId=None, tags=None, observacoes=None)
    assert (row["atendente_id"], row["tags"], row["observacoes"]) == (None, None, None)
    assert row["prioridade"] == 7

    refused(patch(shared_product, one, status="AGUARDANDO"), 409, "illegal_transition")
    ended = changed(shared_product, one, status="FINALIZADO")
    age = datetime.now(UTC) - datetime.fromisoformat(ended["data_fim"])
    assert timedelta(0) <= age < timedelta(minutes=1)
    # Once more is no change; notes may still be added.
    assert changed(shared_product, one, status="FINALIZADO")["data_fim"] == ended["data_fim"]
    row = changed(shared_product, one, status="FINALIZADO", observacoes="resolvido")
    assert (row["data_fim"], row["observacoes"]) == (ended["data_fim"], "resolvido")
    body = refused(
        patch(shared_product, one, status="EM_ATENDIMENTO", observacoes="não"),
        409,
        "illegal_transition",
    )
    assert "encerrado" in body["error"]
    assert body["details"] == {"from": "FINALIZADO", "to": "EM_ATENDIMENTO", "allowed": []}
    row = shared_product.data("GET", f"{API}/atendimentos/{one}")
    assert (row["status"], row["observacoes"]) == ("FINALIZADO", "resolvido")


def test_cancelling_from_the_queue(shared_product, insert):
    row = changed(shared_product, insert(), status="CANCELADO")
    assert (row["status"], row["data_fim"] is not None) == ("CANCELADO", True)


def test_nobody_reaches_anothers(shared_product, insert):
    one = insert()
    stranger = {"ownerId": str(shared_product.owner())}
    path = f"{API}/atendimentos/{one}"
    refused(shared_product.call("GET", path, params=stranger), 404, "atendimento_not_found")
    response = shared_product.call("PATCH", path, params=stranger, json={"status": "CANCELADO"})
    refused(response, 404, "atendimento_not_found")
    missing = f"{API}/atendimentos/{uuid.uuid4()}"
    refused(shared_product.call("GET", missing), 404, "atendimento_not_found")
    response = shared_product.call("PATCH", missing, json={"prioridade": 1})
    refused(response, 404, "atendimento_not_found")


def test_of_many_who_close_it_at_once_one_decides(shared_product, insert):
    one = insert()
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda n: (
                    patch(
                        shared_product, one, status=("FINALIZADO", "CANCELADO")[n % 2]
                    ).status_code
                ),
                range(16),
            )
        )
    row = shared_product.data("GET", f"{API}/atendimentos/{one}")
    won = ("FINALIZADO", "CANCELADO").index(row["status"])
    assert [code for n, code in enumerate(answers) if n % 2 == won] == [200] * 8
    assert [code for n, code in enumerate(answers) if n % 2 != won] == [409] * 8


def test_one_open_one_per_customer_while_callers_store_and_the_api_closes(shared_product, owner):
    """Several callers of the ingest function at once, and attendants who close under them."""
    stack = shared_product.stack
    headers = {
        "apikey": stack.service_role_key,
        "Authorization": f"Bearer {stack.service_role_key}",
    }
    customers = [f"55118{n:08d}" for n in range(3)]
    over = threading.Event()

    def store(caller):
        done = 0
        with httpx.Client(base_url=f"{stack.url}/rest/v1", headers=headers, timeout=20) as client:
            while done < 25:
                items = [
                    {
                        "kind": "message",
                        "seq": place,
                        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{owner}{caller}{done}{place}")),
                        "owner_id": str(owner),
                        "connection_id": "corrida",
                        "numero_cliente": customer,
                        "conteudo": f"{caller} {done}",
                        "tipo": "TEXTO",
                        "remetente": "CLIENTE",
                        "timestamp": datetime.now(UTC).isoformat(),
                        "whatsapp_id": f"{caller}-{done}",
                    }
                    for place, customer in enumerate(customers)
                ]
                answer = client.post("/rpc/zapvisor_ingest", json={"items": items})
                if answer.is_success:
                    done += 1
                else:  # closed under us, or a deadlock: the writer tries again, and so do we
                    assert answer.json()["code"] in ("40001", "40P01"), answer.text
        return done

    def close():
        closed = 0
        while not over.is_set():
            active = shared_product.data(
                "GET", f"{API}/atendimentos", params={"ownerId": str(owner), "status": "AGUARDANDO"}
            )["items"]
            numbers = [row["numero_cliente"] for row in active]
            assert len(numbers) == len(set(numbers)), "two open ones of one customer"
            for row in active:
                closed += patch(shared_product, row["id"], status="FINALIZADO").status_code == 200
        return closed

    with ThreadPoolExecutor(5) as pool:
        closer = pool.submit(close)
        stored = [one.result(60) for one in [pool.submit(store, n) for n in range(4)]]
        over.set()
        closed = closer.result(30)
    assert sum(stored) == 100
    assert closed > 3
    [(messages,)] = shared_product.query(
        "select count(*) from whatsapp_mensagens where owner_id = %s", owner
    )
    assert messages == 300
    assert not shared_product.query(
        "select from whatsapp_atendimentos where owner_id = %s and status = 'AGUARDANDO'"
        " group by numero_cliente having count(*) > 1",
        owner,
    )
    # What arrived in an atendimento arrived while it was open.
    assert not shared_product.query(
        "select from whatsapp_mensagens m join whatsapp_atendimentos a on a.id = m.atendimento_id"
        " where a.owner_id = %s and m.created_at > a.data_fim + interval '1 second'",
        owner,
    )


def test_the_next_message_after_the_end_opens_a_new_one(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "reabre")
    maria = customer()

    def rows():
        params = {"ownerId": str(shop.owner)}
        return shared_product.data("GET", f"{API}/atendimentos", params=params)["items"]

    simulator.post(f"/contacts/{maria}/send", to=shop.number, text="oi")
    [first] = until(rows, what="the atendimento")
    changed(shared_product, first["id"], status="FINALIZADO")
    simulator.post(f"/contacts/{maria}/send", to=shop.number, text="mais uma coisa")
    second, _ = until(lambda: len(found := rows()) == 2 and found, what="a second atendimento")
    assert (second["status"], second["numero_cliente"]) == ("AGUARDANDO", maria)
    messages = shared_product.data("GET", f"{API}/messages/{second['id']}")
    assert [message["conteudo"] for message in messages] == ["mais uma coisa"]
