"""A code typed on the phone in place of the QR code."""

from __future__ import annotations

from .conftest import fresh_number
from .harness import Shop, until
from .talk import API, wait_row, write


def test_a_phone_is_paired_by_code_and_messages_arrive(shared_product, simulator, customer):
    shop = Shop(shared_product, simulator, "by-code", fresh_number())
    path = f"{API}/connections/by-code/pairing-code"
    code = shared_product.data("POST", path, json={"phone": f"+{shop.number}"})["pairingCode"]
    assert len(code) == 8
    simulator.post(f"/phones/{shop.number}/pair", code=code)
    shop.wait_connected()
    maria = customer()
    write(shop, maria, "oi")
    wait_row(shop, conteudo="oi")
    again = shared_product.call("POST", path, json={"phone": shop.number})
    assert (again.status_code, again.json()["code"]) == (409, "already_connected")


def test_what_is_no_phone_is_refused(shared_product, simulator):
    Shop(shared_product, simulator, "no-code", fresh_number())
    path = f"{API}/connections/no-code/pairing-code"
    for phone in ("abc", "", "1"):
        response = shared_product.call("POST", path, json={"phone": phone})
        assert response.status_code == 400, response.text
    missing = shared_product.call(
        "POST", f"{API}/connections/nobody/pairing-code", json={"phone": "+5511987654321"}
    )
    assert (missing.status_code, missing.json()["code"]) == (404, "connection_not_found")


def test_a_connection_that_waits_for_a_person_gives_no_code(shared_product, simulator):
    shop = Shop(shared_product, simulator, "parked-code", fresh_number()).pair()
    path = f"{API}/connections/parked-code"
    shared_product.data("POST", f"{path}/logout")
    body = {"phone": f"+{shop.number}"}
    refused = shared_product.call("POST", f"{path}/pairing-code", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "connection_parked")
    shown = shared_product.data("GET", f"{path}/qr")
    assert (shown["qrCode"], shown["code"]) == (None, "logged_out_by_request")
    assert "Reinicie" in shown["reason"]
    shared_product.data("POST", f"{path}/restart")
    code = until(
        lambda: (
            shared_product.call("POST", f"{path}/pairing-code", json=body)
            .json()
            .get("data", {})
            .get("pairingCode")
        ),
        what="a code",
    )
    simulator.post(f"/phones/{shop.number}/pair", code=code)
    shop.wait_connected()


def test_the_qr_code_says_when_it_expires(shared_product, simulator):
    shop = Shop(shared_product, simulator, "qr-expiry", fresh_number())
    answer = until(
        lambda: shared_product.data("GET", f"{API}/connections/qr-expiry/qr"),
        what="a QR code",
    )
    assert answer["expiresAt"] is not None
    assert answer["isConnected"] is False
    assert shop.pair() is shop
