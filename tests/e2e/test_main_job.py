"""The main job: pair, receive, answer, on real Baileys, PostgREST and PostgreSQL."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from .harness import until


def write(simulator, contact, to, text):
    return simulator.post(f"/contacts/{contact}/send", to=to, text=text)


def inbox(simulator, contact):
    return [message["text"] for message in simulator.get(f"/contacts/{contact}/inbox")]


def test_a_customers_message_becomes_a_row_that_its_owner_reads(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "receive")
    maria = customer("Maria")
    before = time.time()
    write(simulator, maria, shop.number, "Oi, vocês abrem hoje? 😀")
    token = shared_product.stack.user_token(shop.owner)
    [row] = until(
        lambda: shared_product.rest("whatsapp_mensagens", token, select="*"),
        seconds=5,
        what="the message is in the table",
    )
    assert row["conteudo"] == "Oi, vocês abrem hoje? 😀"
    assert (row["remetente"], row["tipo"]) == ("CLIENTE", "TEXTO")
    assert row["owner_id"] == str(shop.owner)
    assert row["connection_id"] == "receive"
    assert abs(datetime.fromisoformat(row["timestamp"]).timestamp() - before) < 3
    [atendimento] = shared_product.rest("whatsapp_atendimentos", token, select="*")
    assert row["atendimento_id"] == atendimento["id"]
    assert atendimento["numero_cliente"] == maria
    assert atendimento["nome_cliente"] == "Maria"
    assert (atendimento["status"], atendimento["canal"]) == ("AGUARDANDO", "whatsapp")
    listed = shared_product.data(
        "GET",
        f"/api/whatsapp-integration/messages/{atendimento['id']}",
        params={"ownerId": str(shop.owner)},
    )
    assert [message["id"] for message in listed] == [row["id"]]


def test_a_message_is_in_the_table_within_a_second(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "quick")
    maria = customer()
    write(simulator, maria, shop.number, "aquece")
    until(shop.rows, what="the first message")
    took = []
    for number in range(5):
        begun = time.monotonic()
        write(simulator, maria, shop.number, f"rápida {number}")
        until(lambda n=number: f"rápida {n}" in shop.texts(maria), what="a quick message")
        took.append(time.monotonic() - begun)
    assert min(took) < 1, took  # others may keep the machine busy, but not for all five


def test_messages_join_the_open_atendimento_and_a_finished_one_is_followed_by_a_new_one(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "atend")
    maria = customer()
    for text in ("primeira", "segunda"):
        write(simulator, maria, shop.number, text)
    until(lambda: shop.texts(maria) == ["primeira", "segunda"], what="both messages")

    def atendimentos():
        return shared_product.query(
            "select id, status from whatsapp_atendimentos where owner_id = %s order by created_at",
            shop.owner,
        )

    [(first, _)] = atendimentos()
    shared_product.query(
        "update whatsapp_atendimentos set status = 'FINALIZADO', data_fim = now()"
        " where id = %s returning id",
        first,
    )
    write(simulator, maria, shop.number, "voltei")
    until(lambda: "voltei" in shop.texts(maria), what="the message after the end")
    assert [status for _, status in atendimentos()] == ["FINALIZADO", "AGUARDANDO"]
    active = shared_product.data(
        "GET",
        "/api/whatsapp-integration/atendimentos/active",
        params={"ownerId": str(shop.owner)},
    )
    assert [one["status"] for one in active] == ["AGUARDANDO"]


def test_an_answer_reaches_the_customers_phone_and_is_a_row(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "answer")
    maria = customer()
    sent = shared_product.send(
        "answer", f"+{maria[:2]} {maria[2:4]} {maria[4:]}", "Sim, até as 18h!"
    )
    assert sent["messageId"]
    until(lambda: inbox(simulator, maria) == ["Sim, até as 18h!"], what="the phone shows it")
    [row] = until(
        lambda: shared_product.query(
            "select conteudo, remetente, whatsapp_id, status from whatsapp_mensagens"
            " where owner_id = %s and status in ('sent', 'delivered')",
            shop.owner,
        ),
        what="the row with WhatsApp's acknowledgement",
    )
    assert row[:3] == ("Sim, até as 18h!", "ATENDENTE", sent["messageId"])


def test_the_same_idempotency_key_sends_once(shared_product, simulator, open_shop, customer):
    open_shop(shared_product, "idem")
    maria = customer()
    key = {"Idempotency-Key": f"pedido-{datetime.now(UTC).timestamp()}"}
    first = shared_product.send("idem", maria, "Seu pedido saiu", **key)
    again = shared_product.send("idem", maria, "Seu pedido saiu", **key)
    assert again["messageId"] == first["messageId"]
    shared_product.send("idem", maria, "fim")
    until(lambda: "fim" in inbox(simulator, maria), what="the last message")
    assert inbox(simulator, maria) == ["Seu pedido saiu", "fim"]
    other = shared_product.call(
        "POST",
        "/api/whatsapp-integration/messages/send",
        json={"connectionId": "idem", "to": maria, "content": "outro texto", "type": "text"},
        headers=key,
    )
    assert other.status_code == 409
    assert other.json()["code"] == "idempotency_conflict"


def test_messages_sent_from_the_phone_itself_are_rows_too(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "phone")
    maria = customer()
    simulator.post(f"/phones/{shop.number}/send", to=maria, text="respondi pelo celular")
    until(
        lambda: shop.texts(maria, "ATENDENTE") == ["respondi pelo celular"],
        what="the phone's message",
    )


def test_two_owners_five_customers_each_fifty_messages_each_way(
    shared_product, simulator, open_shop, customer
):
    shops = [open_shop(shared_product, name) for name in ("dupla-a", "dupla-b")]
    customers = {shop.name: [customer(f"C{n}") for n in range(5)] for shop in shops}
    incoming = [f"msg {n}" for n in range(50)]
    outgoing = [f"resposta {n}" for n in range(50)]

    def talk(job):
        shop, contact = job
        simulator.post(f"/contacts/{contact}/send", to=shop.number, texts=incoming)
        for text in outgoing:
            shared_product.send(shop.name, contact, text)

    jobs = [(shop, contact) for shop in shops for contact in customers[shop.name]]
    with ThreadPoolExecutor(len(jobs)) as pool:
        list(pool.map(talk, jobs))
    for shop in shops:
        for contact in customers[shop.name]:
            until(
                lambda s=shop, c=contact: len(s.texts(c)) >= 50 and len(inbox(simulator, c)) >= 50,
                seconds=60,
                what=f"all messages of {contact}",
            )
            assert shop.texts(contact) == incoming
            assert shop.texts(contact, "ATENDENTE") == outgoing
            assert inbox(simulator, contact) == outgoing
        assert len(shop.rows()) == 5 * 100
        token = shared_product.stack.user_token(shop.owner)
        seen = shared_product.rest("whatsapp_mensagens", token, select="owner_id")
        assert {row["owner_id"] for row in seen} == {str(shop.owner)}


def test_a_logout_from_the_phone_parks_the_connection_and_nobody_else_notices(
    shared_product, simulator, open_shop, customer
):
    gone = open_shop(shared_product, "gone")
    stays = open_shop(shared_product, "stays")
    before = shared_product.connection("stays")
    simulator.post(f"/phones/{gone.number}/logout")
    parked = until(
        lambda: (found := shared_product.connection("gone"))["statusCode"] and found,
        what="the connection parks",
    )
    assert (parked["status"], parked["statusCode"]) == ("error", "logged_out")
    assert "QR" in parked["statusReason"]
    maria = customer()
    write(simulator, maria, stays.number, "tudo bem por aqui?")
    until(lambda: stays.texts(maria), what="the other connection works")
    after = shared_product.connection("stays")
    assert (after["since"], after["restarts"]) == (before["since"], before["restarts"])
    shared_product.data("POST", "/api/whatsapp-integration/connections/gone/restart")
    gone.pair()


def test_a_deleted_connection_is_gone_and_its_messages_stay(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "deleted")
    maria = customer()
    write(simulator, maria, shop.number, "fica")
    until(shop.rows, what="the message")
    shared_product.data("DELETE", "/api/whatsapp-integration/connections/deleted")
    response = shared_product.call("GET", "/api/whatsapp-integration/connections/deleted")
    assert (response.status_code, response.json()["code"]) == (404, "connection_not_found")
    assert shop.texts(maria) == ["fica"]
