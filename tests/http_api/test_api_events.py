"""The event stream on a real socket: resume, filters, heartbeats, and the end of it."""

import json
from contextlib import asynccontextmanager

import pytest
import trio
from access_table import OWNER_A
from conftest import connect
from credentials import CREDENTIALS, key_store, verifier
from fake_application import OWNER, STRANGER
from test_api_server import SMALL, client_of, raw_exchange, serving

from http_api.app import create_app
from http_api.limits import Limits
from runtime.errors import StorageUnavailable
from runtime.event_log import EventFilter
from runtime.events import Event, EventName
from tests.child_context import Context

EVENTS = "/api/whatsapp-integration/events"
RECEIVED = EventName.MESSAGE_RECEIVED


@pytest.fixture
async def log(application, nursery):
    """The application's log, followed as in the product."""
    nursery.start_soon(application.event_log.run, Context())
    return application.log


def event(number, name=RECEIVED, connection_id="loja", owner_id=OWNER):
    return Event(name, {"n": number, "content": "olá\nmundo"}, connection_id, owner_id)


class Listener:
    """Parts of a stream, one after the other."""

    def __init__(self, response):
        self.response = response
        self._lines = response.aiter_lines()

    async def part(self):
        """The fields of the next part; comments are under an empty name."""
        fields = {}
        with trio.fail_after(60):
            async for line in self._lines:
                if not line:
                    if fields:
                        return fields
                    continue
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        return None

    async def numbers(self, count):
        found = []
        while len(found) < count:
            part = await self.part()
            assert part is not None
            if "data" in part:
                found.append(json.loads(part["data"])["data"]["n"])
        return found


@asynccontextmanager
async def listening(server, query="", **headers):
    async with (
        client_of(server) as client,
        client.stream("GET", f"{EVENTS}{query}", headers=headers) as response,
    ):
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        listener = Listener(response)
        assert await listener.part() == {"retry": "2000"}
        yield listener


async def test_events_come_as_they_happen(application, log):
    log.append(event(0))
    async with serving(application) as server, listening(server) as listener:
        log.append(event(1))
        part = await listener.part()
        assert part["event"] == "messageReceived"
        assert part["id"] == log.rows[1].id
        told = json.loads(part["data"])
        assert told == log.rows[1].as_json()
        assert told.keys() == {"event", "id", "timestamp", "connectionId", "ownerId", "data"}
        log.append(event(2), event(3))
        assert await listener.numbers(2) == [2, 3]


async def test_who_was_away_goes_on_where_it_was(application, log):
    log.append(*map(event, range(5)))
    async with serving(application) as server:
        position = log.rows[1].id
        async with listening(server, **{"Last-Event-ID": position}) as listener:
            assert await listener.numbers(3) == [2, 3, 4]
        async with listening(server, f"?lastEventId={position}") as listener:
            assert await listener.numbers(3) == [2, 3, 4]
        async with listening(server, "?lastEventId=0") as listener:
            assert await listener.numbers(5) == [0, 1, 2, 3, 4]
        async with listening(server, "?recent=2") as listener:
            log.append(event(5))
            assert await listener.numbers(3) == [3, 4, 5]


async def test_only_what_was_asked_for(application, log):
    log.append(
        event(0),
        event(1, EventName.CONNECTED),
        event(2, connection_id="outra"),
        event(3, owner_id=STRANGER),
        event(4, EventName.DISCONNECTED),
        event(5),
    )
    async with serving(application) as server:
        for query, expected in (
            ("event=connected,disconnected", [1, 4]),
            ("event=connected&event=disconnected", [1, 4]),
            ("connectionId=outra", [2]),
            (f"ownerId={STRANGER}", [3]),
            (f"ownerId={OWNER}&connectionId=loja&event=messageReceived", [0, 5]),
        ):
            async with listening(server, f"?lastEventId=0&{query}") as listener:
                assert await listener.numbers(len(expected)) == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?event=nope", "event"),
        ("?lastEventId=xyz", "lastEventId"),
        ("?connectionId=a%20b", "connectionId"),
        ("?recent=1000", "recent"),
        ("?ownerId=me", "ownerId"),
    ],
)
async def test_bad_questions_are_refused_by_name(client, query, field):
    response = await client.get(EVENTS + query)
    assert response.status_code == 400
    assert field in response.json()["details"][0]["field"]


async def test_a_stream_says_that_it_is_there_and_ends_in_time(application, log):
    limits = Limits(heartbeat_seconds=0.1, stream_seconds=0.6, graceful_seconds=1)
    async with serving(application, limits) as server, listening(server) as listener:
        assert await listener.part() == {"": "."}
        while (part := await listener.part()) is not None:
            assert part == {"": "."}


async def test_streams_end_first_when_the_server_stops(application, log):
    limits = Limits(graceful_seconds=30)
    async with trio.open_nursery() as clients:
        ended = trio.Event()

        async def listen(server, task_status):
            async with listening(server) as listener:
                task_status.started()
                assert await listener.part() is None  # an end, not a broken connection
                ended.set()

        with trio.fail_after(60):
            async with serving(application, limits) as server:
                await clients.start(listen, server)
            await ended.wait()


async def test_there_may_be_so_many_and_no_more(application, log):
    limits = Limits(streams=1, graceful_seconds=1)
    async with serving(application, limits) as server, client_of(server) as client:
        async with listening(server):
            response = await client.get(EVENTS)
            assert (response.status_code, response.json()["code"]) == (503, "too_many_streams")
        with trio.fail_after(60):
            while True:
                async with client.stream("GET", EVENTS) as again:
                    if again.status_code == 200:
                        break
                await trio.sleep(0.01)


async def test_a_client_that_reads_nothing_is_cut_off_and_misses_nothing(application, log):
    big = "x" * 200_000
    log.append(*(Event(RECEIVED, {"n": n, "content": big}, "loja", OWNER) for n in range(100)))
    async with serving(application, SMALL) as server:
        host, port = server.address
        slow = await trio.open_tcp_stream(host, port)
        request = f"GET {EVENTS}?lastEventId=0 HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\n\r\n"
        await slow.send_all(request.encode())
        received = bytearray()
        with trio.fail_after(90):
            while b"\nevent: " not in received:  # the server has begun to write them
                received += await slow.receive_some(4096)
            await trio.sleep(SMALL.send_seconds + 2)  # reading nothing for so long is the point
            try:
                while data := await slow.receive_some(1 << 20):
                    received += data
            except trio.BrokenResourceError:
                pass
        seen = received.count(b"\nevent: ")
        assert 0 < seen < 100
        async with listening(server, **{"Last-Event-ID": f"{seen:032x}"}) as listener:
            assert await listener.numbers(100 - seen) == list(range(seen, 100))


async def test_the_journal_may_be_away_for_a_while(application, log):
    limits = Limits(heartbeat_seconds=0.05, graceful_seconds=1)
    async with serving(application, limits) as server, listening(server, "?lastEventId=0") as one:
        application.event_log._recent_from = None
        log.away = True
        assert await one.part() == {"": "."}
        log.away = False
        log.append(event(1))
        assert await one.numbers(1) == [1]


@pytest.mark.parametrize(
    ("name", "owner", "connection", "hidden"),
    [
        ("admin", None, None, set()),
        ("admin-read-only", None, None, {EventName.QR_CODE}),
        ("owner-a", OWNER_A, None, set()),
        ("owner-a-read-only", OWNER_A, None, {EventName.QR_CODE}),
        ("connection-a2", OWNER_A, "outra-de-a", set()),
    ],
)
async def test_everybody_hears_of_their_own(application, name, owner, connection, hidden):
    application.failure = StorageUnavailable("Além da rota.")
    api = create_app(application, keys=key_store(), tokens=verifier())
    (who,) = [one for one in CREDENTIALS if one.name == name]
    async with connect(api, who.headers) as client:
        assert (await client.get(EVENTS)).status_code == 503
    (_, wanted, after, recent) = application.calls[-1]
    assert (wanted.owner_id, wanted.connection_id, after, recent) == (owner, connection, None, 0)
    assert wanted.hidden == hidden


async def test_what_is_hidden_is_not_told(application, log):
    log.append(event(1, EventName.QR_CODE), event(2))
    wanted = EventFilter(hidden=frozenset({EventName.QR_CODE}))
    feed = await application.event_log.follow(wanted, after="0", recent=0)
    assert [one.data["n"] for one in await feed.read()] == [2]


async def test_no_credential_no_events(application):
    async with serving(application) as server:
        answer = await raw_exchange(
            server, f"GET {EVENTS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 401")


KEY = "zv_test-key-of-the-api-tests"
