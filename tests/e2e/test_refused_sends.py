"""A send that WhatsApp refuses is told as a failure, everywhere and with one code."""

from __future__ import annotations

import base64
import re
import uuid

import pytest

from .conftest import fresh_number
from .harness import Shop, until
from .talk import API, rows, send, wait_row, write

PNG = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06" + bytes(30)
).decode()
KINDS = {
    "text": {"content": "oi"},
    "image": {"type": "image", "mediaUrl": f"data:image/png;base64,{PNG}"},
    "location": {"type": "location", "location": {"latitude": 1, "longitude": 2}},
    "contact": {"type": "contact", "contacts": [{"name": "Ana", "phones": ["11987654321"]}]},
    "poll": {"type": "poll", "poll": {"name": "Dia?", "options": ["sábado", "domingo"]}},
}


@pytest.fixture(scope="module")
def shop(shared_product, simulator):
    return Shop(shared_product, simulator, "refused", fresh_number()).pair()


def refuse(shop, code):
    shop.simulator.post("/faults", kind="reject-sends", phone=shop.number, code=code, times=1)


def refusal(response, status, code):
    body = response.json()
    assert (response.status_code, body.get("code")) == (status, code), body
    assert body["success"] is False
    assert len(body["error"]) > 20
    assert not re.search(r"\d", body["error"])
    return body["details"]


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (463, 422, "new_contacts_blocked"),
        (479, 422, "address_refused"),
        (475, 422, "address_refused"),
        (429, 429, "throttled_by_whatsapp"),
        (400, 422, "malformed"),
        (403, 422, "not_allowed"),
        (404, 422, "recipient_not_found"),
        (503, 422, "whatsapp_failed"),
        (599, 422, "refused_by_whatsapp"),
    ],
)
def test_each_refusal_has_its_code_which_is_also_the_rows(shop, customer, number, status, code):
    refuse(shop, number)
    body = {"connectionId": shop.name, "to": customer(), "content": f"não vai {number}"}
    headers = {"Idempotency-Key": str(uuid.uuid4())}

    def post():
        return shop.product.call("POST", f"{API}/messages/send", json=body, headers=headers)

    response = post()
    told = refusal(response, status, code)
    assert ("retry-after" in response.headers) == (status == 429)
    assert (told["status"], told["whatsappCode"]) == ("failed", number)
    assert wait_row(shop, id=told["id"], status="failed")["erro"] == code
    assert refusal(post(), status, code) == told


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_message_can_be_refused(shop, customer, kind):
    to = customer()
    body = {"connectionId": shop.name, "to": to, **KINDS[kind]}
    refuse(shop, 479)
    response = shop.product.call("POST", f"{API}/messages/send", json=body)
    refusal(response, 422, "address_refused")
    assert send(shop, to, **KINDS[kind])["status"] in ("sent", "delivered")


def test_reactions_edits_and_deletions_can_be_refused(shop, customer):
    to = customer()
    sent = send(shop, to, content="mudará")
    wait_row(shop, id=sent["id"])
    message = f"{API}/messages/{sent['id']}"
    for method, path, body in [
        ("POST", "/reaction", {"emoji": "👍"}),
        ("PATCH", "", {"content": "mudou"}),
        ("DELETE", "", None),
    ]:
        refuse(shop, 479)
        options = {} if body is None else {"json": body}
        response = shop.product.call(method, message + path, **options)
        refusal(response, 422, "address_refused")


def test_an_upload_can_be_refused(shop, customer):
    refuse(shop, 403)
    response = shop.product.call(
        "POST",
        f"{API}/messages/send-media",
        data={"connectionId": shop.name, "to": customer(), "type": "image"},
        files={"file": ("a.png", base64.b64decode(PNG), "image/png")},
    )
    refusal(response, 422, "not_allowed")


def test_a_group_that_is_not_ours_or_is_not_there(shop, simulator, customer):
    members = [customer("Ana"), customer("Bia")]
    group = simulator.post("/groups", subject="Alheio", members=members)["jid"]
    for to, status, code in [
        (group, 409, "not_in_group"),
        ("120363999999999999@g.us", 404, "group_not_found"),
    ]:
        body = {"connectionId": shop.name, "to": to, "content": "oi"}
        response = shop.product.call("POST", f"{API}/messages/send", json=body)
        told = refusal(response, status, code)
        assert told["status"] == "failed"


def test_what_is_refused_counts_as_failed_and_is_shown_on_the_connection(
    shared_product, open_shop, customer
):
    shop = open_shop(shared_product, "counted")
    to = customer()
    send(shop, to, content="vai")
    refuse(shop, 463)
    body = {"connectionId": shop.name, "to": customer(), "content": "não vai"}
    refusal(
        shared_product.call("POST", f"{API}/messages/send", json=body), 422, "new_contacts_blocked"
    )
    shown = shared_product.connection(shop.name)
    assert (shown["counters"]["sent"], shown["counters"]["failed"]) == (1, 1)
    assert [one["code"] for one in shown["warnings"]] == ["new_contacts_blocked"]

    def stored():
        [(info,)] = shared_product.query(
            "select whatsapp_info from whatsapp_sessions where connection_id = %s", shop.name
        )
        return [one["code"] for one in info.get("warnings", ())] == ["new_contacts_blocked"]

    until(stored, what="the table says so, too")
    write(shop, to, "respondo assim")
    wait_row(shop, conteudo="respondo assim")
    assert send(shop, to, content="agora vai a todos")["status"] in ("sent", "delivered")
    assert [row["erro"] for row in rows(shop) if row["erro"]] == ["new_contacts_blocked"]


def test_the_longest_text_goes_out_and_a_longer_one_is_not_accepted(shop, customer):
    to = customer()
    assert send(shop, to, content="😀" * 32_768)["status"] in ("sent", "delivered")
    body = {"connectionId": shop.name, "to": to, "content": "😀" * 32_768 + "!"}
    response = shop.product.call("POST", f"{API}/messages/send", json=body)
    assert (response.status_code, response.json()["details"][0]["field"]) == (400, "content")
