"""One person is one customer: ninth digit, LID and number. Who has no WhatsApp is told at once."""

from __future__ import annotations

import httpx

from .conftest import fresh_number
from .harness import Shop, until
from .talk import API, inbox, rows, send, wait_row, write


def test_numbers_are_checked_and_named_as_whatsapp_knows_them(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "check")
    with_ninth = customer("Com")
    without_ninth = fresh_number("55318")  # 12 digits: registered before the ninth came
    assert len(without_ninth) == 13
    without_ninth = without_ninth[:4] + without_ninth[5:]
    simulator.post("/contacts", number=without_ninth, name="Sem")
    asked = without_ninth[:4] + "9" + without_ninth[4:]
    nobody = fresh_number("55219")
    found = shared_product.data(
        "GET",
        f"{API}/contacts/check",
        params={"connectionId": "check", "phones": [with_ninth, f"+{asked}", nobody]},
    )
    assert [one["exists"] for one in found] == [True, True, False]
    assert [one["number"] for one in found] == [with_ninth, without_ninth, None]
    assert found[1]["phone"] == f"+{asked}"

    send(shop, asked, content="olá")
    until(lambda: inbox(shop, without_ninth), what="the customer is shown the text")
    write(shop, without_ninth, "oi")
    wait_row(shop, conteudo="oi")
    assert {row["numero_cliente"] for row in rows(shop)} == {without_ninth}
    assert len({row["atendimento_id"] for row in rows(shop)}) == 1


def test_a_number_that_is_not_on_whatsapp_is_refused_and_leaves_no_row(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "absent")
    response = shared_product.call(
        "POST",
        f"{API}/messages/send",
        json={"connectionId": "absent", "to": fresh_number("55219"), "content": "alô?"},
    )
    assert (response.status_code, response.json()["code"]) == (422, "not_on_whatsapp")
    assert rows(shop) == []


def test_a_send_before_pairing_is_checked_when_it_leaves(
    shared_product, simulator, parts, customer
):
    shop = Shop(shared_product, simulator, "early", fresh_number())
    registered = fresh_number("55318")
    registered = registered[:4] + registered[5:]
    simulator.post("/contacts", number=registered, name="Sem")
    nobody = fresh_number("55219")
    send(shop, registered[:4] + "9" + registered[4:], content="antes")
    lost = send(shop, nobody, content="para ninguém")
    assert lost["status"] == "queued"
    shop.pair()
    until(lambda: inbox(shop, registered), what="the customer is shown the text")
    failed = wait_row(shop, conteudo="para ninguém", status="failed")
    assert failed["erro"] == "not_on_whatsapp"
    write(shop, registered, "recebi")
    wait_row(shop, conteudo="recebi")
    mine = [row for row in rows(shop) if row["conteudo"] in ("antes", "recebi")]
    assert len({row["atendimento_id"] for row in mine}) == 1


def test_a_customer_is_one_however_addressed(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "spelled")
    maria = customer("Maria")
    simulator.post(f"/contacts/{maria}", addressing="lid")
    write(shop, maria, "pelo lid")
    wait_row(shop, conteudo="pelo lid")
    simulator.post(f"/contacts/{maria}", addressing="pn", name="Maria Silva")
    write(shop, maria, "pelo número")
    wait_row(shop, conteudo="pelo número")
    send(shop, f"+{maria[:2]} ({maria[2:4]}) {maria[4:9]}-{maria[9:]}", content="resposta")
    wait_row(shop, conteudo="resposta")
    assert {row["numero_cliente"] for row in rows(shop)} == {maria}
    [(names,)] = shared_product.query(
        "select array_agg(nome_cliente) from whatsapp_atendimentos where owner_id = %s", shop.owner
    )
    assert names == ["Maria Silva"]


def test_a_customer_known_by_lid_alone_is_joined_when_the_number_shows(
    shared_product, simulator, open_shop, customer
):
    """Two open atendimentos of one person become one, with all the messages."""
    shop = open_shop(shared_product, "joined")
    maria = customer("Maria")
    simulator.post(f"/contacts/{maria}", addressing="lid", hidesNumber=True)
    write(shop, maria, "quem sou eu?")
    hidden = wait_row(shop, conteudo="quem sou eu?")
    assert hidden["numero_cliente"] == simulator.get(f"/contacts/{maria}")["lid"]
    # The number is written to for itself: nobody knows yet that it is the same person.
    shared_product.query(
        "insert into whatsapp_atendimentos (owner_id, connection_id, numero_cliente, status)"
        " values (%s, 'joined', %s, 'EM_ATENDIMENTO') returning id",
        shop.owner,
        maria,
    )
    simulator.post(f"/contacts/{maria}", hidesNumber=False)
    write(shop, maria, "agora sabem")
    wait_row(shop, conteudo="agora sabem", numero_cliente=maria)
    first = wait_row(shop, conteudo="quem sou eu?", numero_cliente=maria)
    last = wait_row(shop, conteudo="agora sabem")
    assert first["atendimento_id"] == last["atendimento_id"] == hidden["atendimento_id"]
    found = shared_product.query(
        "select status, numero_cliente from whatsapp_atendimentos where owner_id = %s"
        " order by data_fim nulls first",
        shop.owner,
    )
    assert found == [("EM_ATENDIMENTO", maria), ("CANCELADO", maria)]


def test_checking_needs_a_connection_and_says_so(shared_product, simulator):
    Shop(shared_product, simulator, "unpaired", fresh_number())
    response: httpx.Response = shared_product.call(
        "GET",
        f"{API}/contacts/check",
        params={"connectionId": "unpaired", "phones": fresh_number("55219")},
    )
    assert (response.status_code, response.json()["code"]) == (503, "not_connected")


def test_the_picture_of_a_customer_is_kept_up_to_date(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "pictures")
    maria = customer("Maria")

    def shows(*pictures):
        found = shared_product.query(
            "select nome_cliente, foto_url from whatsapp_atendimentos where owner_id = %s"
            " order by data_inicio",
            shop.owner,
        )
        return found == [("Maria", picture) for picture in pictures]

    old, new = (f"https://pps.whatsapp.net/v/t61/{name}.jpg" for name in ("old", "new"))
    simulator.post(f"/contacts/{maria}", picture=old)
    write(shop, maria, "oi")
    until(lambda: shows(old), what="the picture is there")
    send(shop, maria, content="olá")
    until(lambda: inbox(shop, maria), what="WhatsApp knows that we know each other")
    simulator.post(f"/contacts/{maria}", picture=new)
    until(lambda: shows(new), what="the new picture is there")
    row = wait_row(shop, conteudo="oi")
    path = f"{API}/atendimentos/{row['atendimento_id']}"
    shared_product.data("PATCH", path, json={"status": "FINALIZADO"})
    send(shop, maria, content="mais uma coisa")
    until(lambda: shows(new, new), what="the next atendimento knows the customer")
    simulator.post(f"/contacts/{maria}", picture=None)
    until(lambda: shows(new, None), what="the picture is shown no longer")


def test_a_group_is_called_as_it_is_called(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "named-groups")
    path = f"{API}/connections/named-groups"
    shared_product.data("PATCH", path, json={"options": {"storeGroups": True}})
    ana = customer("Ana")
    group = simulator.post("/groups", subject="Turma", members=[ana, shop.number])["jid"]

    def called():
        return shared_product.query(
            "select nome_cliente, numero_cliente from whatsapp_atendimentos where owner_id = %s",
            shop.owner,
        )

    simulator.post(f"/contacts/{ana}/send", to=group, text="oi, turma")
    until(lambda: called() == [("Turma", group)], what="the group's name")
    simulator.post(f"/groups/{group}", subject="Turma de 2026")
    until(lambda: called() == [("Turma de 2026", group)], what="its new name")
