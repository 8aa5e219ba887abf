"""Every kind of message, both ways: real Baileys, the simulator's customers, the tables."""

from __future__ import annotations

from .harness import until
from .talk import API, inbox, rows, send, shown, wait_row, write, write_message


def set_options(shop, **options):
    return shop.product.data("PATCH", f"{API}/connections/{shop.name}", json={"options": options})


def text_with_context(text, **context):
    return {"extendedTextMessage": {"text": text, "contextInfo": context}}


def test_what_customers_write_arrives_readable_with_its_facts(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "kinds-in")
    maria = customer("Maria")
    first = write(shop, maria, "primeira")
    row = wait_row(shop, conteudo="primeira")
    write_message(
        shop,
        maria,
        {"locationMessage": {"degreesLatitude": -23.5, "degreesLongitude": -46.6, "name": "Praça"}},
    )
    vcard = "BEGIN:VCARD\nVERSION:3.0\nFN:João\nTEL;waid=5511912345678:+55 11 91234-5678\nEND:VCARD"
    write_message(shop, maria, {"contactMessage": {"displayName": "João", "vcard": vcard}})
    write_message(
        shop,
        maria,
        {
            "pollCreationMessageV3": {
                "name": "Quando?",
                "options": [{"optionName": "hoje"}, {"optionName": "amanhã"}],
                "selectableOptionsCount": 1,
            }
        },
    )
    write_message(
        shop,
        maria,
        text_with_context(
            "respondendo",
            stanzaId=first,
            participant=f"{maria}@s.whatsapp.net",
            mentionedJid=["5511987654321@s.whatsapp.net"],
            quotedMessage={"conversation": "primeira"},
        ),
    )
    write_message(
        shop,
        maria,
        {
            "extendedTextMessage": {
                "text": "veja https://exemplo.com.br",
                "matchedText": "https://exemplo.com.br",
                "title": "Exemplo",
            }
        },
    )
    write_message(shop, maria, {"groupInviteMessage": {"groupName": "Festa", "inviteCode": "x"}})
    write_message(shop, maria, {"requestPhoneNumberMessage": {}})
    location = wait_row(
        shop, tipo="TEXTO", conteudo="📍 Praça\nhttps://maps.google.com/?q=-23.5,-46.6"
    )
    assert location["dados"]["localizacao"]["latitude"] == -23.5
    contact = wait_row(shop, conteudo="👤 João: +55 11 91234-5678")
    assert contact["dados"]["contatos"][0]["whatsapp"] == ["5511912345678"]
    poll = wait_row(shop, conteudo="📊 Quando?\n• hoje\n• amanhã")
    assert poll["dados"]["enquete"]["escolhas"] == 1
    answer = wait_row(shop, conteudo="respondendo")
    assert answer["dados"]["resposta"]["id"] == row["id"]
    assert answer["dados"]["mencoes"] == ["5511987654321@s.whatsapp.net"]
    link = wait_row(shop, conteudo="veja https://exemplo.com.br")
    assert link["dados"]["link"]["titulo"] == "Exemplo"
    wait_row(shop, conteudo="Convite para o grupo Festa")
    unknown = wait_row(shop, tipo="SISTEMA")
    assert unknown["dados"]["tipo_whatsapp"] == "requestPhoneNumber"
    listed = shared_product.data(
        "GET", f"{API}/messages/{row['atendimento_id']}", params={"ownerId": str(shop.owner)}
    )
    assert [one["dados"] for one in listed] == [one["dados"] for one in rows(shop)]
    assert {one["remetente"] for one in rows(shop)} == {"CLIENTE"}


def test_reactions_edits_and_deletions_of_customers_change_the_message(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "changes-in")
    maria = customer()
    typo = write(shop, maria, "bom dis")
    gone = write(shop, maria, "apague-me")
    sent = send(shop, maria, content="resposta")
    wait_row(shop, conteudo="resposta")
    until(lambda: inbox(shop, maria), what="the customer is shown the answer")
    jid = f"{shop.number}@s.whatsapp.net"
    write_message(
        shop,
        maria,
        {
            "protocolMessage": {
                "key": {"remoteJid": jid, "fromMe": True, "id": typo},
                "type": 14,
                "editedMessage": {"conversation": "bom dia"},
            }
        },
    )
    write_message(
        shop,
        maria,
        {"protocolMessage": {"key": {"remoteJid": jid, "fromMe": True, "id": gone}, "type": 0}},
    )
    for emoji in ("👍", "❤️"):
        write_message(
            shop,
            maria,
            {
                "reactionMessage": {
                    "key": {"remoteJid": jid, "fromMe": False, "id": sent["messageId"]},
                    "text": emoji,
                }
            },
        )
    edited = wait_row(shop, conteudo="bom dia")
    assert edited["dados"]["edicoes"][0]["antes"] == "bom dis"
    until(
        lambda: (wait_row(shop, conteudo="apague-me")["dados"] or {}).get("apagada"),
        what="the deletion is noted",
    )
    until(
        lambda: (
            (wait_row(shop, conteudo="resposta")["dados"] or {})
            .get("reacoes", {})
            .get(maria, {})
            .get("emoji")
            == "❤️"
        ),
        what="the last reaction counts",
    )
    assert len(rows(shop)) == 3


def test_locations_contacts_polls_and_answers_are_sent(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "kinds-out")
    maria = customer()
    write(shop, maria, "onde fica?")
    question = wait_row(shop, conteudo="onde fica?")
    send(shop, maria, content="aqui", quotedMessageId=question["id"], mentions=["11987654321"])
    send(
        shop,
        maria,
        type="location",
        location={"latitude": -23.55, "longitude": -46.63, "name": "Loja"},
    )
    send(
        shop,
        maria,
        type="contact",
        contacts=[{"name": "Gerente; da Loja", "phones": ["(11) 98765-4321"]}],
    )
    send(shop, maria, type="poll", poll={"name": "Volta?", "options": ["sim", "não"]})
    context = shown(shop, maria, "extendedTextMessage")["contextInfo"]
    assert context["stanzaId"] == question["whatsapp_id"]
    assert context["mentionedJid"] == ["5511987654321@s.whatsapp.net"]
    assert shown(shop, maria, "locationMessage")["degreesLatitude"] == -23.55
    assert "waid=5511987654321" in shown(shop, maria, "contactMessage")["vcard"]
    assert len(shown(shop, maria, "pollCreationMessageV3")["options"]) == 2
    answer = wait_row(shop, conteudo="aqui")
    assert answer["dados"]["resposta"]["id"] == question["id"]
    assert wait_row(shop, conteudo="📊 Volta?\n• sim\n• não")["remetente"] == "ATENDENTE"
    place = next(row for row in rows(shop) if "localizacao" in (row["dados"] or {}))
    edited = shared_product.call("PATCH", f"{API}/messages/{place['id']}", json={"content": "x"})
    assert (edited.status_code, edited.json()["code"]) == (409, "not_editable")
    missing = shared_product.call(
        "POST",
        f"{API}/messages/send",
        json={"connectionId": shop.name, "to": maria, "type": "location"},
    )
    assert (missing.status_code, missing.json()["code"]) == (400, "missing_location")


def test_an_attendant_reacts_edits_and_deletes(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "changes-out")
    maria = customer()
    write(shop, maria, "oi")
    theirs = wait_row(shop, conteudo="oi")
    send(shop, maria, content="bom dis")
    ours = wait_row(shop, conteudo="bom dis", status="delivered")
    path = f"{API}/messages"
    shared_product.data("POST", f"{path}/{theirs['id']}/reaction", json={"emoji": "👍"})
    shared_product.data("PATCH", f"{path}/{ours['id']}", json={"content": "bom dia"})
    reaction = shown(shop, maria, "reactionMessage")
    assert (reaction["text"], reaction["key"]["id"]) == ("👍", theirs["whatsapp_id"])
    edit = shown(shop, maria, "protocolMessage")
    assert edit["key"]["id"] == ours["whatsapp_id"]
    assert edit["editedMessage"]["conversation"] == "bom dia"
    wait_row(shop, conteudo="bom dia")
    shared_product.data("DELETE", f"{path}/{ours['id']}")
    until(lambda: wait_row(shop, id=ours["id"])["dados"].get("apagada"), what="it is noted")
    assert wait_row(shop, id=theirs["id"])["dados"]["reacoes"]["eu"]["emoji"] == "👍"
    refused = shared_product.call("PATCH", f"{path}/{theirs['id']}", json={"content": "x"})
    assert (refused.status_code, refused.json()["code"]) == (409, "not_own_message")
    assert len(rows(shop)) == 2


def test_groups_are_stored_only_where_the_connection_says_so(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "groups")
    ana, bia = customer("Ana"), customer("Bia")
    group = simulator.post("/groups", subject="Turma", members=[ana, bia, shop.number])["jid"]
    simulator.post(f"/contacts/{ana}/send", to=group, text="ninguém guarda")
    write(shop, ana, "direto")
    wait_row(shop, conteudo="direto")
    set_options(shop, storeGroups=True)
    simulator.post(f"/contacts/{bia}/send", to=group, text="agora sim")
    row = wait_row(shop, conteudo="agora sim")
    assert row["numero_cliente"] == group
    assert row["dados"]["participante"] == {"numero": bia, "nome": "Bia"}
    assert [one["conteudo"] for one in rows(shop)] == ["direto", "agora sim"]
    send(shop, group, content="para todos")
    until(
        lambda: "para todos" in [one["text"] for one in inbox(shop, bia)], what="the group is told"
    )


def test_a_message_whose_content_comes_later_is_one_row(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "stubs")
    maria = customer()
    write(shop, maria, "antes")
    wait_row(shop, conteudo="antes")
    simulator.post("/faults", kind="unavailable", phone=shop.number, times=1)
    write(shop, maria, "do anúncio")
    filled = wait_row(shop, seconds=40, conteudo="do anúncio")
    assert (filled["tipo"], filled["dados"]) == ("TEXTO", None)
    assert len(rows(shop)) == 2


def test_a_call_is_a_row_and_is_rejected_where_the_connection_says_so(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "calls")
    maria = customer()
    simulator.post(f"/contacts/{maria}/call", to=shop.number, video=True)
    row = wait_row(shop, conteudo="Chamada de vídeo recebida.")
    assert (row["tipo"], row["remetente"], row["numero_cliente"]) == ("SISTEMA", "SISTEMA", maria)
    path = f"{API}/messages/{row['id']}"
    for refused in (
        shared_product.call("POST", f"{path}/reaction", json={"emoji": "👍"}),
        shared_product.call("DELETE", path),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "not_a_whatsapp_message")
    set_options(shop, rejectCalls=True)
    simulator.post(f"/contacts/{maria}/call", to=shop.number)
    wait_row(shop, conteudo="Chamada de voz recebida e recusada automaticamente.")

    def rejected():
        signals = simulator.get(f"/phones/{shop.number}/signals")
        return [one["state"] for one in signals if one["kind"] == "call"]

    until(lambda: rejected() == ["reject"], what="the second call is rejected")
