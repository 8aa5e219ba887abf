"""A file from a URL that a client gave us: from the public internet, and within limits.

Every redirect is a new request under the same rules (see `runtime.outgoing_http`).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urljoin

import httpcore
import httpx
import trio

from ..errors import Invalid, TooLarge, Unsendable
from ..outgoing_http import CONNECT_SECONDS, AddressRefused, GuardedNetwork, Resolve, resolve
from .addresses import is_public
from .policy import MIB

MAX_URL = 2048
MAX_REDIRECTS = 5
FETCH_SECONDS = 120.0
"""From the first connection to the last byte."""

_READ_SECONDS = 20.0
_HOST = re.compile(rb"[A-Za-z0-9._:-]{1,253}")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TIMEOUTS = {
    "connect": CONNECT_SECONDS,
    "read": _READ_SECONDS,
    "write": _READ_SECONDS,
    "pool": CONNECT_SECONDS,
}


class Sink(Protocol):
    """Where the bytes go; may raise TooLarge."""

    limit: int

    async def write(self, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the server said of the file."""

    mimetype: str | None
    file_name: str | None


class Fetcher:
    """Fetches files.

    Args:
        resolver: asked once for each connection.
        allows: which addresses may be connected to.
        network: makes the connections.
        tls: the certificates to trust.
    """

    def __init__(
        self,
        *,
        resolver: Resolve = resolve,
        allows: Callable[[str], bool] = is_public,
        network: httpcore.AsyncNetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._network = GuardedNetwork(resolver=resolver, allows=allows, network=network)
        self._tls = tls or httpx.create_ssl_context(trust_env=False)

    async def fetch(self, url: str, sink: Sink) -> Fetched:
        """Write the file at ``url`` into ``sink``.

        Raises Invalid for a URL that may not be fetched, TooLarge, and Unsendable when the server
        does not deliver.
        """
        try:
            with trio.fail_after(FETCH_SECONDS):
                async with httpcore.AsyncConnectionPool(
                    ssl_context=self._tls, network_backend=self._network
                ) as pool:
                    return await self._follow(pool, url, sink)
        except trio.TooSlowError:
            raise _undelivered("o servidor demorou demais", "media_url_timeout") from None
        except AddressRefused as refused:
            raise Invalid(
                "A mediaUrl não leva a um endereço público da internet.",
                code="media_url_not_allowed",
            ) from refused
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise _undelivered("o servidor não respondeu", "media_url_unreachable") from error

    async def _follow(self, pool: httpcore.AsyncConnectionPool, url: str, sink: Sink) -> Fetched:
        for _ in range(MAX_REDIRECTS + 1):
            target = parse_url(url)
            async with pool.stream(
                "GET",
                httpcore.URL(
                    scheme=target.raw_scheme,
                    host=target.raw_host,
                    port=target.port,
                    target=target.raw_path,
                ),
                headers={
                    "Host": target.netloc.decode("ascii"),
                    "Accept": "*/*",
                    "Accept-Encoding": "identity",
                    "User-Agent": "zapvisor",
                },
                extensions={"timeout": _TIMEOUTS},
            ) as response:
                headers = httpx.Headers(response.headers)
                if response.status in _REDIRECTS and "location" in headers:
                    url = urljoin(url, headers["location"])
                    continue
                if response.status != 200:
                    raise _undelivered(
                        f"o servidor respondeu {response.status}", "media_url_failed"
                    )
                return await _read(response, headers, target, sink)
        raise _undelivered("há redirecionamentos demais", "media_url_failed")


def parse_url(url: str) -> httpx.URL:
    """A URL that may be asked for: http or https, a host, no credentials. Raises Invalid."""
    try:
        parsed = httpx.URL(url)
        usable = (
            len(url) <= MAX_URL
            and parsed.scheme in ("http", "https")
            and _HOST.fullmatch(parsed.raw_host) is not None
            and (parsed.port is None or 0 < parsed.port < 65536)
            and not parsed.userinfo
        )
    except (httpx.InvalidURL, ValueError, TypeError):
        usable = False
    if not usable:
        raise Invalid(
            "A mediaUrl deve ser um endereço http ou https, sem usuário e senha.",
            code="invalid_media_url",
        )
    return parsed


async def _read(
    response: httpcore.Response, headers: httpx.Headers, url: httpx.URL, sink: Sink
) -> Fetched:
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:18]) > sink.limit:
        raise TooLarge(
            f"O arquivo da mediaUrl passa de {sink.limit // MIB} MB.",
            code="media_too_large",
            details={"maxBytes": sink.limit},
        )
    async for chunk in response.aiter_stream():
        await sink.write(chunk)
    name = url.path.rpartition("/")[2] or None
    return Fetched(headers.get("content-type"), name)


def _undelivered(why: str, code: str) -> Unsendable:
    return Unsendable(f"Não foi possível obter o arquivo da mediaUrl: {why}.", code=code)
