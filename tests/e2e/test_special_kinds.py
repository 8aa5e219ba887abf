"""Votes, view-once, albums, previews and answering files, both ways; and what nobody is shown."""

from __future__ import annotations

import base64

from .harness import until
from .talk import API, rows, send, shown, wait_row, write, write_message

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(200)
DATA_URL = "data:image/png;base64," + base64.b64encode(PICTURE).decode()


def test_votes_in_our_polls_say_what_was_chosen(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "votes")
    maria = customer()
    options = ["sim", "não", "talvez"]
    poll = send(shop, maria, type="poll", poll={"name": "Volta?", "options": options})
    asked = wait_row(shop, whatsapp_id=poll["messageId"])
    shown(shop, maria, "pollCreationMessageV3")

    def vote(*chosen, addressing):
        simulator.post(f"/contacts/{maria}", addressing=addressing)
        ballot = {"to": shop.number, "poll": poll["messageId"], "options": list(chosen)}
        return simulator.post(f"/contacts/{maria}/vote", **ballot)["ids"][0]

    first = wait_row(shop, whatsapp_id=vote("não", addressing="lid"))
    assert (first["conteudo"], first["tipo"], first["remetente"]) == (
        "Votou: não",
        "SISTEMA",
        "CLIENTE",
    )
    assert first["dados"]["voto_em_enquete"] == {
        "enquete": poll["messageId"],
        "id": asked["id"],
        "opcoes": ["não"],
    }
    again = wait_row(shop, whatsapp_id=vote("sim", "talvez", addressing="pn"))
    assert again["dados"]["voto_em_enquete"]["opcoes"] == ["sim", "talvez"]
    taken_back = wait_row(shop, whatsapp_id=vote(addressing="pn"))
    assert taken_back["dados"]["voto_em_enquete"]["opcoes"] == []
    elsewhere = {
        "pollUpdateMessage": {
            "pollCreationMessageKey": {"remoteJid": maria, "fromMe": True, "id": "3AFFFF"},
            "vote": {"encPayload": "AAAA", "encIv": "AAAA"},
        }
    }
    unread = wait_row(shop, whatsapp_id=write_message(shop, maria, elsewhere))
    assert unread["dados"]["voto_em_enquete"] == {"enquete": "3AFFFF"}


def test_view_once_is_what_it_is_both_ways(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "once")
    maria = customer()
    hidden = {"viewOnceMessageV2": {"message": {"imageMessage": {"viewOnce": True}}}}
    stub = wait_row(shop, whatsapp_id=write_message(shop, maria, hidden))
    assert (stub["tipo"], stub["dados"]) == (
        "SISTEMA",
        {"stub": "view_once", "visualizacao_unica": True},
    )
    spoken = {"viewOnceMessage": {"message": {"conversation": "só uma vez"}}}
    open_ = wait_row(shop, whatsapp_id=write_message(shop, maria, spoken))
    assert (open_["conteudo"], open_["dados"]["visualizacao_unica"]) == ("só uma vez", True)

    sent = send(shop, maria, type="image", mediaUrl=DATA_URL, content="veja", viewOnce=True)
    wrapped = shown(shop, maria, "imageMessage", whole=True)["viewOnceMessage"]["message"]
    assert (wrapped["imageMessage"]["viewOnce"], wrapped["imageMessage"]["caption"]) == (
        True,
        "veja",
    )
    assert wait_row(shop, whatsapp_id=sent["messageId"])["dados"]["visualizacao_unica"] is True
    refused = shared_product.call(
        "POST",
        f"{API}/messages/send",
        json={
            "connectionId": shop.name,
            "to": maria,
            "type": "document",
            "mediaUrl": DATA_URL,
            "viewOnce": True,
        },
    )
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")


def test_a_file_answers_and_mentions_like_a_text(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "answers")
    maria = customer()
    write(shop, maria, "tem foto?")
    question = wait_row(shop, conteudo="tem foto?")
    beside = {"quotedMessageId": question["id"], "mentions": ["11987654321"]}
    sent = send(shop, maria, type="image", mediaUrl=DATA_URL, content="aqui", **beside)
    uploaded = shared_product.data(
        "POST",
        f"{API}/messages/send-media",
        data={
            "connectionId": shop.name,
            "to": maria,
            "type": "document",
            **beside,
            "mentions": "11987654321, 11987654322",
        },
        files={"file": ("a.txt", b"texto", "text/plain")},
    )
    picture = shown(shop, maria, "imageMessage")["contextInfo"]
    document = shown(shop, maria, "documentMessage")["contextInfo"]
    for context in (picture, document):
        assert context["stanzaId"] == question["whatsapp_id"]
        assert context["quotedMessage"]["conversation"] == "tem foto?"
    assert picture["mentionedJid"] == ["5511987654321@s.whatsapp.net"]
    assert len(document["mentionedJid"]) == 2
    for one in (sent, uploaded):
        facts = wait_row(shop, whatsapp_id=one["messageId"])["dados"]
        assert facts["resposta"]["id"] == question["id"]
        assert facts["mencoes"][0] == "5511987654321@s.whatsapp.net"
    missing = shared_product.call(
        "POST",
        f"{API}/messages/send",
        json={
            "connectionId": shop.name,
            "to": maria,
            "type": "image",
            "mediaUrl": DATA_URL,
            "quotedMessageId": "00000000-0000-4000-8000-000000000000",
        },
    )
    assert (missing.status_code, missing.json()["code"]) == (404, "message_not_found")
    group = {"content": "oi", "mentions": ["120363041234567890@g.us"]}
    body = {"connectionId": shop.name, "to": maria, **group}
    refused = shared_product.call("POST", f"{API}/messages/send", json=body)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_recipient")


def test_strange_ids_of_others_messages_do_no_harm(shared_product, simulator, open_shop, customer):
    """Ids are made by the sender's client; nothing in one may stop what an attendant does."""
    shop = open_shop(shared_product, "strange-ids")
    maria = customer()
    strange = ["com espaço/e..barra", "emoji 🤔", "x" * 255, "linha\nquebrada"]
    for message_id in strange:
        simulator.post(f"/contacts/{maria}/send", to=shop.number, text="oi", id=message_id)
        row = wait_row(shop, whatsapp_id=message_id)
        shared_product.data("POST", f"{API}/messages/{row['id']}/read")
        reacted = shared_product.call(
            "POST", f"{API}/messages/{row['id']}/reaction", json={"emoji": "👍"}
        )
        assert reacted.status_code in (200, 202), reacted.text
        send(shop, maria, content=f"sobre {len(message_id)}", quotedMessageId=row["id"])
    sent = send(shop, maria, content="e a vida segue")
    wait_row(shop, whatsapp_id=sent["messageId"], status="delivered")
    assert all(wait_row(shop, whatsapp_id=one, lida=True) for one in strange)
    assert shared_product.connection(shop.name)["counters"]["sockets"] == 1


def test_a_link_is_shown_as_the_client_says(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "links")
    maria = customer()
    url = "https://exemplo.com.br/promo"
    preview = {"url": url, "title": "Promoção", "description": "Até domingo"}
    sent = send(shop, maria, content=f"veja {url}", linkPreview=preview)
    text = shown(shop, maria, "extendedTextMessage")
    assert (text["matchedText"], text["title"], text["description"]) == tuple(preview.values())
    row = wait_row(shop, whatsapp_id=sent["messageId"])
    assert row["dados"]["link"] == {"url": url, "titulo": "Promoção", "descricao": "Até domingo"}
    for wrong, code in (
        ({**preview, "url": "https://outro.com"}, "invalid_link_preview"),
        ({**preview, "url": "javascript:alert(1)"}, "validation_error"),
        ({"url": url}, "validation_error"),
    ):
        body = {"connectionId": shop.name, "to": maria, "content": url, "linkPreview": wrong}
        refused = shared_product.call("POST", f"{API}/messages/send", json=body)
        assert (refused.status_code, refused.json()["code"]) == (400, code), refused.text


def test_the_pictures_of_an_album_are_pictures(shared_product, simulator, open_shop, customer):
    shop = open_shop(shared_product, "album")
    maria = customer()
    write_message(shop, maria, {"albumMessage": {"expectedImageCount": 2}})
    for caption in ("um", "dois"):
        picture = {"imageMessage": {"caption": caption, "mimetype": "image/png"}}
        write_message(shop, maria, {"associatedChildMessage": {"message": picture}})
    wait_row(shop, conteudo="dois")
    assert [(row["tipo"], row["conteudo"]) for row in rows(shop)] == [
        ("IMAGEM", "um"),
        ("IMAGEM", "dois"),
    ]


def test_status_updates_and_newsletters_are_acknowledged_and_left_out(
    shared_product, simulator, open_shop, customer
):
    shop = open_shop(shared_product, "broadcasts")
    maria = customer()
    write(shop, maria, "antes")
    simulator.post(f"/contacts/{maria}/status", to=shop.number, text="foto do almoço")
    simulator.post(f"/phones/{shop.number}/news", text="manchete")
    write(shop, maria, "depois")
    wait_row(shop, conteudo="depois")
    assert [row["conteudo"] for row in rows(shop)] == ["antes", "depois"]

    def owed():
        [companion] = simulator.get(f"/phones/{shop.number}")["companions"]
        return companion["pending"]

    until(lambda: owed() == 0, what="WhatsApp owes nothing any more")
    letters = shared_product.data("GET", f"{API}/dead-letters")
    assert shop.name not in str(letters)
