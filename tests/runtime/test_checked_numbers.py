"""Numbers checked on WhatsApp: asked once, remembered, asked again when it is long ago."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from runtime.contacts.service import ABSENT_TTL, PRESENT_TTL, Contacts
from runtime.errors import Invalid, Unavailable, Unsendable
from runtime.journal import Alias, Connection

NUMBER, REGISTERED, LID = "5511987654321", "551187654321", "123456@lid"
LOJA = Connection("loja", "Loja", "owner", None, datetime(2026, 1, 1, tzinfo=UTC))


class Memory:
    """The journal's part, in memory."""

    def __init__(self) -> None:
        self.aliases: dict[str, Alias] = {}
        self.used: list[str] = []

    async def alias(self, _connection_id, name):
        return self.aliases.get(name)

    async def use_alias(self, _connection_id, name):
        self.used.append(name)

    async def remember_checked(self, _connection, answers):
        for one in answers:
            known = Alias(one.number, one.lid, one.number is None, datetime.now(UTC))
            self.aliases[one.asked] = known

    def know(self, name, number, *, age, absent=False):
        self.aliases[name] = Alias(number, None, absent, datetime.now(UTC) - age)


class WhatsApp:
    """Knows the number without its ninth digit; offline until told."""

    def __init__(self, *, online=True) -> None:
        self.online = online
        self.asked: list[str] = []

    async def ask(self, type_, **fields):
        if not self.online:
            raise Unavailable("fora do ar", code="not_connected")
        assert type_ == "check"
        self.asked += fields["phones"]
        return [
            {"phone": phone, "exists": phone == NUMBER, "jid": f"{REGISTERED}@s.whatsapp.net"}
            for phone in fields["phones"]
        ]


@pytest.fixture
def memory():
    return Memory()


@pytest.fixture
def contacts(memory):
    return Contacts(memory)


async def test_a_number_is_asked_about_once(contacts, memory):
    whatsapp = WhatsApp()
    for spelling in ("(11) 98765-4321", f"+{NUMBER}", f"{NUMBER}@c.us"):
        found = await contacts.recipient(LOJA, whatsapp, spelling)
        assert found.jid == f"{REGISTERED}@s.whatsapp.net"
    assert whatsapp.asked == [NUMBER]
    assert memory.used == []


async def test_nobody_there_is_refused_and_asked_again_later(contacts, memory):
    whatsapp = WhatsApp()
    stranger = "5511911112222"
    for _ in range(2):
        with pytest.raises(Unsendable) as refused:
            await contacts.recipient(LOJA, whatsapp, stranger)
        assert refused.value.code == "not_on_whatsapp"
    assert whatsapp.asked == [stranger]
    memory.know(stranger, None, age=ABSENT_TTL + timedelta(seconds=1), absent=True)
    with pytest.raises(Unsendable):
        await contacts.recipient(LOJA, whatsapp, stranger)
    assert whatsapp.asked == [stranger, stranger]


async def test_offline_the_number_is_taken_as_it_is_or_as_it_was_known(contacts, memory):
    offline = WhatsApp(online=False)
    found = await contacts.recipient(LOJA, offline, NUMBER)
    assert found.jid == f"{NUMBER}@s.whatsapp.net"
    assert memory.used == [NUMBER]
    memory.know(NUMBER, REGISTERED, age=PRESENT_TTL + timedelta(days=1))
    found = await contacts.recipient(LOJA, offline, NUMBER)
    assert found.jid == f"{REGISTERED}@s.whatsapp.net"


async def test_lids_and_groups_are_not_asked_about(contacts, memory):
    whatsapp = WhatsApp()
    assert (await contacts.recipient(LOJA, whatsapp, LID)).jid == LID
    memory.know(LID, NUMBER, age=timedelta(0))
    assert (await contacts.recipient(LOJA, whatsapp, LID)).jid == f"{NUMBER}@s.whatsapp.net"
    group = "120363041234567890@g.us"
    assert (await contacts.recipient(LOJA, whatsapp, group)).jid == group
    assert whatsapp.asked == []


async def test_a_check_answers_in_the_order_asked_and_needs_a_connection(contacts):
    stranger = "5511911112222"
    answers = await contacts.check(LOJA, WhatsApp(), [stranger, NUMBER])
    assert [(one["phone"], one["exists"]) for one in answers] == [(stranger, False), (NUMBER, True)]
    offline = WhatsApp(online=False)
    assert (await contacts.check(LOJA, offline, [NUMBER]))[0]["number"] == REGISTERED
    with pytest.raises(Unavailable):
        await contacts.check(LOJA, offline, ["5511933334444"])
    with pytest.raises(Invalid):
        await contacts.check(LOJA, offline, ["abc"])


async def test_a_number_that_was_not_answered_is_not_absent(contacts):
    class Silent(WhatsApp):
        async def ask(self, type_, **fields):
            return (await super().ask(type_, **fields))[:1]

    with pytest.raises(Unavailable) as caught:
        await contacts.check(LOJA, Silent(), [NUMBER, "5511911112222"])
    assert caught.value.code == "query_failed"
