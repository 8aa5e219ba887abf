"""Events of the bridge as entries: kinds, changes, stubs, groups, calls."""

from datetime import UTC, datetime

import pytest

from runtime.identity import message_key, row_id
from runtime.inbound.changes import read_change
from runtime.inbound.content import read_content
from runtime.inbound.entries import MAX_READ, Ignored, call_entry, message_entry, read_entries
from runtime.journal import Connection

LOJA = Connection("loja", "Loja", "owner", None, datetime(2026, 1, 1, tzinfo=UTC))
LID = "123456@lid"


def event(message, *, own=False, stub=None, jid=LID, **changes):
    key = {"remoteJid": jid, "fromMe": own, "id": "3A01"}
    data = {"key": key, "phone": "5511987654321", "lid": LID, "pushName": "Ana"}
    return {**data, "timestamp": 1_770_000_000, "stub": stub, "message": message, **changes}


def row_of(message_id, sender=LID):
    chat = LID if sender is not None else ""
    key = message_key("owner", "loja", chat=chat, sender=sender, message_id=message_id)
    return str(row_id(key))


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("buttonsResponseMessage", {"selectedDisplayText": "Sim", "selectedButtonId": "1"}, "Sim"),
        ("listResponseMessage", {"title": "Pizza", "singleSelectReply": {}}, "Pizza"),
        ("templateButtonReplyMessage", {"selectedId": "sim"}, "sim"),
        ("liveLocationMessage", {"degreesLatitude": 1, "caption": "aqui"}, "aqui"),
        ("orderMessage", {"message": "2 pizzas"}, "2 pizzas"),
        ("productMessage", {"product": {"title": "Bolo"}}, "Bolo"),
        ("contactsArrayMessage", {"contacts": [{"displayName": "Zé", "vcard": ""}]}, "Zé"),
        ("locationMessage", {}, "maps"),
        ("pollCreationMessage", {}, "📊"),
        ("contactMessage", {"vcard": None}, "👤"),
        ("pollCreationMessageV5", {"name": "Quando?"}, "Quando?"),
        ("eventMessage", {"name": "Churrasco", "startTime": "1770000000"}, "Churrasco"),
        ("buttonsMessage", {"contentText": "Escolha"}, "Escolha"),
        ("listMessage", {"title": "Menu", "description": "Pizzas"}, "Menu\nPizzas"),
        ("templateMessage", {"hydratedTemplate": {"hydratedContentText": "Oi"}}, "Oi"),
        ("interactiveMessage", {"body": {"text": "Toque aqui"}}, "Toque aqui"),
        ("interactiveResponseMessage", {"body": {"text": "Pix"}}, "Pix"),
    ],
)
def test_kinds_without_columns_are_readable_texts_with_facts(kind, body, text):
    content = read_content({kind: body})
    assert content.tipo == "TEXTO"
    assert text in content.conteudo
    assert content.dados


@pytest.mark.parametrize(
    "wrapper", ["associatedChildMessage", "lottieStickerMessage", "groupStatusMessageV2"]
)
def test_what_is_inside_a_wrapper_is_the_message(wrapper):
    content = read_content({wrapper: {"message": {"stickerMessage": {"mimetype": "image/webp"}}}})
    assert (content.tipo, content.midia_tipo) == ("STICKER", "image/webp")
    poll = {"message": {"pollCreationMessage": {"name": "Quando?"}}}
    assert read_content({"pollCreationMessageV4": poll}).dados["enquete"]["pergunta"] == "Quando?"


def test_what_announces_pictures_is_no_message():
    assert read_content({"albumMessage": {"expectedImageCount": 3}}) is None


@pytest.mark.parametrize(
    ("options", "text"), [(["sim", "não"], "Votou: sim, não"), ([], "Retirou o voto da enquete.")]
)
def test_a_vote_in_our_poll_says_what_it_chose(options, text):
    vote = {"pollUpdateMessage": {"pollCreationMessageKey": {"id": "3B"}}}
    entry = message_entry(LOJA, event(vote, vote={"options": options}))
    assert (entry.payload["conteudo"], entry.payload["tipo"]) == (text, "SISTEMA")
    facts = {"enquete": "3B", "id": row_of("3B", None), "opcoes": options}
    assert entry.payload["dados"] == {"voto_em_enquete": facts}
    mixed = message_entry(LOJA, event({"conversation": "oi", **vote}, vote={"options": options}))
    assert (mixed.payload["conteudo"], mixed.payload["dados"]) == ("oi", None)
    unread = message_entry(LOJA, event(vote, vote=None))
    assert unread.payload["dados"] == {"voto_em_enquete": {"enquete": "3B"}}


def test_what_is_read_on_the_phone_names_the_rows_of_its_messages():
    data = {"chat": LID, "phone": "5511987654321", "lid": LID, "ids": ["3A01", "3A02"]}
    entries = read_entries(LOJA, data)
    assert [entry.payload["id"] for entry in entries] == [row_of("3A01"), row_of("3A02")]
    assert {entry.kind for entry in entries} == {"read"}
    many = read_entries(LOJA, {**data, "ids": [f"3A{n}" for n in range(MAX_READ + 50)]})
    assert len(many) == MAX_READ


def test_a_vote_names_its_poll():
    content = read_content({"pollUpdateMessage": {"pollCreationMessageKey": {"id": "3A"}}})
    assert (content.tipo, content.dados["voto_em_enquete"]) == ("SISTEMA", {"enquete": "3A"})


def test_a_reaction_changes_the_message_that_it_names():
    message = {"reactionMessage": {"key": {"id": "3B", "fromMe": True}, "text": "👍"}}
    entry = message_entry(LOJA, event(message))
    assert entry.kind == "change"
    assert entry.payload["alvo"] == row_of("3B", None)
    assert (entry.payload["operacao"], entry.payload["valor"]) == ("reacao", "👍")
    assert entry.payload["autor"] == "5511987654321"


@pytest.mark.parametrize("kind", [14, "MESSAGE_EDIT"])
def test_an_edit_in_its_wrapper_changes_the_senders_own_message(kind):
    inner = {
        "protocolMessage": {
            "key": {"id": "3B", "fromMe": True},
            "type": kind,
            "editedMessage": {"extendedTextMessage": {"text": "novo"}},
        }
    }
    entry = message_entry(LOJA, event({"editedMessage": {"message": inner}}))
    assert entry.payload["alvo"] == row_of("3B")
    assert (entry.payload["operacao"], entry.payload["valor"]) == ("edicao", "novo")


def test_other_protocol_messages_are_housekeeping():
    for body in ({"type": 5}, {"key": {"id": "3B"}, "type": 3}, {"type": 0}, "x"):
        assert read_change({"protocolMessage": body}, own=False) is None
    assert message_entry(LOJA, event({"protocolMessage": {"type": 3}})) is Ignored.HOUSEKEEPING


def test_a_stub_and_its_content_are_two_entries_of_one_row():
    stub = message_entry(LOJA, event(None, stub="ciphertext"))
    content = message_entry(LOJA, event({"conversation": "oi"}))
    assert stub.key != content.key
    assert stub.payload["id"] == content.payload["id"]
    assert stub.payload["dados"]["stub"] == "ciphertext"
    assert stub.event_data is None
    once = message_entry(LOJA, event(None, stub="view_once"))
    assert once.payload["dados"]["visualizacao_unica"] is True
    assert message_entry(LOJA, event(None, stub="E2E_DEVICE_CHANGED")) is Ignored.HOUSEKEEPING


def test_groups_broadcasts_and_newsletters_are_left_out_by_default():
    for jid, reason in {
        "1203630@g.us": Ignored.GROUP,
        "status@broadcast": Ignored.STATUS,
        "1@newsletter": Ignored.NEWSLETTER,
    }.items():
        assert message_entry(LOJA, event({"conversation": "oi"}, jid=jid)) is reason


def through_a_list(**data):
    key = {"remoteJid": "1623673422@broadcast", "fromMe": False, "id": "3EB0"}
    return {**event({"conversation": "oi"}), "key": {**key, "participant": "77@lid"}, **data}


def test_a_broadcast_list_leads_to_the_chat_of_who_wrote():
    direct = message_entry(LOJA, event({"conversation": "oi"}))
    listed = message_entry(LOJA, through_a_list(phone="5511987654321", lid="77@lid"))
    assert listed.payload["numero_cliente"] == "5511987654321"
    assert listed.payload["remetente"] == "CLIENTE"
    assert listed.payload["dados"] == {"lista_transmissao": "1623673422@broadcast"}
    assert listed.order_key == direct.order_key.replace(
        direct.payload["numero_cliente"], "5511987654321"
    )
    unknown = message_entry(LOJA, through_a_list(phone=None, lid=None))
    assert unknown.payload["numero_cliente"] == "77@lid"


def test_what_the_account_itself_writes_to_a_list_is_nobodys_message():
    data = through_a_list()
    data["key"] = {**data["key"], "fromMe": True}
    assert message_entry(LOJA, data) is Ignored.OWN_LIST


@pytest.mark.parametrize(
    ("hosted", "usual"),
    [("5511987654321@hosted", "5511987654321"), ("77@hosted.lid", "77@lid")],
)
def test_a_hosted_company_is_the_same_person(hosted, usual):
    entry = message_entry(LOJA, event({"conversation": "oi"}, jid=hosted, phone=None, lid=None))
    assert entry.payload["numero_cliente"] == usual


@pytest.mark.parametrize("jid", ["1@bot", "123@msgr", "5@interop", "0@s.whatsapp.net"])
def test_any_other_address_of_a_person_is_a_chat(jid):
    entry = message_entry(LOJA, event({"conversation": "oi"}, jid=jid, phone=None, lid=None))
    assert entry.payload["conteudo"] == "oi"


def test_a_stored_group_keeps_who_wrote():
    connection = Connection(
        "loja", "Loja", "owner", None, LOJA.created_at, options={"storeGroups": True}
    )
    data = event({"conversation": "oi"}, jid="1203630@g.us", phone=None, lid=None)
    key = {**data["key"], "participant": LID, "participantAlt": "5511987654321@s.whatsapp.net"}
    entry = message_entry(connection, {**data, "key": key})
    assert entry.payload["numero_cliente"] == "1203630@g.us"
    assert entry.payload["nome_cliente"] is None
    assert entry.payload["dados"]["participante"] == {"numero": "5511987654321", "nome": "Ana"}


def test_history_is_read_and_marked_and_no_news():
    entry = message_entry(LOJA, event({"conversation": "antiga"}, history=True))
    assert entry.payload["lida"] is True
    assert entry.payload["dados"] == {"historico": True}
    assert entry.event_data is None


def test_only_the_beginning_of_a_call_is_a_row():
    data = {"id": "C1", "from": LID, "phone": "5511987654321", "isVideo": False, "timestamp": 1}
    assert call_entry(LOJA, {**data, "status": "terminate"}) is None
    entry = call_entry(LOJA, {**data, "status": "offer"})
    assert (entry.payload["tipo"], entry.payload["remetente"]) == ("SISTEMA", "SISTEMA")
    assert entry.payload["numero_cliente"] == "5511987654321"
    assert call_entry(LOJA, {**data, "from": "1@g.us", "status": "offer"}) is None


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ({"pushName": "Ana"}, "Ana"),
        ({"pushName": " Ana "}, "Ana"),
        ({"pushName": "🌸"}, "🌸"),
        ({"pushName": "."}, None),
        ({"pushName": " \u200b…"}, None),
        ({"pushName": ""}, None),
        ({"pushName": 7}, None),
        ({"pushName": "Bot", "verifiedName": "Padaria do João"}, "Padaria do João"),
        ({"pushName": None, "verifiedName": "Padaria do João"}, "Padaria do João"),
        ({"pushName": "Ana", "verifiedName": "-"}, "Ana"),
    ],
)
def test_every_source_of_a_name_is_used(names, shown):
    entry = message_entry(LOJA, event({"conversation": "oi"}, **names))
    assert entry.payload["nome_cliente"] == shown
    assert entry.event_data["name"] == shown
