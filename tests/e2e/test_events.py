"""Events out of the whole product: over the stream and by webhook, complete and in order."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator

import pytest

from .harness import Product, until
from .receiver import Receiver

EVENTS = "/api/whatsapp-integration/events"
WEBHOOKS = "/api/whatsapp-integration/webhooks"
TEXTS = [f"mensagem {number}" for number in range(30)]


class Crm(Receiver):
    """A program of the CRM."""

    def events(self, name: str) -> list[dict]:
        return [one for one in self.bodies() if one["event"] == name]

    def contents(self) -> list[str]:
        return [one["data"]["content"] for one in self.events("messageReceived")]


@pytest.fixture
def receiver() -> Iterator[Crm]:
    receiver = Crm()
    yield receiver
    receiver.close()


@pytest.fixture
def product(directory, simulator, parts, receiver) -> Iterator[Product]:
    """One that may deliver to the receiver on this machine."""
    product = Product(directory, simulator, parts)
    product._environment["ZAPVISOR_WEBHOOK_PRIVATE_HOSTS"] = f"127.0.0.1:{receiver.port}"
    try:
        yield product.start()
    finally:
        product.close()


def stream(product: Product, count: int, **query: str) -> list[dict]:
    """The next so many events."""
    found: list[dict] = []
    with product.client.stream("GET", EVENTS, params=query) as response:
        assert response.status_code == 200
        for line in response.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
                if len(found) == count:
                    break
    return found


def test_a_receiver_that_was_down_gets_everything_in_order_though_the_product_was_killed(
    product, receiver, simulator, open_shop, customer
):
    shop = open_shop(product, "loja")
    hook = product.data("POST", WEBHOOKS, json={"url": receiver.url, "connectionId": "loja"})
    assert hook["ownerId"] == str(shop.owner)
    assert product.data("POST", f"{WEBHOOKS}/{hook['id']}/test")["delivered"] is True
    receiver.failing = True
    maria = customer("Maria")
    simulator.post(f"/contacts/{maria}/send", to=shop.number, texts=TEXTS)
    until(lambda: len(shop.texts(maria)) == len(TEXTS), what="all are stored")
    product.kill()
    receiver.failing = False
    product.start()
    shop.wait_connected()
    until(lambda: len(set(receiver.contents())) == len(TEXTS), seconds=60, what="all deliveries")
    first_seen = list(dict.fromkeys(receiver.contents()))
    assert first_seen == TEXTS
    told = receiver.events("messageReceived")[0]
    assert told["data"]["from"] == maria
    assert told["data"]["name"] == "Maria"
    assert told["data"]["type"] == "TEXTO"
    assert told["connectionId"] == "loja"
    assert told["ownerId"] == str(shop.owner)
    [(atendimento, identifier)] = product.query(
        "select atendimento_id::text, id::text from whatsapp_mensagens where conteudo = %s",
        TEXTS[0],
    )
    assert told["data"]["atendimentoId"] == atendimento
    assert told["data"]["id"] == identifier

    sent = product.send("loja", maria, "olá")
    until(lambda: receiver.events("messageSent"), what="the message sent is told")
    assert receiver.events("messageSent")[0]["data"]["messageId"] == sent["messageId"]
    for headers, body in receiver.deliveries:
        stamp, proof = headers["x-zapvisor-signature"].split(",")
        expected = hmac.new(
            hook["secret"].encode(), stamp[2:].encode() + b"." + body, hashlib.sha256
        )
        assert proof == f"v1={expected.hexdigest()}"
    until(
        lambda: product.data("GET", f"{WEBHOOKS}/{hook['id']}")["deliveries"]["pending"] == 0,
        what="nothing waits any more",
    )
    log = product.data("GET", f"{WEBHOOKS}/{hook['id']}/deliveries", params={"state": "dead"})
    assert log["items"] == []

    # The same over the stream, from the beginning, also after the restart.
    whole = stream(
        product, len(TEXTS), event="messageReceived", connectionId="loja", lastEventId="0"
    )
    assert [one["data"]["content"] for one in whole] == TEXTS
    ids = [one["id"] for one in whole]
    assert ids == sorted(ids)
    rest = stream(product, len(TEXTS) - 10, event="messageReceived", lastEventId=ids[9])
    assert [one["id"] for one in rest] == ids[10:]

    # A stop ends the stream; it does not break it.
    opened, ended = threading.Event(), threading.Event()

    def listen() -> None:
        with product.client.stream("GET", EVENTS) as response:
            for _ in response.iter_lines():
                opened.set()
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    assert opened.wait(30)
    assert product.stop() == 0
    assert ended.wait(30)


def test_webhooks_do_not_lead_into_the_private_network(shared_product):
    for url in ("http://127.0.0.1:5432/", "http://localhost/", "http://169.254.169.254/latest"):
        hook = shared_product.data("POST", WEBHOOKS, json={"url": url})
        told = shared_product.data("POST", f"{WEBHOOKS}/{hook['id']}/test")
        assert told["delivered"] is False
        assert told["error"] in ("address_not_allowed", "unreachable")
        shared_product.data("DELETE", f"{WEBHOOKS}/{hook['id']}")
