"""A program that webhooks are posted to."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .harness import free_port


class Receiver:
    """Keeps what is posted; ``failing`` makes it answer 500 instead."""

    def __init__(self) -> None:
        self.port = free_port()
        self.deliveries: list[tuple[dict[str, str], bytes]] = []
        self.failing = False
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if not receiver.failing:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    receiver.deliveries.append((headers, body))
                self.send_response(500 if receiver.failing else 204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/zapvisor"

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in list(self.deliveries)]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
