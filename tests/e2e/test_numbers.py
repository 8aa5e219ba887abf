"""A customer of another country is answered under the number that the tables have for them."""

from __future__ import annotations

import pytest

from . import talk
from .conftest import fresh_number
from .harness import until

API = talk.API


@pytest.fixture(scope="module")
def shop(shared_product, simulator):
    from .harness import Shop

    return Shop(shared_product, simulator, "numeros", fresh_number()).pair()


def texts(shop, number: str) -> list[str]:
    return [one["text"] for one in talk.inbox(shop, number)]


def writes(shop, number: str) -> None:
    shop.simulator.post("/contacts", number=number, name="Cliente")
    talk.write(shop, number, f"oi de {number}")
    row = talk.wait_row(shop, conteudo=f"oi de {number}")
    assert row["numero_cliente"] == number


def test_what_the_tables_have_reaches_that_person_and_no_stranger(shop, shared_product) -> None:
    peru, stranger = "51987650001", "5551987650001"
    shop.simulator.post("/contacts", number=stranger, name="Desconhecido")
    body = {"connectionId": shop.name, "to": peru, "content": "para quem?"}
    refused = shared_product.call("POST", f"{API}/messages/send", json=body)
    assert refused.status_code == 400, refused.text
    answer = refused.json()
    assert answer["code"] == "ambiguous_number"
    assert answer["details"]["readings"] == [
        {"number": f"+{peru}", "country": "PE"},
        {"number": f"+{stranger}", "country": "BR"},
    ]
    assert shop.rows() == []  # no atendimento with a stranger

    writes(shop, peru)
    talk.send(shop, peru, content="su saldo")
    until(lambda: "su saldo" in texts(shop, peru), what="the customer of Peru is answered")
    # Its other readings, when the country is said.
    talk.send(shop, "(51) 98765-0001", content="para Porto Alegre")
    until(lambda: "para Porto Alegre" in texts(shop, stranger), what="the Brazilian is reached")
    talk.send(shop, f"00{peru}", content="con prefijo")
    until(lambda: "con prefijo" in texts(shop, peru), what="00 is as good as +")
    assert "su saldo" not in texts(shop, stranger)

    card = {"name": "Cliente", "phones": [peru]}
    talk.send(shop, peru, type="contact", contacts=[card])
    shown = talk.shown(shop, peru, "contactMessage")
    assert f"waid={peru}:+{peru}" in shown["vcard"]
    talk.send(shop, peru, content=f"@{peru}", mentions=[peru])
    until(lambda: f"@{peru}" in texts(shop, peru), what="the mention is shown")
    row = talk.wait_row(shop, conteudo=f"@{peru}")
    assert row["dados"]["mencoes"] == [f"{peru}@s.whatsapp.net"]

    query = {"connectionId": shop.name, "phones": peru}
    [checked] = shared_product.data("GET", f"{API}/contacts/check", params=query)
    assert checked["number"] == peru
    for numero in (peru, f"+{peru}"):
        found = shared_product.data(
            "GET", f"{API}/atendimentos", params={"ownerId": str(shop.owner), "numero": numero}
        )
        assert [one["numero_cliente"] for one in found["items"]] == [peru]


@pytest.mark.parametrize("number", ["5491123456701", "5215512345702", "351912345703"])
def test_numbers_of_other_countries_are_taken_as_they_are_stored(shop, number: str) -> None:
    writes(shop, number)
    talk.send(shop, number, content=f"olá {number}")
    until(lambda: f"olá {number}" in texts(shop, number), what=f"{number} is answered")


def test_no_pairing_code_for_a_number_that_may_be_anothers(shared_product) -> None:
    owner = str(shared_product.owner())
    body = {"connectionId": "codigo-peru", "name": "x", "ownerId": owner}
    shared_product.data("POST", f"{API}/connections", json=body)
    asked = {"phone": "51966660001"}
    path = f"{API}/connections/codigo-peru/pairing-code"
    answer = shared_product.call("POST", path, json=asked)
    assert (answer.status_code, answer.json()["code"]) == (400, "ambiguous_number")
