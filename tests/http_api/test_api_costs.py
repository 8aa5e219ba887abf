"""What a request may cost: permission before body, one parse, shares, ended credentials."""

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
import trio
from conftest import INTEGRATION, KEY, connect
from credentials import token
from fake_application import JWT_SECRET, OWNER
from test_api_events import EVENTS
from test_api_server import SMALL, client_of, raw_exchange, serving

from http_api.app import create_app
from http_api.body import read_json
from http_api.keys import KeyScope, KeyStore
from http_api.limits import Limits
from http_api.principal import Permission, Role
from http_api.tokens import TokenVerifier
from runtime.settings import Settings
from tests.child_context import Context

SEND = f"{INTEGRATION}/messages/send"
READ_ONLY = KeyScope("leitor", Role.OWNER, frozenset({Permission.READ}), UUID(OWNER))
OWNERS = KeyScope("dono", Role.OWNER, owner_id=UUID(OWNER))


def with_key(application, scope, limits=None):
    """The API, and a header with a new key of this scope."""
    store = KeyStore.load(application.settings)
    _, plaintext = store.create(scope)
    return create_app(application, keys=store, limits=limits or Limits()), {"X-Api-Key": plaintext}


class Body:
    """A body that notices when somebody reads it."""

    def __init__(self, size=21 * 1024 * 1024):
        self.size, self.read = size, 0

    async def __aiter__(self):
        while self.read < self.size:
            self.read += 64 * 1024
            yield b"[" * 64 * 1024


@pytest.mark.parametrize("role", ["no permission", "no role", "no key"])
async def test_who_may_not_call_is_refused_before_the_body_is_parsed(
    application, role, monkeypatch
):
    api, headers = with_key(application, READ_ONLY)
    path = "/api/whatsapp-bootstrap/keys" if role == "no role" else SEND
    if role == "no key":
        headers = {}
    monkeypatch.setattr("http_api.body.read_json", lambda *_: pytest.fail("it was parsed"))
    async with connect(api, {**headers, "Content-Type": "application/json"}) as client:
        with trio.fail_after(30):
            response = await client.post(path, content=Body(size=2 * 1024 * 1024))
    assert response.status_code == (401 if role == "no key" else 403)


async def test_a_body_is_parsed_once(application, loja, monkeypatch):
    parsed = []
    loads = json.loads

    def counting(text, *more, **options):
        parsed.append(text)
        return loads(text, *more, **options)

    api, headers = with_key(application, OWNERS)
    body = json.dumps({"connectionId": loja, "to": "+5511987654321", "content": "Olá marca"})
    async with connect(api, {**headers, "Content-Type": "application/json"}) as client:
        monkeypatch.setattr(json, "loads", counting)
        response = await client.post(SEND, content=body)
        monkeypatch.undo()
    assert response.status_code in (200, 202), response.text
    assert len([one for one in parsed if "marca" in str(one)]) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 400_000,
        b"[" + b"[]," * 120_000 + b"[]]",
        json.dumps({"content": list(range(30_000))}).encode(),
        json.dumps({str(n): n for n in range(30_000)}).encode(),
    ],
)
def test_a_body_of_too_many_values_is_refused(body):
    failure = read_json(body, 20_000)
    assert failure.code in ("body_too_complex", "malformed_json")


def test_a_long_text_of_brackets_is_a_text():
    text = "[{,:" * 16_000
    assert read_json(json.dumps({"content": text}).encode(), 20_000).document == {"content": text}


async def test_a_large_body_is_parsed_beside_the_event_loop(application, loja, monkeypatch):
    threads = []
    run_sync = trio.to_thread.run_sync

    async def watched(call, *arguments, **options):
        threads.append(getattr(call, "__name__", ""))
        return await run_sync(call, *arguments, **options)

    monkeypatch.setattr(trio.to_thread, "run_sync", watched)
    api, headers = with_key(application, OWNERS)
    async with connect(api, headers) as client:
        for size, expected in ((1000, 0), (80_000, 1)):
            body = {"connectionId": loja, "to": "+5511987654321", "content": "é" * (size // 2)}
            await client.post(
                SEND,
                content=json.dumps(body, ensure_ascii=False).encode(),
                headers={"Content-Type": "application/json"},
            )
            assert threads.count("read_json") == expected


async def test_length_and_encoding_together_are_refused(application):
    request = (
        f"POST {INTEGRATION}/connections HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\n"
        "Content-Type: application/json\r\nContent-Length: 4\r\n"
        "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    ).encode()
    async with serving(application) as server:
        answer = await raw_exchange(server, request)
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"conflicting_headers" in answer


# --- shares


async def hold(api, headers, path, count, body=None):
    """So many calls at once; their status codes, in the order in which they end."""
    codes = []

    async def call(client):
        response = await (client.get(path) if body is None else client.post(path, json=body))
        codes.append((response.status_code, response.json().get("code")))

    async with connect(api, headers) as client, trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(call, client)
    return codes


async def test_one_owner_holds_but_its_share_of_the_calls(application, autojump_clock):
    limits = Limits(calls_per_owner=4)  # of which a credential has three
    api, headers = with_key(application, OWNERS, limits)
    application.delay = 1.0
    codes = await hold(api, headers, f"{INTEGRATION}/atendimentos/active", 5)
    assert sorted(codes, key=str)[:3] == [(200, None)] * 3
    assert codes.count((429, "quota_calls")) == 2
    # An admin is bound by the global limits alone.
    codes = await hold(api, {"X-Api-Key": KEY}, f"{INTEGRATION}/connections", 5)
    assert codes == [(200, None)] * 5


async def test_number_checks_have_a_rate_of_their_own(application, loja):
    limits = Limits(checks_per_minute=60)
    api, headers = with_key(application, OWNERS, limits)
    query = {"connectionId": loja, "phones": [f"+551198765{n:04}" for n in range(25)]}
    async with connect(api, headers) as client:
        codes = []
        for _ in range(3):
            answer = await client.get(f"{INTEGRATION}/contacts/check", params=query)
            codes.append(answer.json().get("code"))
    assert codes[0] != "quota_checks"
    assert codes[-1] == "quota_checks"


async def test_one_owner_holds_but_its_share_of_the_sends(application, loja, autojump_clock):
    api, headers = with_key(application, OWNERS, Limits(sends_per_owner=4))
    application.delay = 1.0
    body = {"connectionId": loja, "to": "+5511987654321", "content": "Olá"}
    codes = await hold(api, headers, SEND, 5, body)
    assert codes.count((429, "quota_sends")) == 2


async def test_one_owner_holds_but_its_share_of_the_streams(application, nursery):
    nursery.start_soon(application.event_log.run, Context())
    _, plaintext = KeyStore.load(application.settings).create(OWNERS)
    limits = Limits(streams_per_owner=2, graceful_seconds=1)  # a credential has one
    async with serving(application, limits) as server:
        host, port = server.address
        url = f"http://{host}:{port}{EVENTS}"
        async with (
            httpx.AsyncClient(headers={"X-Api-Key": plaintext}, timeout=60) as client,
            client.stream("GET", url) as first,
        ):
            assert first.status_code == 200
            refused = await client.get(url)
            assert (refused.status_code, refused.json()["code"]) == (429, "quota_streams")


async def test_sockets_of_others_leave_room_for_this_machine(application, monkeypatch):
    monkeypatch.setattr("http_api.server.is_loopback", lambda _address: False)
    limits = replace(SMALL, connections=8, connections_per_address=3, header_seconds=60)
    async with serving(application, limits) as server:
        idle = [await trio.open_tcp_stream(*server.address) for _ in range(3)]
        async with client_of(server) as client:  # the fourth: the oldest gives way
            assert (await client.get("/health/live")).status_code == 200
        with trio.fail_after(30):
            assert await idle[0].receive_some() == b""
        for stream in idle:
            await stream.aclose()


# --- who may manage


async def user(settings, **claims):
    secret = TokenVerifier.of(settings.model_copy(update={"supabase_url": None}), JWT_SECRET, 600)
    return await secret.verify(token(OWNER, **claims))


async def test_guests_never_manage(tmp_path):
    settings = Settings(_env_file=None, ZAPVISOR_DATA_DIR=tmp_path)
    assert (await user(settings)).may(Permission.MANAGE)
    guest = await user(settings, is_anonymous=True)
    assert not guest.may(Permission.MANAGE)
    assert guest.may(Permission.READ)
    named = settings.model_copy(update={"managers": OWNER})
    assert not (await user(named, is_anonymous=True)).may(Permission.MANAGE)


@pytest.mark.parametrize(
    ("managers", "claims", "may"),
    [
        ("app_metadata.role=dono", {"app_metadata": {"role": "dono"}}, True),
        ("app_metadata.role=dono", {"app_metadata": {"role": "atendente"}}, False),
        ("app_metadata.role=dono", {"user_metadata": {"role": "dono"}}, False),
        ("app_metadata.role=dono", {"app_metadata": "dono"}, False),
        (f"x, {OWNER.upper()}", {}, True),
        ("00000000-0000-4000-8000-000000000000", {}, False),
    ],
)
async def test_the_operator_says_who_manages(tmp_path, managers, claims, may):
    settings = Settings(_env_file=None, ZAPVISOR_DATA_DIR=tmp_path, ZAPVISOR_MANAGERS=managers)
    assert (await user(settings, **claims)).may(Permission.MANAGE) is may


def test_what_users_write_themselves_is_no_proof(tmp_path):
    with pytest.raises(ValueError, match="user_metadata"):
        Settings(
            _env_file=None, ZAPVISOR_DATA_DIR=tmp_path, ZAPVISOR_MANAGERS="user_metadata.role=dono"
        )


# --- the socket


async def drip(stream):
    """A byte more every now and then, and no end."""
    for _ in range(150):
        await stream.send_all(b"X")
        await trio.sleep(0.2)


async def test_headers_that_drip_are_hung_up_on(application):
    async with serving(application, replace(SMALL, header_seconds=1.0)) as server:
        began = trio.current_time()
        async with await trio.open_tcp_stream(*server.address) as stream:
            await stream.send_all(b"GET /health/live HTTP/1.1\r\n")
            with trio.fail_after(30), suppress(trio.BrokenResourceError):
                await drip(stream)
        assert trio.current_time() - began < 15


async def test_sockets_that_say_nothing_give_way(application):
    limits = replace(SMALL, connections=4, header_seconds=60)
    async with serving(application, limits) as server:
        idle = [await trio.open_tcp_stream(*server.address) for _ in range(4)]
        for stream in idle[1:]:
            await stream.send_all(b"GET /health/live HTTP/1.1\r\nX-Slow: ")
        for _ in range(6):  # more than there are places
            async with client_of(server) as client:
                assert (await client.get("/health/live")).status_code == 200
        for stream in idle:
            await stream.aclose()


async def test_running_requests_give_way_to_nobody(application):
    limits = replace(SMALL, connections=2)
    async with serving(application, limits) as server, trio.open_nursery() as nursery:
        application.delay = 1.5
        codes = []

        async def call():
            async with client_of(server) as client:
                response = await client.get(f"{INTEGRATION}/connections")
                codes.append(response.status_code)

        nursery.start_soon(call)
        nursery.start_soon(call)
        with trio.fail_after(60):
            for _ in range(6000):
                if len(application.calls) == 2:
                    break
                await trio.sleep(0.01)
        with pytest.raises(httpx.TransportError):
            async with client_of(server) as client:
                await client.get("/health/live")
    assert codes == [200, 200]


# --- credentials that end


@pytest.mark.parametrize("end", ["revoked", "rotated", "expired"])
async def test_a_stream_ends_with_its_credential(application, nursery, end):
    nursery.start_soon(application.event_log.run, Context())
    store = KeyStore.load(application.settings)
    soon = datetime.now(UTC) + timedelta(seconds=3) if end == "expired" else None
    made, plaintext = store.create(replace(OWNERS, expires_at=soon))
    async with serving(application, Limits(graceful_seconds=1)) as server:
        host, port = server.address
        url = f"http://{host}:{port}{EVENTS}"
        async with (
            httpx.AsyncClient(headers={"X-Api-Key": plaintext}, timeout=60) as client,
            client.stream("GET", url) as response,
        ):
            assert response.status_code == 200
            parts = response.aiter_bytes()
            await anext(parts)
            if end == "revoked":
                await trio.to_thread.run_sync(store.revoke, made.id)
            elif end == "rotated":
                await trio.to_thread.run_sync(store.rotate, made.id)
            with trio.fail_after(20):
                async for _ in parts:
                    pass
