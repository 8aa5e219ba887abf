"""The WhatsApp simulator as a child of the tree, and its admin API."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import trio

from runtime.node_parts import NodeParts
from runtime.redaction import SECRET_VARIABLES
from supervisors import Backoff, ChildSpec, SubprocessChild

log = logging.getLogger("zapvisor.simulator")

BACKOFF = Backoff(first=0.5, cap=10.0, reset_after=30.0)
CALL_TIMEOUT = 10.0
READY_POLL = 0.05
STOP_MARGIN = 2.0


class SimulatorRefused(Exception):
    """An admin call was answered with an error; ``status`` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Simulator:
    """A simulator on a loopback port of its own, which keeps its state in ``state_file``."""

    def __init__(self, parts: NodeParts, state_file: Path) -> None:
        self._parts = parts
        self._state_file = state_file
        self._port = _free_port()
        # Anybody on this machine could otherwise write in the customers' names.
        self._token = secrets.token_hex(32)

    @contextmanager
    def in_place_of_whatsapp(self) -> Iterator[None]:
        """While the block runs, a bridge started by this process talks to the simulator."""
        preload = (self._parts.simulator / "src" / "preload.ts").as_uri()
        options = f"{os.environ.get('NODE_OPTIONS', '')} --import {preload}".strip()
        url = f"ws://127.0.0.1:{self._port}/ws/chat"
        with _environment(NODE_OPTIONS=options, WHATSAPP_SIMULATOR_URL=url):
            yield

    def child(self) -> ChildSpec:
        """Ready when the admin API answers."""
        ours = {"NODE_OPTIONS", "WHATSAPP_SIMULATOR_URL"}
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in SECRET_VARIABLES and name not in ours
        }
        program = SubprocessChild(
            [
                *(self._parts.node, self._parts.simulator / "src" / "cli.ts", "start"),
                *("--port", str(self._port), "--state", self._state_file, "--stdin-eof"),
            ],
            env={**inherited, "WHATSAPP_SIMULATOR_TOKEN": self._token},
            cwd=self._parts.simulator,
            stdin_eof_stops=True,
            ready_probe=self._answers,
            on_line=lambda stream, line: log.debug("%s: %s", stream, line),
        )
        return ChildSpec(
            "simulator", program, backoff=BACKOFF, stop_deadline=program.stop_needs + STOP_MARGIN
        )

    async def call(self, method: str, path: str, **body: Any) -> Any:
        """One call of the admin API. Raises SimulatorRefused, httpx.TransportError."""
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self._port}",
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=CALL_TIMEOUT,
            trust_env=False,
        ) as client:
            answer = await client.request(method, path, json=body if body else None)
        if not answer.is_success:
            raise SimulatorRefused(answer.status_code, answer.text)
        return answer.json()

    async def _answers(self) -> None:
        while True:
            try:
                await self.call("GET", "/health")
            except httpx.TransportError:
                await trio.sleep(READY_POLL)
            else:
                return


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    before: Mapping[str, str | None] = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
