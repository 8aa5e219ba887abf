"""A row that Supabase refuses: seen with its reason, corrected, retried, stored."""

from __future__ import annotations

import psycopg

from .harness import until

BASE = "/api/whatsapp-integration/dead-letters"


def test_a_refused_message_is_listed_corrected_and_stored(
    own_product, simulator, open_shop, customer
):
    shop = open_shop(own_product, "loja")
    maria, joao = customer("Maria"), customer("João")
    with psycopg.connect(own_product.stack.dsn, autocommit=True) as database:
        database.execute(
            "alter table whatsapp_mensagens add constraint no_swearing"
            " check (conteudo <> 'palavrão')"
        )
    simulator.post(f"/contacts/{maria}/send", to=shop.number, texts=["antes", "palavrão", "depois"])
    simulator.post(f"/contacts/{joao}/send", to=shop.number, text="outra conversa")
    [letter] = until(lambda: own_product.data("GET", BASE), what="a dead letter")
    until(lambda: shop.texts(joao) and len(shop.texts(maria)) == 2, what="the others are stored")
    assert shop.texts(maria) == ["antes", "depois"]
    assert letter["code"] == "23514"
    assert "no_swearing" in letter["reason"]
    assert letter["payload"]["conteudo"] == "palavrão"
    assert letter["raw"]["message"]
    queue = own_product.data("GET", "/api/whatsapp-bootstrap/stats")["queue"]
    assert queue["deadLetters"] == 1
    assert queue["accepted"] == queue["stored"] + queue["pending"] + 1

    path = f"{BASE}/{letter['seq']}"
    refused = own_product.call("POST", f"{path}/retry", json={"changes": {"id": "x"}})
    assert (refused.status_code, refused.json()["code"]) == (400, "fixed_fields")
    own_product.data("POST", f"{path}/retry", json={"changes": {"conteudo": "p***"}})
    until(lambda: len(shop.texts(maria)) == 3, what="the corrected message is stored")
    assert shop.texts(maria) == ["antes", "p***", "depois"]
    assert own_product.data("GET", BASE) == []
    assert own_product.call("GET", path).status_code == 404


def test_archived_dead_letters_leave_the_list_but_not_the_disk(
    own_product, simulator, open_shop, customer
):
    shop = open_shop(own_product, "loja")
    with psycopg.connect(own_product.stack.dsn, autocommit=True) as database:
        database.execute("alter table whatsapp_mensagens add constraint none check (conteudo = '')")
    simulator.post(f"/contacts/{customer()}/send", to=shop.number, text="guarde-me")
    until(lambda: own_product.data("GET", BASE), what="a dead letter")
    assert own_product.data("POST", "/api/whatsapp-integration/queue/clear")["archived"] == 1
    assert own_product.data("GET", BASE) == []
    [archive] = (own_product.directory / "data" / "archive").iterdir()
    assert "guarde-me" in archive.read_text()
