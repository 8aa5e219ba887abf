"""A proxy in front of Supabase's gateway that fails on request.

``SUPABASE_URL`` of the product under test points at it. Faults hold for the writing call
(``zapvisor_ingest``) alone, unless they cut off everything.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WRITING = "/zapvisor_ingest"
NOT_PASSED_ON = frozenset({"host", "connection", "transfer-encoding", "content-length"})
UPSTREAM_SECONDS = 60.0


@dataclass
class Fault:
    """What happens to the next ``times`` calls.

    kind
        ``answer``: this status instead of asking Supabase. ``cut-before``: the connection ends
        without asking. ``cut-after``: Supabase is asked, its answer is lost. ``hang-before`` and
        ``hang-after``: as these, but nothing ends; the answer never comes until the fault does.
        ``slow``: everything is late by ``seconds``.
    everything
        Whether it holds for every call, the probe's included.
    above
        Only bodies of more bytes are struck.
    """

    kind: str
    status: int = 503
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    seconds: float = 0.0
    everything: bool = False
    above: int = -1
    struck: int = 0


class FaultProxy:
    """Listens on a free port of 127.0.0.1 and passes on to ``upstream_port``."""

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.written = 0
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._ended = threading.Event()
        self._server = _Server(self)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def fault(self, kind: str, **options: Any) -> Iterator[Fault]:
        """Strike while the block runs, at most ``times`` times."""
        fault = Fault(kind, **options)
        with self._lock:
            self._fault, self._ended = fault, threading.Event()
        try:
            yield fault
        finally:
            with self._lock:
                self._fault = None
            self._ended.set()

    def away(self) -> contextlib.AbstractContextManager[Fault]:
        """No Supabase at all: every connection ends at once."""
        return self.fault("cut-before", everything=True, times=10**9)

    def take(self, path: str, size: int) -> tuple[Fault | None, threading.Event]:
        """The fault for this call, used up by asking, and when it will be over."""
        with self._lock:
            fault = self._fault
            if fault is None or not (fault.everything or path.endswith(WRITING)):
                return None, self._ended
            if fault.struck >= fault.times or size <= fault.above:
                return None, self._ended
            fault.struck += 1
            return fault, self._ended

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        self._pass_on()

    def do_GET(self) -> None:
        self._pass_on()

    def do_PATCH(self) -> None:
        self._pass_on()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Silent."""

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        fault, ended = self.server.proxy.take(self.path, len(body))
        kind = fault.kind if fault is not None else "none"
        if fault is not None and kind == "answer":
            self._answer(fault)
            return
        if fault is not None and kind == "slow":
            ended.wait(fault.seconds)
        if kind in ("cut-before", "hang-before"):
            self._end(ended if kind == "hang-before" else None)
            return
        try:
            status, headers, content = self._ask(body)
        except (OSError, http.client.HTTPException):
            self._end(None)
            return
        if kind in ("cut-after", "hang-after"):
            self._end(ended if kind == "hang-after" else None)
            return
        if self.path.endswith(WRITING) and status < 300:
            self.server.proxy.written += 1
        self._reply(status, headers, content)

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.server.proxy.upstream_port, timeout=UPSTREAM_SECONDS
        )
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in NOT_PASSED_ON}
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            content = response.read()
            kept = [(k, v) for k, v in response.getheaders() if k.lower() not in NOT_PASSED_ON]
            return response.status, kept, content
        finally:
            connection.close()

    def _answer(self, fault: Fault) -> None:
        content = json.dumps(fault.body or {"message": f"fault {fault.status}"}).encode()
        headers = [("content-type", "application/json"), *fault.headers.items()]
        self._reply(fault.status, headers, content)

    def _reply(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _end(self, after: threading.Event | None) -> None:
        """End the connection without an answer."""
        if after is not None:
            after.wait()
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
