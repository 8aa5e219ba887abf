"""What Supabase's API gateway does, for ``/rest/v1`` alone: ask for a key, pass on to PostgREST."""

from __future__ import annotations

import errno
import hmac
import json
import logging
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from supervisors import ChildContext, Escalate

from .keys import Keys

log = logging.getLogger("zapvisor.gateway")
server_log = logging.getLogger("zapvisor.gateway.server")
server_log.setLevel(logging.WARNING)  # it greets at INFO

PREFIX = b"/rest/v1/"
# PostgREST's own limit is the statement timeout of the role, 8 s at most.
UPSTREAM_TIMEOUT = httpx.Timeout(30, connect=5)
# Longer than clients keep theirs, as with any gateway: else it closes what they are about to use.
KEEP_ALIVE = 75.0
STOP_DEADLINE = 5.0
HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
NOT_PASSED_ON = HOP_BY_HOP | {b"host", b"apikey"}
NOT_PASSED_BACK = HOP_BY_HOP | {b"date", b"server"}  # Hypercorn adds its own

NO_KEY = (
    401,
    "No API key found in request",
    "No `apikey` request header or url param was found.",
)
WRONG_KEY = (
    401,
    "Invalid API key",
    "Double check your Supabase `anon` or `service_role` API key.",
)
NO_ROUTE = (404, "no Route matched with those values", None)
BAD_UPSTREAM = (502, "An invalid response was received from the upstream server", None)
SLOW_UPSTREAM = (504, "The upstream server is timing out", None)


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


class Gateway:
    """An ASGI application. Bodies are streamed both ways and never held in memory whole."""

    def __init__(self, client: httpx.AsyncClient, keys: Keys) -> None:
        self._client = client
        self._keys = [keys.anon_key.encode(), keys.service_role_key.encode()]

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "websocket.close", "code": 1000, "reason": None})

    async def _answer(
        self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        if not scope["raw_path"].startswith(PREFIX):
            await _refuse(send, *NO_ROUTE)
            return
        # A preflight request carries no key; PostgREST answers it.
        if scope["method"] != "OPTIONS":
            key = _api_key(scope)
            if key is None:
                await _refuse(send, *NO_KEY)
                return
            if not any(hmac.compare_digest(key, known) for known in self._keys):
                await _refuse(send, *WRONG_KEY)
                return
        begun = False
        try:
            async with self._client.stream(
                scope["method"],
                httpx.URL(scheme="http", host="postgrest", raw_path=_target(scope)),
                headers=[h for h in scope["headers"] if h[0].lower() not in NOT_PASSED_ON],
                content=_body(receive) if _has_body(scope) else None,
            ) as response:
                headers = [h for h in response.headers.raw if h[0].lower() not in NOT_PASSED_BACK]
                begun = True
                await send(
                    {
                        "type": "http.response.start",
                        "status": response.status_code,
                        "headers": headers,
                        "trailers": False,
                    }
                )
                async for chunk in response.aiter_raw():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ClientGoneError:
            return
        except httpx.TransportError as error:
            if begun:  # too late for another answer: Hypercorn cuts the connection
                raise
            log.warning("PostgREST did not answer: %s", type(error).__name__)
            slow = isinstance(error, httpx.ReadTimeout)
            await _refuse(send, *(SLOW_UPSTREAM if slow else BAD_UPSTREAM))


async def run(ctx: ChildContext, port: int, postgrest: Path, keys: Keys) -> None:
    """Serve on 127.0.0.1:``port`` until cancelled. ``postgrest`` is PostgREST's unix socket.

    Raises Escalate if the port is taken.
    """
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.errorlog = server_log
    config.include_server_header = False
    config.keep_alive_timeout = KEEP_ALIVE
    config.h11_max_incomplete_size = 64 * 1024  # filters with many ids make long request lines
    transport = httpx.AsyncHTTPTransport(uds=str(postgrest))
    async with httpx.AsyncClient(
        transport=transport, timeout=UPSTREAM_TIMEOUT, trust_env=False
    ) as client:
        gateway = Gateway(client, keys)
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(
                    partial(serve, gateway, config, shutdown_trigger=trio.sleep_forever)
                )
                log.info("the local Supabase answers on http://127.0.0.1:%d", port)
                ctx.ready()
        except* OSError as group:
            if any(_port_taken(error) for error in group.exceptions):
                raise Escalate(
                    f"port {port} is taken; choose another for the local Supabase", "port_taken"
                ) from group
            raise


def _port_taken(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_port_taken(part) for part in error.exceptions)
    return isinstance(error, OSError) and error.errno == errno.EADDRINUSE


def _api_key(scope: HTTPScope) -> bytes | None:
    for name, value in scope["headers"]:
        if name.lower() == b"apikey":
            return value
    for pair in scope["query_string"].split(b"&"):
        if pair.startswith(b"apikey="):
            return pair.removeprefix(b"apikey=")
    return None


def _target(scope: HTTPScope) -> bytes:
    """Path and query for PostgREST, byte for byte as they came, without prefix and key."""
    path = b"/" + scope["raw_path"].removeprefix(PREFIX)
    pairs = [p for p in scope["query_string"].split(b"&") if p and not p.startswith(b"apikey=")]
    return path + (b"?" + b"&".join(pairs) if pairs else b"")


def _has_body(scope: HTTPScope) -> bool:
    return any(
        name.lower() in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"]
    )


async def _body(receive: ASGIReceiveCallable) -> AsyncIterator[bytes]:
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise ClientGoneError
        yield event["body"]
        if not event["more_body"]:
            return


async def _refuse(send: ASGISendCallable, status: int, message: str, hint: str | None) -> None:
    content = {"message": message} | ({"hint": hint} if hint else {})
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", b"application/json; charset=utf-8")],
            "trailers": False,
        }
    )
    await send(
        {"type": "http.response.body", "body": json.dumps(content).encode(), "more_body": False}
    )
