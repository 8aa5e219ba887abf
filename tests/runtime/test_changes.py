"""Which message a change may reach: the authenticated sender decides, the payload does not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runtime.identity import message_key, row_id
from runtime.inbound.entries import Ignored, message_entry
from runtime.journal import Connection

GROUP = "120363041234567890@g.us"
ANA, BIA, US = "111111111111111@lid", "222222222222222@lid", "999999999999999@lid"
ANA_NUMBER, BIA_NUMBER, OUR_NUMBER = "5511987654321", "5521987650001", "5511900000000"
LOJA = Connection(
    "loja",
    "Loja",
    "owner",
    None,
    datetime(2026, 1, 1, tzinfo=UTC),
    phone_number=OUR_NUMBER,
    whatsapp_id=f"{OUR_NUMBER}:3@s.whatsapp.net",
    options={"storeGroups": True},
)


def phone(number):
    return f"{number}@s.whatsapp.net"


def row(message_id, sender, chat=GROUP):
    key = message_key("owner", "loja", chat=chat, sender=sender, message_id=message_id)
    return str(row_id(key))


def in_group(message, sender=BIA, alt=BIA_NUMBER, *, own=False, **more):
    key = {"remoteJid": GROUP, "fromMe": own, "id": "3A01", "participant": sender}
    if alt is not None:
        key["participantAlt"] = phone(alt) if "@" not in alt else alt
    data = {"key": key, "phone": None, "lid": None, "pushName": "Bia", "offline": False}
    data |= {"timestamp": 1_770_000_000, "stub": None, "message": message, **more}
    return message_entry(LOJA, data)


def direct(message, *, own=False, lid=BIA, number=BIA_NUMBER, jid=None, **more):
    key = {"remoteJid": jid or lid or phone(number), "fromMe": own, "id": "3A01"}
    data = {"key": key, "phone": number, "lid": lid, "pushName": "Bia", "offline": False}
    data |= {"timestamp": 1_770_000_000, "stub": None, "message": message, **more}
    return message_entry(LOJA, data)


def edit(**key):
    body = {"key": {"id": "A1", **key}, "type": 14, "editedMessage": {"conversation": "R$ 10"}}
    return {"protocolMessage": body}


def revoke(**key):
    return {"protocolMessage": {"key": {"id": "A1", **key}, "type": 0}}


def facts(*, author=(), target=None, admin=None):
    return {"author": list(author), "target": target, "admin": admin}


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("claimed", [ANA, phone(ANA_NUMBER), f"{ANA_NUMBER}:7@s.whatsapp.net"])
def test_a_member_does_not_edit_what_another_wrote(claimed, ours):
    assert (
        in_group(edit(remoteJid=GROUP, participant=claimed, fromMe=ours)) is Ignored.FOREIGN_CHANGE
    )


@pytest.mark.parametrize("admin", [None, False])
def test_a_member_does_not_delete_what_another_wrote(admin):
    asked = revoke(remoteJid=GROUP, participant=ANA, fromMe=False)
    assert in_group(asked) is Ignored.FOREIGN_CHANGE
    assert in_group(asked, change=facts(admin=admin)) is Ignored.FOREIGN_CHANGE


@pytest.mark.parametrize("make", [edit, revoke])
@pytest.mark.parametrize(
    "key",
    [
        {},
        {"fromMe": True},
        {"fromMe": False},
        {"fromMe": True, "participant": BIA},
        {"participant": phone(BIA_NUMBER)},
        {"participant": "222222222222222:9@lid"},
        {"participant": "552187650001@s.whatsapp.net"},
        {"remoteJid": "120363099999999999@g.us"},
    ],
)
def test_an_author_changes_their_own(make, key):
    payload = in_group(make(**key)).payload
    assert payload["alvo"] == row("A1", BIA)
    assert payload["proprias"] == payload["alvos"]
    assert row("A1", phone(BIA_NUMBER)) in payload["alvos"]
    assert payload["autor"] == BIA_NUMBER
    assert {BIA, BIA_NUMBER} <= set(payload["autores"])
    assert payload["admin"] is False


def test_who_may_be_the_author_under_another_name_is_taken_for_nobody_else():
    payload = in_group(edit(participant=phone(BIA_NUMBER)), alt=None).payload
    assert payload["alvos"] == [row("A1", BIA)]
    known = facts(author=[BIA, phone(BIA_NUMBER)])
    payload = in_group(edit(participant=phone(BIA_NUMBER)), alt=None, change=known).payload
    assert row("A1", phone(BIA_NUMBER)) in payload["alvos"]


def test_an_admin_deletes_what_another_wrote_under_any_name():
    target = {"own": False, "addresses": [phone(ANA_NUMBER), ANA]}
    told = facts(admin=True, target=target)
    payload = in_group(revoke(participant=phone(ANA_NUMBER)), change=told).payload
    assert {row("A1", ANA), row("A1", phone(ANA_NUMBER))} <= set(payload["alvos"])
    assert (payload["proprias"], payload["admin"]) == ([], True)
    assert in_group(edit(participant=ANA), change=told) is Ignored.FOREIGN_CHANGE


@pytest.mark.parametrize(
    ("participant", "told"),
    [(phone(OUR_NUMBER), None), (US, {"own": True, "addresses": [US]})],
)
def test_an_admin_deletes_what_we_wrote_and_nobody_else_does(participant, told):
    asked = revoke(participant=participant)
    assert in_group(asked, change=facts(target=told)) is Ignored.FOREIGN_CHANGE
    payload = in_group(asked, change=facts(admin=True, target=told)).payload
    assert (payload["alvos"], payload["proprias"]) == ([row("A1", None)], [])


def test_our_own_phone_changes_its_own_and_deletes_as_an_admin():
    for make in (edit, revoke):
        payload = in_group(make(fromMe=True, participant=US), US, OUR_NUMBER, own=True).payload
        assert payload["alvos"] == payload["proprias"] == [row("A1", None)]
        assert payload["autores"] == ["eu"]
    payload = in_group(revoke(fromMe=False, participant=ANA), US, OUR_NUMBER, own=True).payload
    assert (payload["alvos"], payload["proprias"]) == ([row("A1", ANA)], [])
    assert payload["admin"] is True


@pytest.mark.parametrize("make", [edit, revoke])
@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("remote", [phone(OUR_NUMBER), ANA, phone(ANA_NUMBER), GROUP])
def test_in_a_chat_of_two_it_is_the_customers_own_whatever_the_key_says(make, ours, remote):
    payload = direct(make(remoteJid=remote, fromMe=ours, participant=ANA)).payload
    forms = [BIA, phone(BIA_NUMBER), "552187650001@s.whatsapp.net"]
    assert payload["alvos"] == [row("A1", one, chat=one) for one in forms]
    assert payload["proprias"] == payload["alvos"]
    assert payload["autores"] == [BIA, BIA_NUMBER, "552187650001"]
    ours_ = direct(make(remoteJid=remote, fromMe=ours), own=True).payload
    assert ours_["alvos"] == [row("A1", None)]


def test_a_reaction_finds_its_message_under_each_name_of_its_author():
    def reaction(**key):
        return {"reactionMessage": {"key": {"id": "A1", **key}, "text": "👍"}}

    payload = in_group(reaction(participant=ANA, fromMe=False)).payload
    assert (payload["alvos"], payload["autor"]) == ([row("A1", ANA)], BIA_NUMBER)
    ours = in_group(reaction(participant=US, fromMe=True)).payload
    assert ours["alvos"] == [row("A1", None)]
    theirs = direct(reaction(fromMe=False, remoteJid=ANA), own=True).payload
    assert row("A1", phone(BIA_NUMBER), chat=phone(BIA_NUMBER)) in theirs["alvos"]
    assert theirs["autores"] == ["eu"]
    assert in_group(reaction(fromMe=False), US, OUR_NUMBER, own=True) is Ignored.FOREIGN_CHANGE


def test_a_message_by_number_and_its_change_by_lid_are_of_one_person():
    by_number = direct({"conversation": "oi"}, lid=None).payload
    by_lid = direct(edit(), change=facts(author=[BIA])).payload
    changed = by_lid["alvos"]
    key = message_key(
        "owner", "loja", chat=phone(BIA_NUMBER), sender=phone(BIA_NUMBER), message_id="3A01"
    )
    assert by_number["id"] == str(row_id(key))
    assert row("A1", phone(BIA_NUMBER), chat=phone(BIA_NUMBER)) in changed
