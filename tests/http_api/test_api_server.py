"""The real socket: Hypercorn's trio worker as a supervised child."""

import socket
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
import trio
from fake_application import OWNER, FakeApplication

from http_api.limits import Limits
from http_api.server import CannotListen, Server
from runtime.settings import Settings
from tests.child_context import Context

KEY = "zv_test-key-of-the-api-tests"
API = "/api/whatsapp-integration/connections"
SMALL = Limits(
    body_bytes=100_000,
    drain_bytes=2_000_000,
    drain_seconds=1,
    connections=5,
    header_seconds=3,
    send_seconds=1,
    graceful_seconds=1,
)


@asynccontextmanager
async def serving(application, limits=SMALL):
    server, context = Server(application, application.settings, limits=limits), Context()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run, context)
        with trio.fail_after(60):
            await context.is_ready.wait()
        yield server
        nursery.cancel_scope.cancel()


def client_of(server, **options):
    host, port = server.address
    return httpx.AsyncClient(
        base_url=f"http://{host}:{port}", headers={"X-Api-Key": KEY}, timeout=60, **options
    )


async def raw_exchange(server, *pieces):
    """Send raw bytes; everything that comes back until the server closes."""
    received = bytearray()
    async with await trio.open_tcp_stream(*server.address) as stream:
        with trio.fail_after(60):
            for piece in pieces:
                await stream.send_all(piece)
            while True:
                try:
                    data = await stream.receive_some()
                except trio.BrokenResourceError:
                    return bytes(received)
                if not data:
                    return bytes(received)
                received += data


async def test_serves_on_a_free_port(application):
    async with serving(application) as server, client_of(server) as client:
        assert server.address[0] == "127.0.0.1"
        assert server.address[1] > 0
        body = {"connectionId": "loja", "name": "Loja", "ownerId": OWNER}
        assert (await client.post(API, json=body)).status_code == 200
        response = await client.get(f"{API}/loja/qr?format=png")
        assert response.content.startswith(b"\x89PNG")
        assert "server" not in response.headers
        assert (await client.get(API, headers={"X-Api-Key": "no"})).status_code == 401
    with pytest.raises(RuntimeError):
        server.address  # noqa: B018 - reading it is the point


async def test_port_in_use_is_one_clear_error(application, settings):
    async with serving(application) as server:
        taken = settings.model_copy(update={"port": server.address[1]})
        with pytest.raises(CannotListen, match="já está em uso"):
            await Server(application, taken).run(Context())


@pytest.mark.parametrize(
    ("host", "sentence"), [("192.0.2.1", "não pertence"), ("no-such-host.invalid", "Não foi")]
)
async def test_address_of_somebody_else(application, settings, host, sentence):
    elsewhere = settings.model_copy(update={"host": host})
    context = Context()
    with pytest.raises(CannotListen, match=sentence):
        await Server(application, elsewhere).run(context)
    assert not context.is_ready.is_set()


async def test_same_port_can_be_used_again_at_once(application, settings):
    async with serving(application) as server, client_of(server) as client:
        await client.get("/health/live")
        port = server.address[1]
    again = FakeApplication(settings.model_copy(update={"port": port}))
    async with serving(again) as server, client_of(server) as client:
        assert (await client.get("/health/live")).status_code == 200


async def test_running_request_is_finished_when_the_server_stops(application):
    application.delay = 0.3
    answers = []

    async def get():
        async with client_of(server) as client:
            answers.append(await client.get(API))

    async with trio.open_nursery() as clients, serving(application) as server:
        clients.start_soon(get)
        with trio.fail_after(60):
            await application.called.wait()
    assert answers[0].status_code == 200


async def test_stop_is_bounded_whatever_clients_do(application):
    """An endless call, an idle connection and one that stays silent: all end in graceful time."""
    application.delay = 1000
    async with trio.open_nursery() as clients:
        async with serving(application) as server:
            idle = await trio.open_tcp_stream(*server.address)
            await idle.send_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            await idle.receive_some()

            async def get():
                async with client_of(server) as client:
                    with pytest.raises(httpx.HTTPError):
                        await client.get(API)

            clients.start_soon(get)
            with trio.fail_after(60):
                await application.called.wait()
            began = trio.current_time()
        assert trio.current_time() - began < 20
        await idle.aclose()


async def test_client_that_does_not_read_cannot_hold_up_a_stop(application):
    application.book = {str(n): {"id": "x" * 1000} for n in range(20_000)}  # 20 MB
    async with serving(application) as server:
        stream = await trio.open_tcp_stream(*server.address)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await stream.send_all(f"GET {API} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\n\r\n".encode())
        with trio.fail_after(60):
            await application.called.wait()
        began = trio.current_time()
    assert trio.current_time() - began < 20
    await stream.aclose()


@pytest.mark.parametrize("path", [API, "/none", "/health/live"])
@pytest.mark.parametrize("key", [KEY, "wrong"])
async def test_large_body_gets_its_answer_and_leaves_nothing_behind(application, path, key):
    async with serving(application) as server, client_of(server) as client:
        for _ in range(2 * SMALL.connections):  # more than may be open: none may leak
            response = await client.post(
                path,
                content=b"x" * 1_500_000,
                headers={"X-Api-Key": key, "Content-Type": "application/json"},
            )
            assert response.status_code in (401, 404, 405, 413)
            assert response.json()["success"] is False


async def test_endless_body_is_answered_and_hung_up_on(application):
    async with serving(application) as server:
        head = f"POST {API} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = bytearray()
        hung_up = trio.Event()

        async def pump(stream):
            try:
                while True:
                    await stream.send_all(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                hung_up.set()

        async with await trio.open_tcp_stream(*server.address) as stream:
            await stream.send_all(head.encode())
            with trio.fail_after(60):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(pump, stream)
                    try:
                        async for data in stream:
                            answer += data
                    except trio.BrokenResourceError:
                        pass
        async with client_of(server) as client:
            assert (await client.get("/health/live")).status_code == 200
    assert hung_up.is_set()
    assert answer.startswith(b"HTTP/1.1 401") or not answer  # the reset may overtake the answer


async def test_slow_headers_are_hung_up_on(application):
    async with serving(application, replace(SMALL, header_seconds=0.5)) as server:
        began = trio.current_time()
        assert await raw_exchange(server) == b""
        answer = await raw_exchange(server, b"GET /health/live HTTP/1.1\r\nX-Slow: ")
        assert answer.startswith(b"HTTP/1.1 400")
        assert trio.current_time() - began < 20


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\x00\xff\x16\x03 nonsense\r\n\r\n", b"400"),
        (b"GET /health/live HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000, b"431"),
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", b"501"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 100, b"404"),
        (b"GET /none HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nHTTP2-Settings: !\r\n\r\n", b"404"),
        (
            b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            b"404",
        ),
    ],
)
async def test_nonsense_on_one_connection_does_not_disturb_the_others(
    application, request_bytes, status
):
    async with serving(application) as server:
        answer = await raw_exchange(server, request_bytes)
        assert answer.startswith(b"HTTP/1.1 " + status), answer[:80]
        async with client_of(server) as client:
            assert (await client.get("/health/live")).status_code == 200


async def test_number_of_connections_is_bounded(application):
    limits = Limits(connections=3, header_seconds=30, graceful_seconds=0.1)
    async with serving(application, limits) as server:
        streams = [await trio.open_tcp_stream(*server.address) for _ in range(3)]
        request = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
        for stream in streams:
            await stream.send_all(request)
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
        assert await raw_exchange(server) == b""
        await streams[0].aclose()
        with trio.fail_after(60):
            while not await raw_exchange(server, request.replace(b"\r\n\r\n", CLOSE)):
                pass
        for stream in streams:
            await stream.aclose()


CLOSE = b"\r\nConnection: close\r\n\r\n"


async def test_two_requests_on_one_connection(application):
    request = f"GET {API} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {KEY}\r\n\r\n".encode()
    async with serving(application) as server:
        answer = await raw_exchange(server, request + request)
    assert answer.count(b"HTTP/1.1 200") == 2


async def test_without_any_key_every_call_is_refused(tmp_path, caplog):
    settings = Settings(_env_file=None, ZAPVISOR_DATA_DIR=tmp_path, PORT=0)
    async with serving(FakeApplication(settings)) as server, client_of(server) as client:
        assert (await client.get(API)).status_code == 401
    assert "no API key exists" in caplog.text
