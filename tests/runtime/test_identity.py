"""JIDs, phone numbers, keys."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import Invalid
from runtime.identity import (
    bare_jid,
    check_connection_id,
    message_key,
    new_message_id,
    recipient_jid,
    row_id,
)


def test_a_number_in_any_spelling_and_a_jid_are_one_recipient():
    for spelling in (
        "(11) 98765-4321",
        "+55 11 98765-4321",
        "5511987654321@s.whatsapp.net",
        "5511987654321@c.us",
        "5511987654321:12@s.whatsapp.net",
    ):
        assert recipient_jid(spelling) == "5511987654321@s.whatsapp.net"


def test_lids_stay_lids():
    assert recipient_jid("123456789012345:3@lid") == "123456789012345@lid"


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "abc",
        "123",
        "+",
        "1" * 40,
        "status@broadcast",
        "a@b",
        "11\x009876543",
        "٥٥١١٩٨٧٦٥٤٣٢١",
    ],
)
def test_what_is_no_recipient_is_refused_with_a_code(nonsense):
    with pytest.raises(Invalid) as caught:
        recipient_jid(nonsense)
    assert caught.value.code in {"invalid_recipient", "invalid_phone"}


@given(st.text())
def test_any_text_is_a_jid_or_refused(text):
    try:
        jid = recipient_jid(text)
    except Invalid:
        return
    user, _, server = jid.partition("@")
    assert set(user) <= set(string.digits)
    assert server in {"s.whatsapp.net", "lid"}


@pytest.mark.parametrize(
    "path", ["", "..", "../x", "a/b", "a\\b", "a.b", "a b", "é", "x" * 65, "a\n"]
)
def test_connection_ids_cannot_leave_their_directory(path):
    with pytest.raises(Invalid):
        check_connection_id(path)


def test_a_message_keeps_its_row_however_often_it_is_written():
    key = message_key("o", "c", chat="1@lid", sender="1:3@lid", message_id="ID")
    again = message_key("o", "c", chat="1:9@lid", sender="1@lid", message_id="ID")
    assert row_id(key) == row_id(again)


def test_the_same_id_elsewhere_is_another_message():
    variants = {
        message_key("o", "c", chat="1@lid", sender="1@lid", message_id="ID"),
        message_key("p", "c", chat="1@lid", sender="1@lid", message_id="ID"),
        message_key("o", "d", chat="1@lid", sender="1@lid", message_id="ID"),
        message_key("o", "c", chat="2@lid", sender="2@lid", message_id="ID"),
        message_key("o", "c", chat="1@g.us", sender="1@lid", message_id="ID"),
        message_key("o", "c", chat="1@lid", sender=None, message_id="ID"),
    }
    assert len({row_id(key) for key in variants}) == len(variants)


def test_an_own_message_is_one_however_its_chat_is_spelled():
    by_phone = message_key("o", "c", chat="55@s.whatsapp.net", sender=None, message_id="ID")
    by_lid = message_key("o", "c", chat="99@lid", sender=None, message_id="ID")
    assert by_phone == by_lid


def test_message_ids_look_like_whatsapps_and_do_not_repeat():
    ids = {new_message_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(one) == 22 and one.startswith("3EB0") for one in ids)


def test_bare_jid_drops_the_device():
    assert bare_jid("123:45@lid") == "123@lid"
    assert bare_jid("123@s.whatsapp.net") == "123@s.whatsapp.net"
