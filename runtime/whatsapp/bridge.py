"""The bridge: the Node process that runs real Baileys, as a supervised child.

It ends by itself when our end of its standard input closes, so nothing of it is left even when this
process is killed with SIGKILL.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import trio
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from supervisors import ChildContext, SubprocessChild

from ..distribution import Distribution
from ..failpoints import VARIABLE as FAILPOINT_VARIABLE
from ..failpoints import for_bridge
from ..logs import correlated
from ..node_parts import NodeParts
from ..redaction import SECRET_VARIABLES
from .link import BridgeLink, LinkLost, RequestFailed, open_link

logger = logging.getLogger("zapvisor.bridge")

HEALTH_INTERVAL = 5.0
HEALTH_DEADLINE = 10.0
"""Seconds without an answer after which the process counts as hung; the interval comes on top."""
STOP_GRACE = 4.0
YOUNG_MB = 8
"""Half of what Node may fill with new objects before it tidies up; more is memory for nothing."""
OLD_GROWTH_PERCENT = 40
"""How much of what is alive may become rubbish before Node collects it; by itself it lets a heap as
small as ours (some 25 MB) grow several times."""

_NOT_INHERITED = SECRET_VARIABLES | {FAILPOINT_VARIABLE}
_LEVELS = {"error": logging.ERROR, "warn": logging.WARNING, "info": logging.INFO}


class BridgeHung(Exception):
    """The process runs but does not answer."""


class _Facts(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel)


class ConnectionFacts(_Facts):
    """One connection as the bridge knows it; ``last_frame_at`` in ms since the epoch."""

    id: str
    state: str
    last_frame_at: int | None
    pending_events: int
    unfilled_stubs: int


class BridgeFacts(_Facts):
    """What the process says about itself; counts since its start."""

    rss_bytes: int
    heap_used_bytes: int
    event_loop_lag_ms: float
    sockets_created: int
    decrypt_failures: int
    connections: list[ConnectionFacts]


class Bridge:
    """The one Node process of this runtime, restarted by its supervisor.

    Attributes:
        facts: as last told, every few seconds; None while the process is not there.
        lag: of its event loop, the worst between one question and the next.

    Args:
        parts: where Node and the bridge's program are.
        directory: holds the credentials of each connection, one SQLite file each.
        media: through which files are handed over (``spool``), and for its temporary ones.
    """

    def __init__(self, parts: NodeParts, directory: Path, media: Path) -> None:
        self._parts = parts
        self._directory = directory
        self._media = media
        self._port: int | None = None
        self._listening = trio.Event()
        self._token = ""
        self.versions: dict[str, str] = {}
        self.facts: BridgeFacts | None = None
        self.lag = Distribution()

    async def run(self, ctx: ChildContext) -> None:
        """The child: until cancelled, or until the process ends or hangs."""
        with correlated(bridge=ctx.incarnation):
            await self._run(ctx)

    async def _run(self, ctx: ChildContext) -> None:
        self._token = secrets.token_hex(32)
        self._listening = trio.Event()
        # What a killed process had under way is of no use to its successor.
        await trio.to_thread.run_sync(_make_empty, self._media / "sending")
        process = SubprocessChild(
            [
                self._parts.node,
                f"--max-semi-space-size={YOUNG_MB}",
                f"--heap-growing-percent={OLD_GROWTH_PERCENT}",
                "src/main.ts",
            ],
            env=self._environment(),
            cwd=self._parts.bridge,
            ready_line=self._listens,
            success_codes=(),
            on_line=self._log,
            stop_grace=STOP_GRACE,
            stdin_eof_stops=True,
        )
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._watch, ctx)
                await process(ctx)
                nursery.cancel_scope.cancel(reason="the process has ended")
        finally:
            self._port = None
            self.facts = None

    def link(self, connection_id: str) -> AbstractAsyncContextManager[BridgeLink]:
        """A link for one connection. Raises LinkLost while the process is not there."""
        if self._port is None:
            raise LinkLost("the bridge is not running")
        return open_link(self._port, self._token, connection_id)

    async def health(self) -> BridgeFacts:
        """Facts about the process, from the process. Raises LinkLost, BridgeHung."""
        if self._port is None:
            raise LinkLost("the bridge is not running")
        async with self._client() as client:
            return await self._ask(client)

    async def media(
        self, connection_id: str, action: str, body: dict[str, Any], seconds: float
    ) -> dict[str, Any]:
        """``download`` or ``upload`` a file of a message (bridge/README.md, Media).

        Ends with the caller. Raises LinkLost and RequestFailed.
        """
        if self._port is None:
            raise LinkLost("the bridge is not running")
        url = f"http://127.0.0.1:{self._port}/connections/{connection_id}/media/{action}"
        timeout = httpx.Timeout(HEALTH_DEADLINE, read=None)
        try:
            with trio.fail_after(seconds):
                async with self._client() as client:
                    answer = await client.post(url, json=body, timeout=timeout)
            result: dict[str, Any] = answer.json()
        except trio.TooSlowError:
            raise RequestFailed("media_timeout", "no answer in time", retryable=True) from None
        except (httpx.HTTPError, ValueError) as error:
            raise LinkLost(f"the bridge does not answer: {error!r}") from error
        if answer.is_success:
            return result
        raise RequestFailed(
            str(result.get("code", answer.status_code)),
            str(result.get("message", "")),
            retryable=bool(result.get("retryable", False)),
        )

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=HEALTH_DEADLINE,
            trust_env=False,
        )

    async def _ask(self, client: httpx.AsyncClient) -> BridgeFacts:
        try:
            answer = await client.get(f"http://127.0.0.1:{self._port}/health")
            answer.raise_for_status()
            facts = BridgeFacts.model_validate_json(answer.content)
        except (httpx.HTTPError, ValidationError) as error:
            raise BridgeHung(f"the bridge does not answer: {error!r}") from error
        self.facts = facts
        self.lag.add(facts.event_loop_lag_ms / 1000)
        return facts

    async def _watch(self, ctx: ChildContext) -> None:
        """Beat for the process as long as it answers."""
        await self._listening.wait()  # bounded by the child's ready deadline
        async with self._client() as client:
            while True:
                await self._ask(client)
                ctx.beat()
                await trio.sleep(HEALTH_INTERVAL)

    def _environment(self) -> Mapping[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if name not in _NOT_INHERITED
        }
        return {
            **inherited,
            **for_bridge(),
            "ZAPVISOR_BRIDGE_TOKEN": self._token,
            "ZAPVISOR_BRIDGE_DATA": str(self._directory),
            "ZAPVISOR_BRIDGE_MEDIA": str(self._media / "spool"),
            "TMPDIR": str(self._media / "sending"),
        }

    def _listens(self, line: str) -> bool:
        record = _record(line)
        if record is None or record.get("event") != "listening":
            return False
        self._port = int(record["port"])
        self._listening.set()
        self.versions = {name: str(record[name]) for name in ("node", "baileys") if name in record}
        return True

    def _log(self, stream: str, line: str) -> None:
        record = _record(line) if stream == "stdout" else None
        if record is None:
            logger.warning("%s: %s", stream, line)
            return
        level = _LEVELS.get(str(record.pop("level", "info")), logging.INFO)
        event = str(record.pop("event", "log"))
        record.pop("time", None)
        logger.log(
            level,
            event,
            extra={
                name if name == "connection" else f"bridge_{name}": value
                for name, value in record.items()
            },
        )


def _make_empty(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
