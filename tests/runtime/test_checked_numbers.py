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


class Nobody:
    """No conversations in the tables but those that a test puts there."""

    def __init__(self, *numbers: str) -> None:
        self.numbers = set(numbers)
        self.asked: list[set[str]] = []

    async def known_numbers(self, owner_id, connection_id, numbers):
        assert (owner_id, connection_id) == (LOJA.owner_id, LOJA.id)
        self.asked.append(set(numbers))
        return self.numbers & set(numbers)


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
    return Contacts(memory, Nobody())


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


PERU, PORTO_ALEGRE = "51987654321", "5551987654321"


async def test_what_may_be_two_people_is_refused_when_neither_is_known(memory):
    contacts = Contacts(memory, Nobody())
    with pytest.raises(Invalid) as caught:
        await contacts.recipient(LOJA, WhatsApp(), PERU)
    assert caught.value.code == "ambiguous_number"
    assert memory.used == []


@pytest.mark.parametrize("known", [PERU, PORTO_ALEGRE])
async def test_a_known_contact_wins(memory, known):
    memory.know(known, known, age=PRESENT_TTL * 2)  # known, however long ago
    assert await Contacts(memory, Nobody()).number(LOJA, PERU) == known


@pytest.mark.parametrize("known", [PERU, PORTO_ALEGRE, "555187654321"])
async def test_a_known_customer_wins(memory, known):
    found = await Contacts(memory, Nobody(known)).number(LOJA, PERU)
    assert found == (PERU if known == PERU else PORTO_ALEGRE)


async def test_what_the_tables_have_comes_before_what_else_it_may_mean(memory):
    for one in (PERU, PORTO_ALEGRE):
        memory.know(one, one, age=PRESENT_TTL)
    assert await Contacts(memory, Nobody()).number(LOJA, PERU) == PERU
    assert await Contacts(memory, Nobody()).number(LOJA, "(51) 98765-4321") == PORTO_ALEGRE


async def test_a_number_that_no_plan_knows_is_taken_for_somebody_known(memory):
    strange = "999123456789"
    with pytest.raises(Invalid):
        await Contacts(memory, Nobody()).number(LOJA, strange)
    assert await Contacts(memory, Nobody(strange)).number(LOJA, strange) == strange


async def test_one_that_can_mean_but_one_person_is_looked_up_nowhere(memory):
    nobody = Nobody()
    for spelling in ("+51 987 654 321", "5511987654321", "(11) 98765-4321", "11987654321"):
        await Contacts(memory, nobody).number(LOJA, spelling)
    assert nobody.asked == []


async def test_mentions_are_the_people_whom_they_mean(memory):
    memory.know(PERU, PERU, age=PRESENT_TTL)
    jids = await Contacts(memory, Nobody()).jids(LOJA, [PERU, "123456@lid", "(11) 98765-4321"])
    assert jids == [f"{PERU}@s.whatsapp.net", "123456@lid", "5511987654321@s.whatsapp.net"]


async def test_a_number_that_was_not_answered_is_not_absent(contacts):
    class Silent(WhatsApp):
        async def ask(self, type_, **fields):
            return (await super().ask(type_, **fields))[:1]

    with pytest.raises(Unavailable) as caught:
        await contacts.check(LOJA, Silent(), [NUMBER, "5511911112222"])
    assert caught.value.code == "query_failed"
