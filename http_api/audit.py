"""The audit log: who did what, through which connection, and what came of it.

One record for every call that changes something, acts through a connection, or controls how the
product runs: all that need the permission ``manage`` or ``send``, refused ones included, and those
under ``/api/whatsapp-bootstrap``. Looking at things is not recorded. Neither bodies nor credentials
nor the numbers of customers are in it. ``runtime.logs`` writes the records to ``logs/audit.log``.
"""

from __future__ import annotations

import logging
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .principal import Permission, Principal

logger = logging.getLogger("zapvisor.audit")

_CONTROL = "/api/whatsapp-bootstrap/"
_CONNECTIONS = "/api/whatsapp-integration/connections/"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(slots=True)
class Deed:
    """What is learned of a call while it is handled.

    Attributes:
        recorded: whether it is one to be recorded.
        connection: the id of the connection that it acts through or changes.
        code: of the failure, if it failed.
    """

    recorded: bool = False
    connection: str | None = None
    code: str | None = None


_deed: ContextVar[Deed] = ContextVar("zapvisor_deed")


def noted() -> Deed:
    """What is known of the present call, to be added to."""
    return _deed.get(Deed())


def note_requirement(permission: Permission, method: str) -> None:
    """The call needs this permission: is it one to be recorded?

    Asking WhatsApp about numbers is a GET, and acts through a connection nevertheless.
    """
    acting = permission is Permission.SEND
    if acting or (permission is Permission.MANAGE and method not in _READING):
        noted().recorded = True


class Audit:
    """ASGI middleware around the authentication."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        deed = Deed(scope["path"].startswith(_CONTROL) and scope["method"] not in _READING)
        token = _deed.set(deed)
        started = time.monotonic()
        try:
            await self._app(scope, receive, observed)
        except Exception:
            deed.code = "internal_error"
            raise
        finally:
            _deed.reset(token)
            if deed.recorded:
                _record(scope, deed, status, time.monotonic() - started)


def _record(scope: Scope, deed: Deed, status: int, seconds: float) -> None:
    caller: Principal | None = scope.get("state", {}).get("principal")
    route = getattr(scope.get("route"), "path", None)
    target = scope.get("path_params", {}) if route else {}
    if scope["path"].startswith(_CONNECTIONS) and deed.connection is None:
        deed.connection = target.get("id")
    facts: dict[str, Any] = {
        "who": caller.id if caller else None,
        "credential": caller.name if caller else None,
        "role": caller.role.value if caller else None,
        "client": (scope.get("client") or (None,))[0],
        "method": scope["method"],
        "route": route,
        "target": target,
        "connection": deed.connection,
        "status": status or None,  # None: no answer went out
        "code": deed.code,
        "durationMs": round(seconds * 1000),
    }
    what = f"{scope['method']} {route or '(no route)'}"
    logger.info("%s: %s", what, status or "no answer", extra=facts)
