"""The audit log: who controlled what, and what came of it.

One record for every call that changes how the product runs or who may use it: those under
``/api/whatsapp-bootstrap`` and all that need the permission ``manage``, refused ones included.
Neither bodies nor credentials are in it. ``runtime.logs`` writes the records to
``logs/audit.log``.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .principal import Principal

logger = logging.getLogger("zapvisor.audit")

_CONTROL = "/api/whatsapp-bootstrap/"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Audit:
    """ASGI middleware around the authentication."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in _READING:
            await self._app(scope, receive, send)
            return
        status = 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        started = time.monotonic()
        try:
            await self._app(scope, receive, observed)
        finally:
            if scope["path"].startswith(_CONTROL) or scope.get("state", {}).get("managing"):
                _record(scope, status, time.monotonic() - started)


def _record(scope: Scope, status: int, seconds: float) -> None:
    caller: Principal | None = scope.get("state", {}).get("principal")
    route = getattr(scope.get("route"), "path", None)
    facts: dict[str, Any] = {
        "who": caller.id if caller else None,
        "credential": caller.name if caller else None,
        "role": caller.role.value if caller else None,
        "client": (scope.get("client") or (None,))[0],
        "method": scope["method"],
        "route": route,
        "target": scope.get("path_params", {}) if route else {},
        "status": status or None,  # None: no answer went out
        "durationMs": round(seconds * 1000),
    }
    what = f"{scope['method']} {route or '(no route)'}"
    logger.info("%s: %s", what, status or "no answer", extra=facts)
