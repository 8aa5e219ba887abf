"""The gateway before a PostgREST that misbehaves."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from runtime.local_stack import gateway, keys
from runtime.storage.client import KEPT_SECONDS
from supervisors import ChildSpec, EscalationError, Supervisor, open_supervisor

from .conftest import Host

App = Callable[[Any, Any, Any], Awaitable[None]]


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp())
    yield path
    shutil.rmtree(path)


@asynccontextmanager
async def behind_gateway(directory: Path, app: App | None) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a gateway whose PostgREST is ``app``, or is not there."""
    upstream = directory / "postgrest.sock"
    known = keys.load_or_create(directory)
    port = _free_port()
    async with trio.open_nursery() as nursery:
        if app is not None:
            config = Config()
            config.bind = [f"unix:{upstream}"]
            config.errorlog = None
            await nursery.start(partial(serve, app, config, shutdown_trigger=trio.sleep_forever))

        async def run(ctx: Any) -> None:
            await gateway.run(ctx, port, upstream, known)

        async with (
            open_supervisor(Supervisor([ChildSpec("gateway", run)])),
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}/rest/v1",
                headers={"apikey": known.anon_key},
                timeout=10,
            ) as client,
        ):
            yield client
        nursery.cancel_scope.cancel()


async def _start_up(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_without_postgrest_it_is_a_bad_gateway(directory: Path) -> None:
    async with behind_gateway(directory, None) as client:
        response = await client.get("/whatsapp_mensagens")
        assert response.status_code == 502
        assert response.json() == {
            "message": "An invalid response was received from the upstream server"
        }


async def test_requests_and_answers_pass_unchanged(directory: Path) -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await _start_up(receive, send)
            return
        seen.update(scope)
        body = b""
        while True:
            event = await receive()
            body += event["body"]
            if not event["more_body"]:
                break
        seen["body"] = body
        headers = [(b"content-range", b"0-1/9"), (b"content-type", b"text/x")]
        await send({"type": "http.response.start", "status": 206, "headers": headers})
        await send({"type": "http.response.body", "body": b"ol\xc3\xa1"})

    async with behind_gateway(directory, app) as client:
        response = await client.post(
            "/a%20b/c?select=*&nome=eq.Jo%C3%A3o%2C%20S.&apikey=x",
            content=b"x" * 300_000,
            headers={"Prefer": "count=exact", "Authorization": "Bearer t"},
        )
    assert (response.status_code, response.content) == (206, "olá".encode())
    assert response.headers["content-range"] == "0-1/9"
    assert (seen["method"], seen["raw_path"]) == ("POST", b"/a%20b/c")
    assert seen["query_string"] == b"select=*&nome=eq.Jo%C3%A3o%2C%20S."
    assert seen["body"] == b"x" * 300_000
    headers = dict(seen["headers"])
    assert (headers[b"prefer"], headers[b"authorization"]) == (b"count=exact", b"Bearer t")
    assert b"apikey" not in headers


async def test_it_keeps_connections_longer_than_its_clients_use_them(directory: Path) -> None:
    """Who closes first closes what the other is about to use; Hypercorn would after 5 s."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await _start_up(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"[]"})

    assert gateway.KEEP_ALIVE > KEPT_SECONDS
    async with behind_gateway(directory, app) as client:
        port = client.base_url.port
        assert port is not None
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        key = client.headers["apikey"]
        request = f"GET /rest/v1/a HTTP/1.1\r\nHost: x\r\napikey: {key}\r\n\r\n".encode()
        async with stream:
            for pause in (0, 6):
                await trio.sleep(pause)  # nothing tells of a connection that stays open
                await stream.send_all(request)
                answer = b""
                with trio.fail_after(10):
                    while not answer.endswith(b"\r\n0\r\n\r\n"):
                        piece = await stream.receive_some()
                        assert piece, answer
                        answer += piece


async def test_answers_are_streamed(directory: Path) -> None:
    first_read = trio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await _start_up(receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await first_read.wait()
        await send({"type": "http.response.body", "body": b"second"})

    async with behind_gateway(directory, app) as client:
        with trio.fail_after(10):
            async with client.stream("GET", "/x") as response:
                chunks = response.aiter_bytes()
                assert await anext(chunks) == b"first"
                first_read.set()
                assert await anext(chunks) == b"second"


async def test_a_taken_port_is_told_and_not_retried(directory: Path) -> None:
    known = keys.load_or_create(directory)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        async def run(ctx: Any) -> None:
            await gateway.run(ctx, port, directory / "none", known)

        with pytest.RaisesGroup(
            pytest.RaisesExc(EscalationError, match=f"port {port} is taken"),
            allow_unwrapped=True,
            flatten_subgroups=True,
        ):
            async with open_supervisor(Supervisor([ChildSpec("gateway", run)])):
                pass


def test_a_client_that_leaves_mid_request_harms_nobody(shared: Host) -> None:
    with socket.create_connection(("127.0.0.1", shared.stack.port)) as client:
        client.sendall(
            b"POST /rest/v1/rpc/zapvisor_ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
            b"apikey: " + shared.stack.anon_key.encode() + b"\r\n\r\n{"
        )
    assert shared.ingest() == []
