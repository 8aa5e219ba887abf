"""Who a message is from: through lists, and by which name."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from .harness import until
from .talk import rows, send, wait_row, write

LIST = "1623673422@broadcast"


def ignored(product):
    """The counter of what is deliberately not stored."""
    found = {}
    for line in product.call("GET", "/metrics").text.splitlines():
        if line.startswith("zapvisor_messages_ignored_total{"):
            reason = line.partition('reason="')[2].partition('"')[0]
            found[reason] = float(line.split()[-1])
    return found


@pytest.mark.parametrize("form", ["lid", "pn"])
def test_what_comes_through_a_list_is_in_the_chat_with_the_customer(
    shared_product, simulator, open_shop, customer, form
):
    shop = open_shop(shared_product, f"lists-{form}")
    number = customer("Cliente")
    simulator.post(f"/contacts/{number}", addressing=form)
    lid = simulator.get(f"/contacts/{number}")["lid"]
    phone, hidden = f"{number}@s.whatsapp.net", f"{lid.partition('@')[0]}@lid"
    write(shop, number, "oi")
    attrs = {"from": LIST, "sender_pn": None, "sender_lid": None}
    if form == "lid":
        attrs |= {"participant": hidden, "participant_pn": phone}
    else:
        attrs |= {"participant": phone, "participant_lid": hidden}
    sent = simulator.post(
        f"/contacts/{number}/send",
        to=shop.number,
        message={"conversation": "Mudamos de endereço!"},
        attrs=attrs,
    )
    row = wait_row(shop, conteudo="Mudamos de endereço!")
    assert (row["numero_cliente"], row["remetente"]) == (number, "CLIENTE")
    assert (row["whatsapp_id"], row["dados"]) == (sent["ids"][0], {"lista_transmissao": LIST})
    assert len({one["atendimento_id"] for one in rows(shop)}) == 1
    assert send(shop, number, content="anotado")["status"] in ("sent", "delivered")
    wait_row(shop, conteudo="anotado", atendimento_id=row["atendimento_id"])


def test_a_status_update_is_not_a_message_but_it_is_counted(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "not-stored")
    number = customer()
    before = ignored(shared_product)
    simulator.post(f"/contacts/{number}/status", to=shop.number, text="bom dia")
    until(lambda: ignored(shared_product)["status"] == before["status"] + 1, what="it is counted")
    assert rows(shop) == []


def test_the_attested_name_of_a_company_is_shown(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "attested")
    number = customer(".")
    write(shop, number, "oi")
    wait_row(shop, conteudo="oi")
    query = "select nome_cliente from whatsapp_atendimentos where owner_id = %s"
    assert shared_product.query(query, shop.owner) == [(None,)]
    simulator.post(
        f"/contacts/{number}/send",
        to=shop.number,
        message={"conversation": "somos nós"},
        verifiedName="Padaria do João",
    )
    wait_row(shop, conteudo="somos nós")
    assert shared_product.query(query, shop.owner) == [("Padaria do João",)]


@pytest.mark.parametrize("at", ["0", None, "-1", "4102444800", "1770000000000", "agora"])
def test_a_message_without_a_time_that_can_be_is_of_now(
    shared_product, simulator, open_shop, customer, at
):
    shop = open_shop(shared_product, f"clock-{uuid.uuid4().hex[:6]}")
    number = customer()
    simulator.post(
        f"/contacts/{number}/send",
        to=shop.number,
        message={"conversation": "que horas são?"},
        attrs={"t": at},
    )
    row = wait_row(shop, conteudo="que horas são?")
    written = datetime.fromisoformat(row["timestamp"])
    assert abs((datetime.now(UTC) - written).total_seconds()) < 300
