"""Answers that do not wait for the request's body (401, 404, 413) without breaking the client.

Two facts make this necessary. Closing a socket with unread data resets it, so that the client
never sees the answer. And Hypercorn tells the application of the end of the request through the
same bounded queue as the body: if nobody reads that queue any more, sending the answer waits
for ever. So the rest of the body is read and thrown away, within bounds, before the answer.
"""

from __future__ import annotations

import trio
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .limits import Limits


class Drain:
    """ASGI middleware: reads what is left of the body before the answer goes out."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _announces_body(scope):
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._limits)
        await self._app(scope, exchange.receive, exchange.send)


def _announces_body(scope: Scope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


class _Exchange:
    """One request with a body, and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self._can_hang_up = scope["http_version"].startswith("1")
        self._receive = receive
        self._send = send
        self._limits = limits
        self._ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self._ended:
            with trio.move_on_after(self._limits.drain_seconds):
                await self._discard(self._limits.drain_bytes)
            if (
                not self._ended and self._can_hang_up
            ):  # the client goes on and on: answer, then hang up
                MutableHeaders(scope=message)["Connection"] = "close"
        if self._ended:
            await self._send(message)
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._discard, None)
            await self._send(message)
            nursery.cancel_scope.cancel()

    async def _discard(self, at_most: int | None) -> None:
        """Read to the end of the body, or until ``at_most`` bytes have been thrown away."""
        discarded = 0
        while not self._ended and (at_most is None or discarded <= at_most):
            discarded += len((await self.receive()).get("body", b""))
