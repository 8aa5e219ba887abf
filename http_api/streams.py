"""Server-Sent Events: an answer that goes on for as long as somebody listens.

A stream holds nothing but a position in the log: a client that is slow, or cut off for reading
nothing, comes back with ``Last-Event-ID`` and misses nothing that the log still has.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runtime.errors import JournalUnavailable, Unavailable
from runtime.event_log import EventFeed
from runtime.events import Event

from .limits import Limits
from .principal import Principal
from .quotas import Quotas

_RECONNECT = b"retry: 2000\n\n"
_HEARTBEAT = b": .\n\n"
HOLDS_SECONDS = 1.0
"""How long a stream may go on after its credential has ended."""


class Streams:
    """All open streams: how many there may be, and their end when the server stops."""

    def __init__(self, limits: Limits, quotas: Quotas) -> None:
        self.limits = limits
        self.closing = False
        self._quotas = quotas
        self._open = 0
        self._waiting: set[trio.CancelScope] = set()

    def close(self) -> None:
        """End every stream in order, now; their clients will come back."""
        self.closing = True
        for scope in self._waiting:
            scope.cancel()

    @contextmanager
    def place(self, caller: Principal) -> Iterator[None]:
        """One more stream. Raises Unavailable, and Throttled for an owner who has many."""
        if self.closing or self._open >= self.limits.streams:
            raise Unavailable(
                "Há transmissões de eventos demais abertas ao mesmo tempo.", code="too_many_streams"
            )
        with self._quotas.stream(caller):
            self._open += 1
            try:
                yield
            finally:
                self._open -= 1

    async def wait(self, event: trio.Event, seconds: float) -> None:
        """Until the event, or the end of the streams, but no longer than that."""
        with trio.move_on_after(seconds) as scope:
            self._waiting.add(scope)
            try:
                if not self.closing:
                    await event.wait()
            finally:
                self._waiting.discard(scope)


class EventStream(Response):
    """The events of a feed, as they come."""

    media_type = "text/event-stream"

    def __init__(
        self,
        streams: Streams,
        feed: EventFeed,
        holds: Callable[[], Awaitable[bool]],
    ) -> None:
        """``holds`` tells whether the credential of the listener still counts."""
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams = streams
        self._feed = feed
        self._holds = holds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until the client leaves, its time is over, or the server stops."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_until_gone, receive, nursery.cancel_scope)
            async for part in self._parts():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            nursery.cancel_scope.cancel()

    async def _parts(self) -> AsyncIterator[bytes]:
        streams = self._streams
        until = trio.current_time() + streams.limits.stream_seconds
        yield _RECONNECT
        if self._feed.begin:
            yield _encode(self._feed.begin)
        heard = trio.current_time()
        while (
            not streams.closing
            and (left := until - trio.current_time()) > 0
            and await self._holds()
        ):
            grown = self._feed.grown
            away = False
            events = []
            try:
                events = await self._feed.read()
            except JournalUnavailable:  # it comes back, and so do the events
                away = True
            if events:
                yield _encode(events)
                heard = trio.current_time()
            elif away or self._feed.at_end:
                beat = heard + streams.limits.heartbeat_seconds
                seconds = min(left, beat - trio.current_time(), HOLDS_SECONDS)
                await streams.wait(grown, max(0.0, seconds))
                if trio.current_time() >= beat and not streams.closing:
                    yield _HEARTBEAT
                    heard = trio.current_time()


async def _until_gone(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _encode(events: list[Event]) -> bytes:
    return "".join(
        f"id: {event.id}\nevent: {event.event.value}\n"
        f"data: {json.dumps(event.as_json(), ensure_ascii=False, separators=(',', ':'))}\n\n"
        for event in events
    ).encode("utf-8", "replace")
