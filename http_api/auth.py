"""Who is calling: an API key, as ``Authorization: Bearer`` or ``X-Api-Key``.

The middleware answers "who"; the dependency on every router refuses a request that somehow came
past it, and tells OpenAPI how to sign in.
"""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from .envelope import Failure
from .keys import ApiKey, KeyStore

logger = logging.getLogger("zapvisor.http")

_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="zapvisor"'),)
_MISSING = Failure(
    401,
    "missing_credential",
    "Informe a chave de API no cabeçalho Authorization: Bearer … ou X-Api-Key.",
    headers=_CHALLENGE,
)
_INVALID = Failure(
    401, "invalid_credential", "A chave de API informada não é válida.", headers=_CHALLENGE
)


class Authentication:
    """ASGI middleware: nothing under ``/api/`` goes further without a valid key."""

    def __init__(self, app: ASGIApp, keys: KeyStore) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith("/api/"):
            await self._app(scope, receive, send)
            return
        identity = identify(Headers(scope=scope), self._keys)
        if isinstance(identity, Failure):
            logger.info("refused %s: %s", (scope.get("client") or ("?",))[0], identity.code)
            await identity.response()(scope, receive, send)
            return
        scope.setdefault("state", {})["api_key"] = identity
        await self._app(scope, receive, send)


def identify(headers: Headers, keys: KeyStore) -> ApiKey | Failure:
    """The key that these headers prove, or why not. ``X-Api-Key`` wins when both are sent."""
    credential = headers.get("x-api-key", "").strip()
    if not credential:
        scheme, _, credential = headers.get("authorization", "").strip().partition(" ")
        credential = credential.strip()
        if not scheme:
            return _MISSING
        if scheme.lower() != "bearer" or not credential:
            return _INVALID
    # Header values arrive as latin-1; the key itself may be UTF-8.
    return keys.verify(credential.encode("latin-1")) or _INVALID


_bearer = HTTPBearer(auto_error=False, description="A chave de API como token Bearer.")
_header = APIKeyHeader(name="X-Api-Key", auto_error=False, description="A chave de API.")


async def authenticated(
    request: Request,
    _by_bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    _by_header: Annotated[str | None, Security(_header)],
) -> ApiKey:
    """The key that signed this request; 401 if the middleware has not seen one."""
    key: ApiKey | None = getattr(request.state, "api_key", None)
    if key is None:
        raise HTTPException(401, headers=dict(_CHALLENGE))
    return key
