"""The link between a connection actor and the bridge: one WebSocket on loopback.

The reader never waits for anything but the socket: events go into a channel as large as the window
of unacknowledged events that the bridge may have in flight, so it cannot be full.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio
from pydantic import ValidationError
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, connect_websocket

from . import frames

WINDOW = 256
"""Most events that the bridge sends before it has an acknowledgement."""
STATE_CAPACITY = 256
"""State frames that may wait for the actor; more mean that it hangs, and end the link."""
PRESENCE_CAPACITY = 64
"""Presences that may wait; further ones are dropped, they are outdated at once."""
MAX_FRAME_BYTES = 32 * 1024 * 1024
CONNECT_DEADLINE = 10.0
REQUEST_DEADLINE = 60.0
WRITE_DEADLINE = 30.0
CLOSE_DEADLINE = 0.2


class LinkLost(Exception):
    """The WebSocket to the bridge is gone; the actor that had it starts anew."""


class RequestFailed(Exception):
    """The bridge answered a request with an error."""

    def __init__(
        self, code: str, message: str, *, retryable: bool, reason: int | None = None
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.retryable = retryable
        self.reason = reason


class BridgeLink:
    """Requests with replies, and two streams: states and events."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket = socket
        self._replies: dict[str, trio.MemorySendChannel[frames.Reply]] = {}
        self._states_in, self.states = trio.open_memory_channel[frames.State](STATE_CAPACITY)
        self._events_in, self.events = trio.open_memory_channel[frames.BridgeEvent](WINDOW)
        self._presences_in, self.presences = trio.open_memory_channel[frames.Presence](
            PRESENCE_CAPACITY
        )
        self._welcome_in, self._welcome = trio.open_memory_channel[frames.Welcome](1)

    async def hello(self, generation: int) -> frames.Welcome:
        """Introduce ourselves; the bridge then replays every event not yet acknowledged."""
        with trio.move_on_after(CONNECT_DEADLINE):
            await self.send("hello", generation=generation, window=WINDOW)
            try:
                return await self._welcome.receive()
            except trio.EndOfChannel:
                raise LinkLost("the bridge closed the link before its welcome") from None
        raise LinkLost("the bridge does not say welcome")

    async def send(self, type_: str, **fields: Any) -> None:
        """Write a frame that has no reply. Raises LinkLost."""
        try:
            with trio.fail_after(WRITE_DEADLINE):
                await self._socket.send_message(frames.encode(type_, **fields))
        except (ConnectionClosed, trio.TooSlowError) as error:
            raise LinkLost(f"cannot write to the bridge: {error}") from error

    async def request(self, type_: str, **fields: Any) -> Any:
        """Write a frame and wait for its reply's data. Raises RequestFailed or LinkLost."""
        request_id = secrets.token_hex(8)
        reply_in, reply_out = trio.open_memory_channel[frames.Reply](1)
        self._replies[request_id] = reply_in
        try:
            await self.send(type_, requestId=request_id, **fields)
            with trio.move_on_after(REQUEST_DEADLINE):
                reply = await reply_out.receive()
                if reply.error is not None:
                    why = reply.error
                    raise RequestFailed(
                        why.code, why.message, retryable=why.retryable, reason=why.reason
                    )
                return reply.data
            raise RequestFailed("no_reply", "the bridge did not reply in time", retryable=True)
        except trio.EndOfChannel:
            raise LinkLost("the link ended before the reply") from None
        finally:
            self._replies.pop(request_id, None)

    async def _read(self) -> None:
        try:
            while True:
                self._dispatch(_parse(await self._socket.get_message()))
        except ConnectionClosed as closed:
            raise LinkLost(f"the bridge closed the link: {closed.reason}") from None
        except trio.WouldBlock:
            raise LinkLost("a queue of the link overflowed") from None
        finally:
            for channel in (self._states_in, self._events_in, self._welcome_in):
                channel.close()
            self._presences_in.close()
            for reply in self._replies.values():
                reply.close()

    def _dispatch(self, frame: frames.Frame) -> None:
        match frame:
            case frames.BridgeEvent():
                self._events_in.send_nowait(frame)
            case frames.State():
                self._states_in.send_nowait(frame)
            case frames.Presence():
                with suppress(trio.WouldBlock):
                    self._presences_in.send_nowait(frame)
            case frames.Reply():
                waiting = self._replies.get(frame.requestId)
                if waiting is not None:
                    waiting.send_nowait(frame)
            case frames.Welcome():
                self._welcome_in.send_nowait(frame)
            case frames.Fault():
                raise LinkLost(f"the bridge did not understand us: {frame.message}")


def _parse(text: str | bytes) -> frames.Frame:
    """A frame; an event that cannot be read is kept as kind ``malformed`` under its number."""
    try:
        return frames.parse(text)
    except (ValidationError, ValueError) as error:
        try:
            frame = json.loads(text)
            seq = int(frame["seq"])
        except (ValueError, TypeError, KeyError):
            raise LinkLost(f"unreadable frame from the bridge: {type(error).__name__}") from None
        at = frame.get("receivedAt")
        return frames.BridgeEvent(
            v=1,
            type="event",
            seq=seq,
            kind="malformed",
            receivedAt=at if isinstance(at, int) else 0,
            data={"frame": frame},
        )


@asynccontextmanager
async def open_link(port: int, token: str, connection_id: str) -> AsyncIterator[BridgeLink]:
    """Connect to the bridge for one WhatsApp connection while the block runs.

    ``connection_id`` must have passed ``identity.check_connection_id``. Raises LinkLost, alone or
    in a group, when the bridge cannot be reached or goes away.
    """
    async with trio.open_nursery() as nursery:
        socket = await _connect(nursery, port, token, connection_id)
        link = BridgeLink(socket)
        nursery.start_soon(link._read)
        try:
            yield link
        finally:
            nursery.cancel_scope.cancel()
            # Short: the reader that would see the answer is being cancelled, too.
            with trio.move_on_after(CLOSE_DEADLINE, shield=True):
                await socket.aclose()


async def _connect(
    nursery: trio.Nursery, port: int, token: str, connection_id: str
) -> WebSocketConnection:
    try:
        with trio.fail_after(CONNECT_DEADLINE):
            return await connect_websocket(
                nursery,
                "127.0.0.1",
                port,
                f"/connections/{connection_id}",
                use_ssl=False,
                extra_headers=[(b"authorization", f"Bearer {token}".encode())],
                message_queue_size=WINDOW,
                max_message_size=MAX_FRAME_BYTES,
            )
    except (OSError, HandshakeError, trio.TooSlowError) as error:
        raise LinkLost(f"cannot reach the bridge: {error!r}") from error
