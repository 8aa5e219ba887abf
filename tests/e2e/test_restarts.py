"""Whatever is restarted or killed: every message in the table, once, in order."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from .harness import until

TEXTS = [f"mensagem {number}" for number in range(120)]


def test_after_a_restart_connections_come_back_and_get_what_was_sent_meanwhile(
    own_product, simulator, open_shop, customer
):
    shop = open_shop(own_product, "loja")
    maria = customer()
    simulator.post(f"/contacts/{maria}/send", to=shop.number, text="antes")
    until(shop.rows, what="the first message")
    assert own_product.stop() == 0
    simulator.post(f"/contacts/{maria}/send", to=shop.number, texts=["durante 1", "durante 2"])
    own_product.start()
    shop.wait_connected()
    until(lambda: len(shop.rows()) == 3, what="the messages sent meanwhile")
    assert shop.texts(maria) == ["antes", "durante 1", "durante 2"]


def kill_bridge(product):
    [pid] = product.pids("node")
    os.kill(pid, signal.SIGKILL)


def kill_postgrest(product):
    [pid] = product.pids("postgrest")
    os.kill(pid, signal.SIGKILL)


def kill_postgresql(product):
    os.kill(product.postmaster(), signal.SIGKILL)


def kill_runtime(product):
    product.kill()
    product.start()


@pytest.mark.parametrize(
    "kill", [kill_bridge, kill_postgrest, kill_postgresql, kill_runtime], ids=lambda f: f.__name__
)
def test_kill_9_while_messages_flow(own_product, simulator, open_shop, customer, kill):
    shop = open_shop(own_product, "loja")
    maria = customer()
    writer = threading.Thread(
        target=simulator.post,
        args=(f"/contacts/{maria}/send",),
        kwargs={"to": shop.number, "texts": TEXTS, "intervalMs": 20},
    )
    writer.start()
    until(lambda: len(shop.rows()) >= 20, what="messages flow")
    kill(own_product)
    writer.join(60)
    until(
        lambda: len(shop.texts(maria)) >= len(TEXTS) and shop.texts(maria)[-1] == TEXTS[-1],
        seconds=60,
        what="every message is in the table",
    )
    assert shop.texts(maria) == TEXTS
    sent = simulator.get("/ledger", phone=shop.number)["sent"]
    assert [message["text"] for message in sent if message["from"] == maria] == TEXTS
    until(
        lambda: all(
            message["delivered"] for message in simulator.get("/ledger", phone=shop.number)["sent"]
        ),
        what="the customer's phone shows every message as delivered",
    )
