"""What a WhatsApp message says, in the words of the tables."""

import pytest

from runtime.inbound.content import Content, read_content


def test_plain_and_extended_text():
    assert read_content({"conversation": "oi"}) == Content("TEXTO", "oi")
    assert read_content({"extendedTextMessage": {"text": "olá"}}) == Content("TEXTO", "olá")


@pytest.mark.parametrize(
    "wrapper", ["ephemeralMessage", "viewOnceMessageV2", "documentWithCaptionMessage"]
)
def test_wrapped_messages_are_what_they_wrap(wrapper):
    content = read_content({wrapper: {"message": {"conversation": "oi"}}})
    assert (content.tipo, content.conteudo) == ("TEXTO", "oi")
    assert content.dados == ({"visualizacao_unica": True} if "viewOnce" in wrapper else None)


def test_deep_wrapping_ends():
    message = {"conversation": "fundo"}
    for _ in range(50):
        message = {"ephemeralMessage": {"message": message}}
    assert read_content(message).tipo == "SISTEMA"


def test_context_beside_the_text_is_not_the_content():
    message = {
        "messageContextInfo": {"deviceListMetadata": {}},
        "senderKeyDistributionMessage": {"groupId": "x"},
        "conversation": "oi",
    }
    assert read_content(message) == Content("TEXTO", "oi")


def test_media_keep_their_facts_and_caption():
    message = {
        "documentMessage": {
            "caption": "segue",
            "mimetype": "application/pdf",
            "fileName": "boleto.pdf",
            "fileLength": "1234",
        }
    }
    assert read_content(message) == Content(
        "DOCUMENTO", "segue", "application/pdf", "boleto.pdf", 1234
    )


@pytest.mark.parametrize(
    ("kind", "tipo"),
    [
        ("imageMessage", "IMAGEM"),
        ("videoMessage", "VIDEO"),
        ("audioMessage", "AUDIO"),
        ("stickerMessage", "STICKER"),
    ],
)
def test_each_medium_has_its_type(kind, tipo):
    assert read_content({kind: {"mimetype": "x/y"}}).tipo == tipo


def test_housekeeping_is_no_message():
    assert read_content({"protocolMessage": {"type": 5}}) is None
    assert read_content({"senderKeyDistributionMessage": {"groupId": "x"}}) is None


def test_an_unknown_kind_is_named_never_lost():
    content = read_content({"hologramMessage": {"x": 1}})
    assert (content.tipo, content.conteudo) == ("SISTEMA", "[hologram]")
    assert content.dados == {"tipo_whatsapp": "hologram"}


@pytest.mark.parametrize(
    "message", [{}, {"messageContextInfo": {"messageSecret": "AA=="}}, {"imageMessage": None}]
)
def test_a_kind_too_new_to_have_a_name_is_not_lost(message):
    content = read_content(message)
    assert (content.tipo, content.dados) == ("SISTEMA", {"tipo_whatsapp": None})
    assert "celular" in content.conteudo
