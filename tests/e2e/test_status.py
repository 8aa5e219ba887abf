"""Read both ways, and what people are doing right now."""

from __future__ import annotations

import base64
import json

from .harness import until
from .talk import API, rows, send, wait_row, write, write_message


def test_delivered_and_read_reach_the_row(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "statuses")
    maria = customer()
    send(shop, maria, content="chegou?")
    wait_row(shop, conteudo="chegou?", status="delivered")
    simulator.post(f"/contacts/{maria}/read")
    wait_row(shop, conteudo="chegou?", status="read")


def test_a_voice_message_is_played_and_a_refusal_is_a_failure_with_its_reason(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "played")
    maria = customer()
    opus = b"OggS" + bytes(24) + b"OpusHead" + bytes(40)
    url = "data:audio/ogg;base64," + base64.b64encode(opus).decode()
    voice = send(shop, maria, type="audio", mediaUrl=url, ptt=True)["messageId"]
    wait_row(shop, whatsapp_id=voice, status="delivered")
    simulator.post(f"/contacts/{maria}/play")
    wait_row(shop, whatsapp_id=voice, status="played")
    simulator.post("/faults", kind="reject-sends", phone=shop.number, code=463, times=1)
    body = {"connectionId": shop.name, "to": maria, "content": "não vai"}
    answer = shared_product.call("POST", f"{API}/messages/send", json=body).json()
    refused = answer["details"]["messageId"]
    failed = wait_row(shop, whatsapp_id=refused, status="failed")
    assert failed["erro"] == answer["code"] == "new_contacts_blocked"
    told = [
        (one["messageId"], one["status"], one["error"])
        for one in _events(shop, "messageStatus", until_count=3)
    ]
    assert [status for message, status, _ in told if message == voice][-1] == "played"
    assert (refused, "failed", failed["erro"]) in told


def test_what_the_owner_reads_on_the_phone_is_read_here(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "phone-reads")
    maria, ana = customer("Maria"), customer("Ana")
    simulator.post(f"/contacts/{ana}", addressing="pn")
    for contact in (maria, ana):
        write(shop, contact, f"para ler {contact}")
        wait_row(shop, conteudo=f"para ler {contact}", lida=False)
    for contact in (maria, ana):
        simulator.post(f"/phones/{shop.number}/read", chat=contact)
        wait_row(shop, conteudo=f"para ler {contact}", lida=True)
    write(shop, maria, "ainda não")
    wait_row(shop, conteudo="ainda não", lida=False)


def test_reading_a_message_marks_those_before_it_and_tells_the_customer(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "reading")
    maria = customer()
    for text in ("um", "dois"):
        write(shop, maria, text)
        wait_row(shop, conteudo=text, lida=False)
    second = rows(shop)[1]
    write(shop, maria, "três")
    wait_row(shop, conteudo="três")
    answer = shared_product.data("POST", f"{API}/messages/{second['id']}/read")
    assert answer == {"messageId": second["id"], "read": 2}
    wait_row(shop, conteudo="um", lida=True)
    wait_row(shop, conteudo="dois", lida=True)
    assert [row["lida"] for row in rows(shop)] == [True, True, False]

    def read_by_whatsapp():
        sent = simulator.get("/ledger", phone=shop.number)["sent"]
        return [one["text"] for one in sent if one["from"] == maria and one["read"]]

    until(lambda: read_by_whatsapp() == ["um", "dois"], what="the customer sees them as read")
    again = shared_product.data("POST", f"{API}/messages/{second['id']}/read")
    assert again["read"] == 0


def test_a_message_that_is_not_there_cannot_be_read(shared_product, open_shop):
    missing = "00000000-0000-4000-8000-000000000000"
    response = shared_product.call("POST", f"{API}/messages/{missing}/read")
    assert (response.status_code, response.json()["code"]) == (404, "message_not_found")


def test_typing_is_shown_to_the_customer(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "typing")
    maria = customer()
    write(shop, maria, "oi")
    wait_row(shop, conteudo="oi")
    for state in ("composing", "recording", "paused"):
        shared_product.data(
            "POST", f"{API}/connections/typing/presence", json={"to": maria, "state": state}
        )

    def chat_states():
        signals = simulator.get(f"/phones/{shop.number}/signals")
        return [one["state"] for one in signals if one["kind"] == "chatstate"]

    until(
        lambda: chat_states() == ["composing", "recording", "paused"], what="the customer sees it"
    )


def test_what_customers_do_and_change_is_told_as_events(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "told")
    maria = customer()
    first = write(shop, maria, "oi")
    row = wait_row(shop, conteudo="oi")
    write_message(
        shop,
        maria,
        {
            "protocolMessage": {
                "key": {"remoteJid": maria, "fromMe": True, "id": first},
                "type": 14,
                "editedMessage": {"conversation": "olá"},
            }
        },
    )
    wait_row(shop, conteudo="olá")
    simulator.post(f"/contacts/{maria}/presence", to=shop.number, state="recording")
    [changed] = _events(shop, "messageChanged", until_count=1)
    [presence] = _events(shop, "presence", until_count=1)
    assert (changed["type"], changed["targetId"], changed["value"]) == ("edicao", row["id"], "olá")
    assert (presence["from"], presence["state"]) == (maria, "recording")


def _events(shop, name, *, until_count):
    """The data of the first events of this name, out of the stream."""
    found = []
    with shop.product.client.stream(
        "GET", f"{API}/events", params={"connectionId": shop.name, "event": name, "recent": 10}
    ) as stream:
        assert stream.status_code == 200, stream.read()
        for line in stream.iter_lines():
            if line.startswith("data:"):
                found.append(json.loads(line.removeprefix("data:"))["data"])
                if len(found) == until_count:
                    return found
    raise AssertionError(f"the stream ended with {found} of {name}")
