"""Bounds on what a client may ask: header size, time, number of requests at once."""

from __future__ import annotations

from dataclasses import dataclass

import trio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .envelope import Failure
from .errors import retry_after

KIB = 1024

EVENTS_PATH = "/api/whatsapp-integration/events"


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound of the HTTP layer, by name."""

    body_bytes: int = 1024 * KIB
    body_seconds: float = 20.0  # to send the whole body
    file_bytes: int = 24 * 1024 * KIB  # of a body that holds a file in base64
    file_seconds: float = 60.0  # to send such a body
    files_at_once: int = 3  # such bodies in memory; further ones wait
    json_inline_bytes: int = 64 * KIB  # of a body that is parsed at once; a larger one in a thread
    json_threads: int = 2  # that parse such bodies; further ones wait
    json_parts: int = 20_000  # values and names of one body, at most
    header_bytes: int = 16 * KIB  # names and values together
    header_count: int = 100
    url_bytes: int = 8 * KIB
    request_seconds: float = 30.0  # from the headers to the end of the answer
    send_url_seconds: float = 150.0  # the same for a send, whose file may have to be fetched first
    transfer_seconds: float = 600.0  # the same where a file is uploaded or shown
    control_seconds: float = 120.0  # the same for what starts, stops or tests the whole tree
    concurrent_requests: int = 128  # to /api; more are refused at once
    concurrent_sends: int = 96  # of these: sends wait for WhatsApp, and leave room for reads
    user_requests_per_minute: int = 600  # of each end user; keys have rates of their own
    drain_bytes: int = 16 * 1024 * KIB  # of a body that nobody wants, read before answering
    drain_seconds: float = 2.0
    calls_per_owner: int = 64  # of the requests at once, for all that is not an admin's
    sends_per_owner: int = 48
    streams_per_owner: int = 16
    checks_per_minute: int = 120  # numbers that one owner may have checked on WhatsApp
    streams: int = 64  # of events, open at once
    stream_seconds: float = 900.0  # then the client comes back, with a credential that still counts
    heartbeat_seconds: float = 15.0
    # Server only:
    connections: int = 512  # the oldest that waits for a request gives way to a new one
    reserved_connections: int = 16  # of these, for this machine: probes and proxies
    connections_per_address: int = 256  # but from this machine, where proxies and probes are
    header_seconds: float = 10.0  # from the first byte to the end of the headers, and before it
    send_seconds: float = 20.0  # a client that reads nothing for so long is cut off
    graceful_seconds: float = 5.0  # for running requests when the server stops


_OVERLOADED = Failure(
    503,
    "overloaded",
    "Há requisições demais ao mesmo tempo; tente de novo em instantes.",
    headers=(retry_after(1),),
)
_TOO_SLOW = Failure(
    504,
    "deadline_exceeded",
    "A operação demorou demais e pode ou não ter sido concluída; ao repetir um envio, use a "
    "mesma Idempotency-Key.",
    headers=(retry_after(5),),
)


SEND_PATH = "/api/whatsapp-integration/messages/send"
_TRANSFERS = ("/api/whatsapp-integration/media/", f"{SEND_PATH}-media")


class RequestLimits:
    """ASGI middleware: refuses oversized headers and excess requests; bounds the time of each.

    Also treats ``/path/`` as ``/path``, as the earlier back end did: one slash, no more.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._active = 0
        self._sending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if (failure := self._oversized(scope)) is not None:
            await failure.response()(scope, receive, send)
            return
        if scope["path"] != "/":
            scope["path"] = scope["path"].removesuffix("/")
        if scope["path"] == EVENTS_PATH:
            await self._app(scope, receive, send)  # goes on as long as it likes; see `streams`
        elif not scope["path"].startswith("/api/"):
            await self._in_time(scope, receive, send)
        else:
            await self._in_place(scope, receive, send)

    async def _in_place(self, scope: Scope, receive: Receive, send: Send) -> None:
        limits = self._limits
        sends = int(scope["path"].startswith(SEND_PATH))
        if self._active >= limits.concurrent_requests or (
            sends and self._sending >= limits.concurrent_sends
        ):
            await _OVERLOADED.response()(scope, receive, send)
            return
        self._active += 1
        self._sending += sends
        try:
            await self._in_time(scope, receive, send)
        finally:
            self._active -= 1
            self._sending -= sends

    def _oversized(self, scope: Scope) -> Failure | None:
        limits = self._limits
        if {b"content-length", b"transfer-encoding"} <= {name for name, _ in scope["headers"]}:
            # A proxy in front may believe the one and we the other: then two see two requests.
            return Failure(
                400,
                "conflicting_headers",
                "Content-Length e Transfer-Encoding não podem vir juntos.",
                headers=(("Connection", "close"),),
            )
        if len(scope.get("raw_path", b"")) + len(scope["query_string"]) > limits.url_bytes:
            return Failure(414, "url_too_long", "O endereço da requisição é longo demais.")
        headers = scope["headers"]
        size = sum(len(name) + len(value) for name, value in headers)
        if len(headers) > limits.header_count or size > limits.header_bytes:
            return Failure(431, "headers_too_large", "Os cabeçalhos são grandes demais.")
        return None

    async def _in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def observed(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        with trio.move_on_after(self._seconds(scope["path"])) as deadline:
            await self._app(scope, receive, observed)
        if deadline.cancelled_caught and not started:
            await _TOO_SLOW.response()(scope, receive, send)

    def _seconds(self, path: str) -> float:
        if path.startswith("/api/whatsapp-bootstrap/"):
            return self._limits.control_seconds
        if path.startswith(_TRANSFERS):
            return self._limits.transfer_seconds
        if path == SEND_PATH:
            return self._limits.send_url_seconds
        return self._limits.request_seconds
