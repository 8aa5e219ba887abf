"""Ids of rows can be told beforehand; who takes one first makes no message vanish."""

from __future__ import annotations

from runtime.identity import message_key, row_id
from tests.e2e import talk
from tests.e2e.harness import until

from .forgeries import message
from .scene import API, Scene


def test_a_message_whose_id_somebody_took_is_a_dead_letter_until_the_row_is_gone(
    scene: Scene,
) -> None:
    victim, customer = scene.victim, scene.victims_customer
    whatsapp_id = "3EB0C0FFEE00000000000001"
    lid = scene.simulator.get(f"/contacts/{customer}")["lid"].partition("@")[0]
    taken = []
    for chat in (f"{customer}@s.whatsapp.net", f"{lid}@lid"):  # whichever WhatsApp calls the chat
        key = message_key(
            str(victim.owner), victim.name, chat=chat, sender=chat, message_id=whatsapp_id
        )
        row = {**message(scene), "id": str(row_id(key)), "conteudo": "no lugar da mensagem"}
        assert scene.insert("whatsapp_mensagens", row).is_success
        taken.append(row["id"])

    text = "esta mensagem não some"
    scene.simulator.post(f"/contacts/{customer}/send", to=victim.number, text=text, id=whatsapp_id)
    [letter] = until(
        lambda: scene.product.data("GET", f"{API}/dead-letters"), what="the dead letter"
    )
    assert letter["code"] == "id_taken"
    assert letter["payload"]["conteudo"] == text
    assert letter["payload"]["owner_id"] == str(victim.owner)
    # Nobody else waits, and the other's row is as it was.
    talk.write(victim, customer, "e a próxima chega")
    talk.wait_row(victim, conteudo="e a próxima chega")
    rows = scene.product.query(
        "select conteudo, owner_id from whatsapp_mensagens where id = any (%s::uuid[])", taken
    )
    assert set(rows) == {("no lugar da mensagem", scene.attacker.owner)}

    for one in taken:
        scene.remove("whatsapp_mensagens", one)
    scene.product.data("POST", f"{API}/dead-letters/{letter['seq']}/retry")
    talk.wait_row(victim, conteudo=text)
    assert scene.product.data("GET", f"{API}/dead-letters") == []
