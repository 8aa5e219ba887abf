"""The listening socket and its connections, as a supervised child.

Hypercorn's trio worker reads HTTP and calls the application. Its accept loop and transport are
replaced by ours: what one connection does wrong ends that connection and not the server, their
number is bounded, and a client that stops reading cannot hold up a stop (Hypercorn shields its
writes from cancellation).
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from typing import Protocol, cast

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework

from runtime.errors import ZapvisorError
from runtime.settings import Settings

from .app import create_app
from .connection import Connection, address_of, is_loopback
from .facade import Application
from .keys import KeyStore
from .limits import Limits

logger = logging.getLogger("zapvisor.http")

_BACKLOG = 128


class CannotListen(ZapvisorError):
    """The address is taken, not ours, or not allowed; the message says which, for a person."""

    code = "cannot_listen"


class ChildContext(Protocol):
    """What this child needs of its supervisor's context."""

    def ready(self) -> None: ...


class Server:
    """Serves the control API on ``settings.host``:``settings.port`` (0: any free port)."""

    def __init__(
        self, app: Application, settings: Settings, *, limits: Limits | None = None
    ) -> None:
        self._application = app
        self._settings = settings
        self._limits = limits or Limits()
        self._address: tuple[str, int] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The host and port in use; readable once the child is ready."""
        if self._address is None:
            raise RuntimeError("the server does not listen yet")
        return self._address

    async def run(self, ctx: ChildContext) -> None:
        """Serve until cancelled; then finish running requests, ``graceful_seconds`` at most.

        Raises CannotListen, or an error of the key store, before it is ready.
        """
        keys = await trio.to_thread.run_sync(KeyStore.load, self._settings)
        if not keys:
            logger.warning("no API key exists yet: every call under /api will be refused")
        api = create_app(self._application, keys=keys, limits=self._limits)
        listener = await _listen(self._settings.host, self._settings.port)
        try:
            self._address = listener.socket.getsockname()[:2]
            connections = _Connections(ASGIWrapper(cast("ASGIFramework", api)), self._limits)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(keys.keep_used)
                handlers = await nursery.start(connections.host)
                ctx.ready()
                logger.info("listening on http://%s:%d", *self.address)
                try:
                    await trio.serve_listeners(
                        connections.serve, [listener], handler_nursery=handlers
                    )
                finally:
                    api.state.streams.close()
                    connections.stop()
        finally:
            listener.socket.close()
            self._address = None


class _Connections:
    """All open connections; they outlive the accept loop by the graceful time."""

    def __init__(self, app: ASGIWrapper, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._config = _configuration(limits)
        self._context = WorkerContext(None)
        self._open: set[Connection] = set()
        self._stopping = trio.Event()
        self._empty = trio.Event()

    async def host(self, task_status: trio.TaskStatus[trio.Nursery]) -> None:
        """Hold the nursery of the connections, shielded, until ``stop`` and then its deadline."""
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                task_status.started(nursery)
                await self._stopping.wait()
                await self._context.terminated.set()  # no request after the running one
                for connection in self._open:
                    connection.close_if_idle()
                with trio.move_on_after(self._limits.graceful_seconds):
                    await self._empty.wait()
                for connection in self._open:
                    connection.break_off()
                nursery.cancel_scope.cancel()

    def stop(self) -> None:
        """No connection comes any more; let those that exist finish."""
        self._stopping.set()
        if not self._open:
            self._empty.set()

    def _makes_room(self, accepted: trio.SocketStream) -> bool:
        """Whether there is a place for one more: the oldest that waits for a request gives way.

        So clients that open connections and say nothing, or headers byte by byte, lose theirs
        before anybody else is turned away.
        """
        address = address_of(accepted)
        if address is None:
            return False
        most = self._limits.connections
        if not is_loopback(address):
            theirs = [one for one in self._open if one.address == address]
            if len(theirs) >= self._limits.connections_per_address:
                return _give_way(theirs)
            most -= min(self._limits.reserved_connections, most // 4)
        return len(self._open) < most or _give_way(list(self._open))

    async def serve(self, accepted: trio.SocketStream) -> None:
        """One connection, from accept to close; whatever goes wrong stays in here."""
        if not self._makes_room(accepted):
            return  # the accept loop closes it
        connection = Connection(self._app, self._config, self._context, accepted, self._limits)
        self._open.add(connection)
        try:
            await connection.run()
        except Exception:
            logger.warning("a connection ended in an error", exc_info=True)
        except BaseExceptionGroup as group:
            stopped, errors = group.split(trio.Cancelled)
            if errors is not None:
                logger.warning("a connection ended in an error", exc_info=errors)
            if stopped is not None:
                raise stopped from None
        finally:
            self._open.remove(connection)
            if self._stopping.is_set() and not self._open:
                self._empty.set()


def _give_way(candidates: list[Connection]) -> bool:
    waiting = [one for one in candidates if one.is_idle]
    if not waiting:
        return False
    min(waiting, key=lambda one: one.idle_since).break_off()
    return True


def _configuration(limits: Limits) -> Config:
    config = Config()
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("zapvisor.http.hypercorn")
    # The parser's coarse bound; RequestLimits refuses before it, in the envelope.
    config.h11_max_incomplete_size = 2 * limits.header_bytes
    return config


async def _listen(host: str, port: int) -> trio.SocketListener:
    """A listening socket on the first address that ``host`` means."""
    try:
        family, kind, protocol, _, address = (
            await trio.socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
        )[0]
        sock = trio.socket.socket(family, kind, protocol)
        try:
            if hasattr(socket, "AF_UNIX"):  # elsewhere the option would let others take the port
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await sock.bind(address)
            sock.listen(_BACKLOG)
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise CannotListen(_reason(error, host, port)) from error
    return trio.SocketListener(sock)


def _reason(error: OSError, host: str, port: int) -> str:
    where = f"{host}:{port}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"O endereço {where} já está em uso por outro programa; mude PORT ou pare-o."
        case errno.EADDRNOTAVAIL:
            return f"O endereço {where} não pertence a esta máquina; mude HOST."
        case errno.EACCES:
            return f"Não há permissão para usar o endereço {where}; use uma PORT acima de 1023."
        case _:
            return f"Não foi possível usar o endereço {where} ({os.strerror(error.errno or 0)})."
