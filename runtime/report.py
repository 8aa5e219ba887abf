"""What the application says about itself: status, statistics, readiness. JSON-serialisable."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import psutil

from supervisors import Exit, ExitKind, Node, State

from .errors import JournalUnavailable
from .journal import JournalStatistics, endpoints, media
from .reasons import about
from .tree import CONNECTIONS, CORE
from .whatsapp.live import Status

if TYPE_CHECKING:
    from .lifecycle import Lifecycle

_PARTS = {
    "journal": f"{CORE}/journal",
    "storage": f"{CORE}/storage",
    "whatsapp": f"{CORE}/whatsapp",
}


class Report:
    """Answers for one application."""

    def __init__(self, application: Lifecycle) -> None:
        self._app = application

    def tree(self) -> Node:
        """The supervision tree as it is now."""
        return self._app.root.tree()

    def node(self, path: str) -> Node | None:
        """One child, by its path below the root."""
        tree = self.tree()
        return tree.find(f"{tree.path}/{path}")

    def is_running(self, path: str = CORE) -> bool:
        """Whether a child is up and ready."""
        node = self.node(path)
        return node is not None and node.state is State.RUNNING

    def status(self) -> dict[str, Any]:
        """``GET /status``."""
        app = self._app
        return {
            "isInitialized": self.is_running(),
            "supabaseConnected": self.is_running() and app.probe.healthy,
            "integrationServiceRunning": self.is_running(_PARTS["whatsapp"]),
            "watchdogRunning": True,  # supervision is live, or nobody would answer
            "errors": self._errors(),
            "startTime": app.started_at.isoformat(),
        }

    def _errors(self) -> list[str]:
        errors = []
        if self._app.probe.problem is not None:
            problem = self._app.probe.problem
            errors.append(f"supabase: {problem.reason} ({problem.code})")
        errors.extend(
            f"{node.path}: {_told(node.last_exit)}"
            for node in self.tree().walk()
            if node.state in (State.PARKED, State.BACKOFF) and node.last_exit is not None
        )
        return errors

    async def stats(self) -> dict[str, Any]:
        """``GET /stats``."""
        app = self._app
        now = datetime.now(UTC)
        lives = (
            [(connection, app.book.live(connection.id)) for connection in await app.book.all()]
            if self.is_running(_PARTS["journal"])
            else []
        )
        return {
            **self.status(),
            "uptime": int((now - app.started_at).total_seconds() * 1000),
            "timestamp": now.isoformat(),
            "memory": _memory(),
            "platform": platform.platform(),
            "versions": {
                "zapvisor": version("zapvisor"),
                "python": platform.python_version(),
                "trio": version("trio"),
                **app.bridge.versions,
            },
            "queue": await self._queue(),
            "media": await self._media(),
            "webhooks": await self._webhooks(),
            "connections": [
                {"id": connection.id, "status": live.status.value, **live.counters()}
                for connection, live in lives
            ],
            "activeConnections": sum(live.status is Status.CONNECTED for _, live in lives),
            "supabase": self._response_times(),
            "sendSuccessRate": await self._send_success_rate(),
            "tree": describe_node(self.tree()),
        }

    def _response_times(self) -> dict[str, Any]:
        statistics = self._app.supabase.statistics()
        return {
            "calls": statistics.calls,
            "failures": statistics.failures,
            "p50Ms": statistics.p50_ms,
            "p95Ms": statistics.p95_ms,
            "p99Ms": statistics.p99_ms,
        }

    async def _statistics(self) -> JournalStatistics | None:
        try:
            return await self._app.journal.statistics()
        except JournalUnavailable:
            return None

    async def _queue(self) -> dict[str, Any] | None:
        statistics = await self._statistics()
        if statistics is None:
            return None
        return {
            "accepted": statistics.accepted,
            "stored": statistics.stored,
            "pending": statistics.pending,
            "deadLetters": statistics.dead - statistics.archived,
            "archived": statistics.archived,
            "oldestPendingSeconds": statistics.oldest_pending_age,
            "drainRate": statistics.drain_rate,
            "outbox": statistics.outbox,
            "fileBytes": statistics.file_bytes,
            "commitMs": {"p50": statistics.commit_p50_ms, "p99": statistics.commit_p99_ms},
        }

    async def _media(self) -> dict[str, int] | None:
        """Files of the last two weeks by state; None while the journal is away."""
        try:
            counts = await self._app.journal.transact(media.counts)
        except JournalUnavailable:
            return None
        return {state: counts.get(state, 0) for state in ("pending", "available", "failed")}

    async def _webhooks(self) -> dict[str, int] | None:
        """How many there are, fail, are disabled; None while the journal is away."""
        try:
            return await self._app.journal.transact(endpoints.summary)
        except JournalUnavailable:
            return None

    async def _send_success_rate(self) -> float | None:
        statistics = await self._statistics()
        return None if statistics is None else statistics.send_success_ratio()

    async def supabase(self) -> dict[str, Any]:
        """``GET /stats/supabase``."""
        return {
            "isHealthy": self._app.probe.healthy,
            "queueStats": await self._queue(),
            "responseTimes": self._response_times(),
            "timestamp": datetime.now(UTC).isoformat(),
        }

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether new work is taken. An outage of Supabase is no reason to refuse: it waits."""
        parts: dict[str, Any] = {name: self.is_running(path) for name, path in _PARTS.items()}
        ready = all(parts.values()) and self._app.journal.state.name == "available"
        parts["journalState"] = self._app.journal.state.code or "available"
        parts["supabase"] = self._app.probe.healthy
        problem = self._app.probe.problem
        parts["supabaseError"] = problem.code if problem is not None else None
        return ready, parts

    def supervision(self, connection_id: str) -> dict[str, Any]:
        """What supervision knows about a connection."""
        node = self.node(f"{CONNECTIONS}/{connection_id}")
        if node is None:
            return {"restarts": 0, "lastError": None, "supervision": None}
        described = describe_node(node)
        return {
            "restarts": node.restarts,
            "lastError": described["lastExit"],
            "supervision": described["state"],
        }


def describe_node(node: Node) -> dict[str, Any]:
    """A node of the tree and all below it."""
    last = node.last_exit
    return {
        "name": node.name,
        "path": node.path,
        "kind": node.kind,
        "state": node.state.value,
        "incarnation": node.incarnation,
        "restarts": node.restarts,
        "since": node.since_utc.isoformat(),
        "nextRestartAt": node.next_restart_utc.isoformat() if node.next_restart_utc else None,
        "lastExit": None
        if last is None
        else {"kind": last.kind.value, "reason": _told(last), "code": last.code},
        "children": [describe_node(child) for child in node.children],
    }


def _told(last: Exit) -> str:
    """Why a child ended: a verdict is a sentence of ours, an exception's text is for the log."""
    if last.kind in (ExitKind.CRASHED, ExitKind.FATAL):
        return about(last.code).pt
    return last.reason


def _memory() -> dict[str, int]:
    """Bytes of this process and of all that it started."""
    own = psutil.Process()
    children = 0
    for child in own.children(recursive=True):
        try:
            children += child.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return {"rss": own.memory_info().rss, "childrenRss": children}
