"""Whose phone a connection is."""

from __future__ import annotations

import uuid

from .conftest import fresh_number
from .harness import Shop, until
from .talk import API, rows, wait_row, write


def link(product, simulator, name, number, owner):
    """A further connection, linked to a phone that is there already."""
    body = {"connectionId": name, "name": name, "ownerId": str(owner)}
    product.data("POST", f"{API}/connections", json=body)
    scan(product, simulator, name, number)
    until(lambda: product.connection(name)["isConnected"], what=f"{name} is connected")


def scan(product, simulator, name, number):
    path = f"{API}/connections/{name}/qr"
    qr = until(lambda: product.data("GET", path)["qrCode"], what="a QR code")
    simulator.post(f"/phones/{number}/scan", qr=qr)


def codes(product, name):
    return [one["code"] for one in product.connection(name)["warnings"]]


def info(product, name):
    query = "select whatsapp_info from whatsapp_sessions where connection_id = %s"
    [(value,)] = product.query(query, name)
    return [one["code"] for one in (value or {}).get("warnings", ())]


def test_one_phone_in_two_connections_is_said_on_both_until_one_is_gone(
    shared_product, simulator, open_shop
):
    product = shared_product
    shop = open_shop(product, "shared-1")
    assert codes(product, "shared-1") == []
    link(product, simulator, "shared-2", shop.number, shop.owner)
    until(
        lambda: codes(product, "shared-1") == codes(product, "shared-2") == ["phone_in_use"],
        what="both say so",
    )
    assert "shared-2" in product.connection("shared-1")["statusReason"]
    assert "shared-1" in product.connection("shared-2")["statusReason"]
    until(
        lambda: info(product, "shared-1") == info(product, "shared-2") == ["phone_in_use"],
        what="the tables say so, too",
    )
    product.data("DELETE", f"{API}/connections/shared-2")
    until(lambda: codes(product, "shared-1") == [], what="it is over")
    until(lambda: info(product, "shared-1") == [], what="in the table, too")


def test_another_owner_is_told_of_it_but_not_the_name(shared_product, simulator, open_shop):
    product = shared_product
    secret = f"de-outro-{uuid.uuid4().hex[:8]}"
    shop = open_shop(product, secret)
    link(product, simulator, "owner-b", shop.number, product.owner())
    until(lambda: codes(product, secret) == ["phone_in_use"], what="the first one knows")
    until(lambda: codes(product, "owner-b") == ["phone_in_use"], what="the second one knows")
    shown = product.connection("owner-b")
    assert secret not in str(shown)
    assert str(shop.owner) not in str(shown)
    assert "owner-b" not in str(product.connection(secret)["warnings"])
    product.data("DELETE", f"{API}/connections/owner-b")


def test_another_phone_in_a_connections_place_waits_for_a_person(
    shared_product, simulator, open_shop, customer
):
    product = shared_product
    shop, maria = open_shop(product, "changed"), customer()
    write(shop, maria, "ao primeiro")
    wait_row(shop, conteudo="ao primeiro")
    product.data("POST", f"{API}/connections/changed/logout")
    product.data("POST", f"{API}/connections/changed/restart")
    other = fresh_number()
    simulator.post("/phones", number=other, name="Outro")
    scan(product, simulator, "changed", other)

    def parked():
        shown = product.connection("changed")
        return shown if shown["statusCode"] == "phone_changed" else None

    shown = until(parked, what="it is parked")
    assert (shown["isConnected"], shown["status"]) == (False, "error")
    assert shown["phoneNumber"] == shop.number
    assert shop.number[-4:] in shown["statusReason"]
    assert other[-4:] in shown["statusReason"]
    assert "POST …/restart" in shown["statusReason"]
    simulator.post(f"/contacts/{maria}/send", to=other, text="ao segundo")
    assert [row["conteudo"] for row in rows(shop)] == ["ao primeiro"]
    product.data("POST", f"{API}/connections/changed/restart")
    shop.wait_connected()
    until(
        lambda: product.connection("changed")["phoneNumber"] == other, what="the new phone counts"
    )
    wait_row(shop, conteudo="ao segundo")


def test_the_same_phone_comes_back_without_a_question(shared_product, simulator, open_shop):
    shop = open_shop(shared_product, "came-back")
    shared_product.data("POST", f"{API}/connections/came-back/logout")
    shared_product.data("POST", f"{API}/connections/came-back/restart")
    assert isinstance(shop.pair(), Shop)
    assert shared_product.connection("came-back")["statusCode"] is None
