"""One attempt: the event as JSON, signed, posted to where the endpoint is."""

from __future__ import annotations

import json
import ssl
import time
from types import TracebackType

import httpcore
import httpx
import trio

from ..events import Event
from ..journal import Attempt, Endpoint
from ..outgoing_http import AddressRefused, GuardedNetwork
from .signature import HEADER, sign

ATTEMPT_SECONDS = 15.0
"""From the first packet to the receiver's answer."""
MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read, to use the connection again; what it says does not matter."""
MAX_CONNECTIONS = 64
KEEPALIVE_SECONDS = 30.0

_GONE = 410


class Sender:
    """Makes attempts while it is entered; any number at once."""

    def __init__(self, network: GuardedNetwork, *, tls: ssl.SSLContext | None = None) -> None:
        self._network = network
        self._tls = tls or httpx.create_ssl_context(trust_env=False)
        self._pool: httpcore.AsyncConnectionPool

    async def __aenter__(self) -> Sender:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=self._tls,
            network_backend=self._network,
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_SECONDS,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with trio.move_on_after(1, shield=True):
            await self._pool.aclose()

    async def send(self, endpoint: Endpoint, event: Event, delivery: int | None) -> Attempt:
        """Post an event; never raises for what the receiver does."""
        body = json.dumps(event.as_json(), ensure_ascii=False, separators=(",", ":"))
        started = trio.current_time()
        status: int | None = None
        error: str | None = None
        retry_after: float | None = None
        try:
            with trio.fail_after(ATTEMPT_SECONDS):
                status, headers = await self._post(
                    endpoint, event, delivery, body.encode("utf-8", "replace")
                )
            if not 200 <= status < 300:
                error = "redirect" if 300 <= status < 400 else f"http_{status}"
                retry_after = _seconds(headers.get("retry-after"))
        except AddressRefused:
            error = "address_not_allowed"
        except (trio.TooSlowError, httpcore.TimeoutException):
            error = "timeout"
        except httpcore.ProtocolError:
            error = "not_http"
        except (httpcore.NetworkError, OSError):
            error = "unreachable"
        return Attempt(
            ok=error is None,
            status=status,
            error=error,
            duration_ms=round((trio.current_time() - started) * 1000),
            retry_after=retry_after,
            gone=status == _GONE,
        )

    async def _post(
        self, endpoint: Endpoint, event: Event, delivery: int | None, body: bytes
    ) -> tuple[int, httpx.Headers]:
        url = httpx.URL(endpoint.url)
        async with self._pool.stream(
            "POST",
            httpcore.URL(
                scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
            ),
            headers={
                "Host": url.netloc.decode("ascii"),
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "User-Agent": "zapvisor",
                "X-Zapvisor-Event": event.event.value,
                "X-Zapvisor-Event-Id": event.id,
                "X-Zapvisor-Delivery": "test" if delivery is None else str(delivery),
                HEADER: sign(endpoint.secret, body, int(time.time())),
            },
            content=body,
        ) as response:
            read = 0
            async for chunk in response.aiter_stream():
                read += len(chunk)
                if read > MAX_ANSWER:
                    break
            return response.status, httpx.Headers(response.headers)


def _seconds(retry_after: str | None) -> float | None:
    """``Retry-After`` in seconds; dates are not worth the trouble."""
    if retry_after is None or not retry_after.strip().isdecimal():
        return None
    return float(retry_after.strip()[:9])
