"""A Supabase that repeats, in everything it says, the key that it was called with."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MOODS = {
    "401": "PGRST301",
    "403": "403",
    "404": "404",
    "500": "XX000",
    "503": "503",
    "strange code": "502",
    "html": "unexpected_answer",
    "not json": "unexpected_answer",
    "redirect": "redirected",
    "no http": "network",
    "cut": "network",
}
"""What it may do to every call, and the code by which that is known outside."""


class Talkative:
    """Listens on ``port``; ``mood`` is one of `MOODS`, ``refusing`` rows, or ``well``."""

    def __init__(self) -> None:
        self.mood = "well"
        self.keys: set[str] = set()
        self._server = _Server(self)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, talkative: Talkative) -> None:
        self.talkative = talkative
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Silent."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("content-length") or 0)))

    def do_PATCH(self) -> None:
        self.do_POST()

    def do_DELETE(self) -> None:
        self.do_POST()

    def _answer(self, body: bytes) -> None:
        key = self.headers.get("apikey") or ""
        self.server.talkative.keys.add(key)
        said = f"the key {key} of Bearer {self.headers.get('authorization')} and its row"
        match self.server.talkative.mood:
            case "401":
                self._json(401, {"code": "PGRST301", "message": said, "details": said})
            case "500":
                self._json(500, {"code": "XX000", "message": said, "hint": said})
            case "403" | "404" | "503" as status:
                self._json(int(status), {"message": said, "error": said})
            case "strange code":
                self._json(502, {"code": said, "message": said})
            case "html":
                self._reply(200, "text/html", f"<html>{said}".encode())
            case "not json":
                self._reply(200, "application/json", f'{{"{said}'.encode())
            case "redirect":
                self._reply(302, "text/html", said.encode(), location=f"/login?apikey={key}")
            case "no http":
                self._end(f"{said}\r\n\r\n".encode())
            case "cut":
                self._end(b"")
            case "refusing" if self.path.endswith("/zapvisor_ingest"):
                self._json(400, {"code": "P0001", "message": said, "details": said})
            case _:
                self._json(200, self._content(body))

    def _content(self, body: bytes) -> Any:
        if self.path.endswith("/zapvisor_schema_version"):
            return 99
        if self.path.endswith("/zapvisor_ingest"):
            items = json.loads(body)["items"]
            return [{"seq": item["seq"], "result": "stored"} for item in items]
        return {"keys": []} if "jwks" in self.path else []

    def _json(self, status: int, content: Any) -> None:
        self._reply(status, "application/json", json.dumps(content).encode())

    def _reply(self, status: int, kind: str, content: bytes, **headers: str) -> None:
        self.send_response_only(status)
        for name, value in {"content-type": kind, **headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _end(self, content: bytes) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.write(content)
            self.connection.shutdown(2)
