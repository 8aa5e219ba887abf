"""One TCP connection: bytes between the socket and Hypercorn's HTTP/1.1 machine.

HTTP/1.1 only: upgrades to HTTP/2 and WebSocket are ignored, as nothing here needs them.
"""

from __future__ import annotations

import ipaddress
import math
from contextlib import suppress

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from .limits import KIB, Limits

_CHUNK = 64 * KIB


class Connection:
    """Serves the requests of one client, one after the other, until either side closes."""

    def __init__(
        self,
        app: AppWrapper,
        config: Config,
        context: WorkerContext,
        stream: trio.SocketStream,
        limits: Limits,
    ) -> None:
        self._app = app
        self._config = config
        self._context = context
        self._stream = stream
        self._limits = limits
        self.address = address_of(stream)
        self.idle_since = trio.current_time()
        self._sending = trio.Lock()
        self._reading = trio.CancelScope()
        self._idle = True
        self._headers_since: float | None = None
        self._protocol: _Http1

    async def run(self) -> None:
        """Return when the connection has ended, for whatever ordinary reason."""
        sock = self._stream.socket
        try:
            client = parse_socket_addr(sock.family, sock.getpeername())
            server = parse_socket_addr(sock.family, sock.getsockname())
        except OSError:  # gone before we looked
            return
        async with TaskGroup() as group:
            self._protocol = _Http1(
                self._app,
                self._config,
                self._context,
                group,
                ConnectionState({}),
                False,
                client,
                server,
                self._handle,
            )
            await self._protocol.initiate()
            await self._read()

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, or for the rest of its headers."""
        return self._idle

    def close_if_idle(self) -> None:
        """The server stops: no further request is wanted."""
        if self._idle:
            self.break_off()

    def break_off(self) -> None:
        """Close now; whoever reads or writes gets ClosedResourceError."""
        self._idle = False  # its place is free already: it cannot give way once more
        self._stream.socket.close()

    async def _read(self) -> None:
        while True:
            data: bytes | bytearray = b""
            with trio.CancelScope(deadline=self._read_deadline()) as self._reading:
                try:
                    data = await self._stream.receive_some(_CHUNK)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    break
            if self._idle and self._headers_since is None:
                self._headers_since = trio.current_time()
            await self._protocol.handle(RawData(bytes(data)))
            if not data:
                break
        await self._protocol.handle(Closed())

    def _read_deadline(self) -> float:
        """Headers must come in time, counted from their first byte; bodies and answers have
        deadlines of their own."""
        if not self._idle:
            return math.inf
        since = self.idle_since if self._headers_since is None else self._headers_since
        return since + self._limits.header_seconds

    async def _handle(self, event: Event) -> None:
        """What the HTTP machine wants of the transport."""
        match event:
            case RawData():
                await self._send(event.data)
            case Updated():
                if event.idle and not self._idle:
                    self.idle_since = trio.current_time()
                    self._headers_since = None
                self._idle = event.idle
                self._reading.deadline = self._read_deadline()
            case Closed():
                await self._close()
                await self._protocol.handle(Closed())

    async def _send(self, data: bytes) -> None:
        async with self._sending:
            try:
                with trio.fail_after(self._limits.send_seconds):
                    await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # the reader notices as well
            except trio.TooSlowError:
                self.break_off()

    async def _close(self) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            await self._stream.send_eof()
        await self._stream.aclose()


def address_of(stream: trio.SocketStream) -> str | None:
    """The address of the other side; None when it has gone already."""
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:
        return None


def is_loopback(address: str | None) -> bool:
    """Whether it is on this machine."""
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


class _Http1(H11Protocol):
    async def _check_protocol(self, event: h11.Request) -> None:
        """No change of protocol, whatever the request proposes."""

    async def _create_stream(self, request: h11.Request) -> None:
        headers = [(name, value) for name, value in request.headers if name != b"upgrade"]
        await super()._create_stream(
            h11.Request(
                method=request.method,
                target=request.target,
                headers=headers,
                http_version=request.http_version,
            )
        )
