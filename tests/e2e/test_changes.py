"""Whose edits, deletions and reactions count, in groups and in chats of two; and those that come
before their message."""

from __future__ import annotations

import pytest

from .harness import until
from .talk import API, inbox, rows, send, wait_row, write, write_message

EDIT, REVOKE = 14, 0


@pytest.fixture
def group_shop(shared_product, simulator, open_shop, customer):
    """A shop in a group of Ana, who administers it, and Bia, who does not."""

    def make(name):
        shop = open_shop(shared_product, name)
        path = f"{API}/connections/{shop.name}"
        shared_product.data("PATCH", path, json={"options": {"storeGroups": True}})
        ana, bia = customer("Ana"), customer("Bia")
        members = [ana, bia, shop.number]
        group = simulator.post("/groups", subject="Turma", members=members)["jid"]
        return shop, group, ana, bia

    return make


def change(kind, message_id, text="pedido confirmado: R$ 10", **key):
    body = {"key": {"id": message_id, **key}, "type": kind}
    if kind == EDIT:
        body["editedMessage"] = {"conversation": text}
    return {"protocolMessage": body}


def reaction(message_id, emoji, **key):
    return {"reactionMessage": {"key": {"id": message_id, **key}, "text": emoji}}


def lid(simulator, number):
    return simulator.get(f"/contacts/{number}")["lid"]


def deleted(shop, text):
    return (wait_row(shop, conteudo=text)["dados"] or {}).get("apagada")


def test_in_a_group_nobody_changes_what_another_wrote(group_shop, simulator):
    shop, group, ana, bia = group_shop("forged")
    order = write_message(shop, ana, {"conversation": "pedido confirmado: R$ 100"}, to=group)
    before = wait_row(shop, conteudo="pedido confirmado: R$ 100")
    for participant in (
        lid(simulator, ana),
        f"{ana}@s.whatsapp.net",
        f"{ana}:3@s.whatsapp.net",
        None,
    ):
        for mine in (False, True):
            named = {} if participant is None else {"participant": participant}
            key = {"remoteJid": group, "fromMe": mine, **named}
            write_message(shop, bia, change(EDIT, order, **key), to=group)
            write_message(shop, bia, change(REVOKE, order, **key), to=group)
    write_message(shop, bia, change(EDIT, order, remoteJid=group, fromMe=True))
    write_message(shop, bia, change(REVOKE, order, remoteJid=f"{ana}@s.whatsapp.net"))
    write_message(shop, bia, {"conversation": "fim"}, to=group)
    wait_row(shop, conteudo="fim")
    assert wait_row(shop, id=before["id"]) == before
    assert [row["conteudo"] for row in rows(shop)] == ["pedido confirmado: R$ 100", "fim"]


def test_in_a_group_authors_change_their_own_and_admins_delete(group_shop, simulator):
    shop, group, ana, bia = group_shop("honest")
    write_message(shop, ana, {"conversation": "um"}, to=group)
    typo = write_message(shop, bia, {"conversation": "bom dis"}, to=group)
    gone = write_message(shop, bia, {"conversation": "apago eu"}, to=group)
    spam = write_message(shop, bia, {"conversation": "apaga a Ana"}, to=group)
    more = write_message(shop, bia, {"conversation": "apaga a Ana também"}, to=group)
    ours = send(shop, group, content="nossa")
    wait_row(shop, conteudo="nossa", status="delivered")
    own = {"remoteJid": group, "fromMe": True}
    write_message(shop, bia, change(EDIT, typo, "bom dia", **own), to=group)
    write_message(shop, bia, change(REVOKE, gone, **own), to=group)
    by_lid = {"remoteJid": group, "fromMe": False, "participant": lid(simulator, bia)}
    by_number = {"remoteJid": group, "participant": f"{bia}@s.whatsapp.net"}
    write_message(shop, ana, change(REVOKE, spam, **by_lid), to=group)
    write_message(shop, ana, change(REVOKE, more, **by_number), to=group)
    us = {"remoteJid": group, "participant": f"{shop.number}@s.whatsapp.net"}
    write_message(shop, bia, change(REVOKE, ours["messageId"], **us), to=group)
    write_message(shop, bia, reaction(ours["messageId"], "👍", **us), to=group)
    until(lambda: deleted(shop, "apaga a Ana também"), what="the admin's deletion by number")
    assert deleted(shop, "apago eu")["por"] == bia
    assert deleted(shop, "apaga a Ana")["por"] == ana
    edited = wait_row(shop, conteudo="bom dia")
    assert edited["dados"]["edicoes"][0]["antes"] == "bom dis"
    until(
        lambda: (wait_row(shop, conteudo="nossa")["dados"] or {}).get("reacoes"),
        what="the reaction that came last",
    )
    assert deleted(shop, "nossa") is None
    write_message(shop, ana, change(REVOKE, ours["messageId"], **us), to=group)
    until(lambda: deleted(shop, "nossa"), what="the admin deletes what is ours, too")
    assert len(rows(shop)) == 6


def test_our_own_phone_changes_its_own_and_deletes_as_an_admin(group_shop, simulator):
    shop, group, ana, _ = group_shop("own-phone")
    spam = write_message(shop, ana, {"conversation": "propaganda"}, to=group)
    wait_row(shop, conteudo="propaganda")

    def on_phone(message):
        path = f"/phones/{shop.number}/send"
        return simulator.post(path, to=group, message=message)["ids"][0]

    typo = on_phone({"conversation": "ate logo"})
    wait_row(shop, conteudo="ate logo")
    on_phone(change(EDIT, typo, "até logo", remoteJid=group, fromMe=True))
    key = {"remoteJid": group, "fromMe": False, "participant": lid(simulator, ana)}
    on_phone(change(REVOKE, spam, **key))
    wait_row(shop, conteudo="até logo")
    assert until(lambda: deleted(shop, "propaganda"), what="the deletion")["por"] == "eu"


def test_one_customer_does_not_reach_the_chat_of_another(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "two-chats")
    ana, bia = customer("Ana"), customer("Bia")
    order = write(shop, ana, "quero dois")
    wait_row(shop, conteudo="quero dois")
    ours = send(shop, ana, content="custa R$ 100")
    wait_row(shop, conteudo="custa R$ 100", status="delivered")
    us, her = f"{shop.number}@s.whatsapp.net", f"{ana}@s.whatsapp.net"
    before = rows(shop)
    for jid in (us, her, lid(simulator, ana)):
        for mine in (True, False):
            for target in (order, ours["messageId"]):
                key = {"remoteJid": jid, "fromMe": mine, "participant": her}
                write_message(shop, bia, change(EDIT, target, **key))
                write_message(shop, bia, change(REVOKE, target, **key))
                write_message(shop, bia, reaction(target, "👎", **key))
    write(shop, bia, "fim")
    wait_row(shop, conteudo="fim")
    # Rows come by time, and WhatsApp's are whole seconds: the last may stand before ours.
    assert [row for row in rows(shop) if row["conteudo"] != "fim"] == before
    assert len(rows(shop)) == len(before) + 1


@pytest.mark.parametrize(("first", "then"), [("lid", "pn"), ("pn", "lid")])
def test_a_customer_by_number_and_by_lid_is_one(
    shared_product, simulator, open_shop, customer, first, then
):
    shop = open_shop(shared_product, f"named-{first}")
    ana = customer("Ana")
    simulator.post(f"/contacts/{ana}", addressing=first)
    typo = write(shop, ana, "bom dis")
    wait_row(shop, conteudo="bom dis")
    simulator.post(f"/contacts/{ana}", addressing=then)
    write_message(shop, ana, change(EDIT, typo, "bom dia", fromMe=True))
    wait_row(shop, conteudo="bom dia")
    assert len(rows(shop)) == 1


def test_a_change_that_comes_first_waits_and_begins_nothing(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "too-early")
    ana = customer("Ana")
    late = "3EB0" + "A1" * 9
    write_message(shop, ana, change(EDIT, late, "bom dia", fromMe=True))
    write_message(shop, ana, reaction(late, "👍", fromMe=True))
    until(
        lambda: (
            shared_product.query(
                "select count(*) from zapvisor.pending_changes where owner_id = %s", shop.owner
            )
            == [(2,)]
        ),
        what="both wait",
    )
    assert rows(shop) == []
    assert shared_product.query(
        "select count(*) from whatsapp_atendimentos where owner_id = %s", shop.owner
    ) == [(0,)]
    simulator.post(f"/contacts/{ana}/send", to=shop.number, text="bom dis", id=late)
    row = wait_row(shop, conteudo="bom dia")
    assert row["dados"]["edicoes"][0]["antes"] == "bom dis"
    assert row["dados"]["reacoes"][ana]["emoji"] == "👍"


def test_an_edit_of_what_cannot_be_read_yet_is_there_once_it_can(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "unread")
    maria = customer()
    write(shop, maria, "antes")
    wait_row(shop, conteudo="antes")
    simulator.post("/faults", kind="unavailable", phone=shop.number, times=1)
    typo = write(shop, maria, "do anuncio")
    write_message(shop, maria, change(EDIT, typo, "do anúncio", fromMe=True))
    row = wait_row(shop, seconds=40, conteudo="do anúncio", tipo="TEXTO")
    assert row["dados"]["edicoes"][0]["antes"] == "do anuncio"
    assert "stub" not in row["dados"]
    assert len(rows(shop)) == 2
    assert inbox(shop, maria) == []
