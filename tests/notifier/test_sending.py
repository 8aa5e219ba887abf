"""One attempt: where it may go, and what counts as delivered."""

from uuid import UUID

import httpcore
import pytest
import trio
from notifier_support import OTHER, OWNER, desk, network, to_loopback

from runtime.errors import Conflict, Invalid, NotFound
from runtime.events import EventName
from runtime.journal import Connection, codec
from runtime.media.addresses import is_public
from runtime.notifier import desk as desks
from runtime.notifier import retry, sender
from runtime.outgoing_http import GuardedNetwork


async def create(journal, url, **more):
    options = {"connection_id": None, "events": (), "description": None, **more}
    return await desk(journal).create(url=url, **options)


async def test_a_test_delivery_says_what_came_of_it(journal, receiver):
    hook = await create(journal, receiver.url)
    answer = await desk(journal).test(hook["id"])
    assert answer["delivered"] is True
    assert answer["status"] == 204
    (request,) = receiver.requests
    assert request.event["event"] == "healthCheck"
    assert request.event["data"] == {"test": True, "webhookId": hook["id"]}
    assert request.headers["x-zapvisor-delivery"] == "test"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (500, "http_500"),
        (404, "http_404"),
        ((302, {"Location": "http://127.0.0.1:1/secret"}), "redirect"),
        (None, "not_http"),
    ],
)
async def test_anything_but_success_is_a_failure_and_redirects_are_not_followed(
    journal, receiver, answer, error
):
    receiver.answer = lambda _request: answer
    hook = await create(journal, receiver.url)
    told = await desk(journal).test(hook["id"])
    assert (told["delivered"], told["error"]) == (False, error)
    assert len(receiver.requests) == 1


async def test_a_receiver_that_hangs_costs_no_more_than_the_deadline(
    journal, receiver, monkeypatch
):
    monkeypatch.setattr(sender, "ATTEMPT_SECONDS", 0.1)
    receiver.delay = 60.0
    hook = await create(journal, receiver.url)
    assert (await desk(journal).test(hook["id"]))["error"] == "timeout"


async def test_nobody_there(journal, receiver):
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        hook = await create(journal, f"http://receiver.example:{port}/")
        assert (await desk(journal).test(hook["id"]))["error"] == "unreachable"


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.7"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["fe80::1%eth0"],
        ["93.184.216.34", "192.168.0.1"],
        [],
    ],
)
async def test_no_way_into_private_networks(journal, receiver, addresses):
    asked = []

    async def resolver(host, port):
        asked.append((host, port))
        return addresses

    hook = await create(journal, receiver.url)
    guarded = network(resolver, is_public)
    told = await desk(journal, net=guarded).test(hook["id"])
    assert (told["delivered"], told["error"]) == (False, "address_not_allowed")
    assert asked == [("receiver.example", receiver.port)]
    assert receiver.requests == []


class Recorded(httpcore.AsyncNetworkBackend):
    """Where connections would have gone."""

    def __init__(self):
        self.addresses = []

    async def connect_tcp(self, host, port, timeout=None, local_address=None, socket_options=None):
        self.addresses.append(host)
        raise httpcore.ConnectError("nobody there")


async def test_a_name_that_means_another_address_a_moment_later_gains_nothing(journal, receiver):
    """DNS rebinding: what was judged is what is connected to, and each connection is judged."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]

    async def rebinding(_host, _port):
        return answers.pop(0)

    recorded = Recorded()
    guarded = GuardedNetwork(resolver=rebinding, network=recorded)
    hook = await create(journal, receiver.url)
    told = [await desk(journal, net=guarded).test(hook["id"]) for _ in range(2)]
    assert [one["error"] for one in told] == ["unreachable", "address_not_allowed"]
    assert recorded.addresses == ["93.184.216.34"]
    assert answers == []


async def test_addresses_in_the_url_itself_are_judged_too(journal, receiver):
    async def literally(host, _port):
        return [host]

    for host in ("127.0.0.1", "[::1]", "0.0.0.0", "[::ffff:10.0.0.1]"):
        hook = await create(journal, f"http://{host}:{receiver.port}/")
        told = await desk(journal, net=network(literally, is_public)).test(hook["id"])
        assert told["error"] == "address_not_allowed"
    assert receiver.requests == []


@pytest.mark.parametrize("host", ["localhost", "0x7f.1", "2130706433", "017700000001"])
async def test_other_spellings_of_this_machine(journal, receiver, host):
    hook = await create(journal, f"http://{host}:{receiver.port}/")
    told = await desk(journal, net=GuardedNetwork()).test(hook["id"])
    assert told["delivered"] is False
    assert receiver.requests == []


async def test_what_the_operator_allows_is_allowed(journal, receiver):
    hook = await create(journal, receiver.url)
    guarded = network(to_loopback, is_public)
    guarded._exempt = frozenset({("receiver.example", receiver.port)})
    assert (await desk(journal, net=guarded).test(hook["id"]))["delivered"] is True


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "ftp://a.example/",
        "http:///x",
        "http://u:p@a.example/",
        "http://a.example/" + "x" * 2050,
    ],
)
async def test_urls_that_are_none(journal, url):
    with pytest.raises(Invalid) as refusal:
        await create(journal, url)
    assert refusal.value.code == "invalid_webhook_url"


async def test_everybody_sees_their_own(journal):
    url = "https://a.example/"
    mine = await desk(journal, UUID(OWNER)).create(
        url=url, connection_id=None, events=[EventName.CONNECTED], description="CRM"
    )
    theirs = await desk(journal, UUID(OTHER)).create(
        url=url, connection_id=None, events=(), description=None
    )
    assert mine["secret"].startswith("whsec_")
    assert mine["secret"] != theirs["secret"]
    listed = await desk(journal, UUID(OWNER)).all()
    assert [one["id"] for one in listed] == [mine["id"]]
    assert "secret" not in listed[0]
    assert (listed[0]["events"], listed[0]["description"]) == (["connected"], "CRM")
    for call in ("one", "remove", "rotate", "test", "redeliver_dead"):
        with pytest.raises(NotFound):
            await getattr(desk(journal, UUID(OWNER)), call)(theirs["id"])
    assert len(await desk(journal).all()) == 2
    rotated = await desk(journal, UUID(OWNER)).rotate(mine["id"])
    assert rotated["secret"] not in (mine["secret"], theirs["secret"])


async def test_a_webhook_of_a_connection_belongs_to_its_owner(journal):
    await journal.register(Connection("loja", "Loja", OWNER, None, codec.moment(0)))
    options = {"url": "https://a.example/", "events": (), "description": None}
    hook = await desk(journal).create(connection_id="loja", **options)
    assert (hook["ownerId"], hook["connectionId"]) == (OWNER, "loja")
    for owner, connection in ((UUID(OTHER), "loja"), (None, "nenhuma")):
        with pytest.raises(NotFound) as refusal:
            await desk(journal, owner).create(connection_id=connection, **options)
        assert refusal.value.code == "connection_not_found"


async def test_there_may_be_so_many(journal, monkeypatch):
    monkeypatch.setattr(desks, "MAX_ENDPOINTS", 1)
    await create(journal, "https://a.example/")
    with pytest.raises(Conflict):
        await create(journal, "https://a.example/")


def test_retries_come_ever_later_and_respect_what_was_asked(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_SECONDS", 5.0)
    monkeypatch.setattr(retry, "CAP_SECONDS", 3600.0)

    class Most:
        def uniform(self, low, high):
            assert low == high / 2
            return high

    delays = [retry.retry_delay(n, None, Most()) for n in range(1, 40)]
    assert delays[:4] == [5, 10, 20, 40]
    assert delays[-1] == 3600
    assert retry.retry_delay(1, 120, Most()) == 120
    assert retry.retry_delay(1, 10**9, Most()) == 3600
