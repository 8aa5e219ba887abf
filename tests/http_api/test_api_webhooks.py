"""The webhook routes over a real desk: what is refused, what is shown, and to whom."""

import sqlite3

import pytest
from fake_application import OWNER

from runtime.events import Event, EventName
from runtime.journal import Connection, codec, events
from runtime.journal.schema import migrate
from runtime.notifier import Sender, Webhooks
from runtime.outgoing_http import GuardedNetwork

HOOKS = "/api/whatsapp-integration/webhooks"
URL = "https://crm.example/zapvisor"


class MemoryJournal:
    """Transactions on a database in memory."""

    def __init__(self):
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        migrate(self.database)

    async def transact(self, job):
        return job(self.database)

    async def connection(self, connection_id):
        known = Connection("loja", "Loja", OWNER, None, codec.moment(0))
        return known if connection_id == "loja" else None


@pytest.fixture
def journal(application):
    journal = MemoryJournal()
    application.nudges = 0

    def nudge():
        application.nudges += 1

    def sender():
        return Sender(GuardedNetwork())

    application.webhooks = lambda owner: Webhooks(journal, owner, sender=sender, nudge=nudge)
    yield journal
    journal.database.close()


@pytest.fixture
async def hook(client, journal):
    response = await client.post(HOOKS, json={"url": URL, "events": ["messageReceived"]})
    assert response.status_code == 200
    return response.json()["data"]


async def data(response):
    assert response.status_code == 200, response.text
    return response.json()["data"]


async def test_a_webhook_from_its_making_to_its_end(client, hook):
    assert hook["secret"].startswith("whsec_")
    shown = await data(await client.get(f"{HOOKS}/{hook['id']}"))
    assert shown == {name: value for name, value in hook.items() if name != "secret"}
    assert shown["deliveries"] == {"pending": 0, "delivered": 0, "dead": 0}
    assert await data(await client.get(HOOKS)) == [shown]
    change = {"events": "connected,disconnected", "description": "CRM", "enabled": False}
    changed = await data(await client.patch(f"{HOOKS}/{hook['id']}", json=change))
    assert changed["events"] == ["connected", "disconnected"]
    assert (changed["url"], changed["description"], changed["enabled"]) == (URL, "CRM", False)
    rotated = await data(await client.post(f"{HOOKS}/{hook['id']}/secret"))
    assert rotated["secret"] != hook["secret"]
    await data(await client.delete(f"{HOOKS}/{hook['id']}"))
    response = await client.get(f"{HOOKS}/{hook['id']}")
    assert (response.status_code, response.json()["code"]) == (404, "webhook_not_found")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": URL, "events": ["nope"]}, "events"),
        ({"url": URL, "events": [None]}, "events"),
        ({"url": URL, "events": {"a": 1}}, "events"),
        ({"url": URL, "connectionId": "a b"}, "connectionId"),
        ({"url": URL, "ownerId": "me"}, "ownerId"),
        ({"url": URL, "description": "x" * 300}, "description"),
    ],
)
async def test_every_bad_field_is_named(client, journal, body, field):
    response = await client.post(HOOKS, json=body)
    assert response.status_code == 400, response.text
    assert response.json()["details"][0]["field"].startswith(field)


@pytest.mark.parametrize("url", ["ftp://a.example/", "https://u:p@a.example/", "a.example"])
async def test_an_address_that_cannot_be_one(client, journal, hook, url):
    for response in (
        await client.post(HOOKS, json={"url": url}),
        await client.patch(f"{HOOKS}/{hook['id']}", json={"url": url}),
    ):
        assert (response.status_code, response.json()["code"]) == (400, "invalid_webhook_url")


async def test_the_connection_must_exist_and_gives_the_owner(client, journal):
    made = await data(await client.post(HOOKS, json={"url": URL, "connectionId": "loja"}))
    assert made["ownerId"] == OWNER
    response = await client.post(HOOKS, json={"url": URL, "connectionId": "nenhuma"})
    assert (response.status_code, response.json()["code"]) == (404, "connection_not_found")


async def test_a_test_delivery_into_the_private_network_says_so(client, journal):
    made = await data(await client.post(HOOKS, json={"url": "http://127.0.0.1:9/"}))
    told = await data(await client.post(f"{HOOKS}/{made['id']}/test"))
    assert (told["delivered"], told["error"]) == (False, "address_not_allowed")


async def test_the_log_pages_and_deliveries_can_be_repeated(client, application, journal, hook):
    told = [Event(EventName.MESSAGE_RECEIVED, {"n": n}, "loja", OWNER) for n in range(5)]
    events.append(journal.database, told, now=10**15)
    log = f"{HOOKS}/{hook['id']}/deliveries"
    first = await data(await client.get(log, params={"limit": 3}))
    assert [one["event"]["data"]["n"] for one in first["items"]] == [4, 3, 2]
    rest = await data(await client.get(log, params={"limit": 3, "cursor": first["nextCursor"]}))
    assert [one["event"]["data"]["n"] for one in rest["items"]] == [1, 0]
    assert rest["nextCursor"] is None
    waiting = rest["items"][-1]
    response = await client.post(f"{log}/{waiting['id']}/redeliver")
    assert (response.status_code, response.json()["code"]) == (409, "delivery_pending")
    journal.database.execute("UPDATE webhook_delivery SET state = 'dead', due = NULL")
    await data(await client.post(f"{log}/{waiting['id']}/redeliver"))
    assert (await data(await client.post(f"{log}/redeliver"))) == {"redelivered": 4}
    assert application.nudges == 2
    assert (await data(await client.get(log, params={"state": "dead"})))["items"] == []
    assert (await client.post(f"{log}/999/redeliver")).status_code == 404
    assert (await client.get(log, params={"state": "lost"})).status_code == 400
