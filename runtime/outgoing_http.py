"""Connections to addresses that a client of the API named: to the public internet only.

A name is resolved by us, every address judged, and the connection made to one that was judged: a
name that means another address a moment later changes nothing. (With TLS the certificate is still
that of the name.) Redirects are for the callers to refuse, or to follow as new requests.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

import httpcore
import trio

from .media.addresses import is_public

CONNECT_SECONDS = 10.0
MAX_ADDRESSES = 3
"""So many of a host are tried, one after the other."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""From a host and port to IP addresses."""


class AddressRefused(Exception):
    """The name means an address that nobody may be sent to."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, by the system's resolver."""
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def judged(addresses: Sequence[str], allows: Callable[[str], bool]) -> Sequence[str]:
    """Those of a host that may be tried. Raises AddressRefused.

    One address of several that is not allowed makes the whole name suspect.
    """
    if not addresses or not all(map(allows, addresses)):
        raise AddressRefused
    return addresses[:MAX_ADDRESSES]


def _anything(_address: str) -> bool:
    return True


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were judged, never to names; raises AddressRefused.

    Args:
        resolver: asked once for each connection.
        allows: which addresses may be connected to.
        exempt: hosts and ports that the operator allows whatever they mean.
        network: makes the connections.
    """

    def __init__(
        self,
        *,
        resolver: Resolve = resolve,
        allows: Callable[[str], bool] = is_public,
        exempt: frozenset[tuple[str, int]] = frozenset(),
        network: httpcore.AsyncNetworkBackend | None = None,
    ) -> None:
        self._resolver = resolver
        self._allows = allows
        self._exempt = exempt
        self._network = network or httpcore.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        host = host.strip("[]")
        try:
            with trio.fail_after(timeout or CONNECT_SECONDS):
                addresses = await self._resolver(host, port)
        except (OSError, UnicodeError, trio.TooSlowError) as error:
            raise httpcore.ConnectError(f"cannot resolve the host: {error}") from error
        is_exempt = (host.lower(), port) in self._exempt
        *first, last = judged(addresses, _anything if is_exempt else self._allows)
        for address in first:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
        return await self._network.connect_tcp(last, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefused

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)
