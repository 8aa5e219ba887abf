"""Who is calling: an API key (``Authorization: Bearer`` or ``X-Api-Key``) or a user's token.

The middleware answers "who"; what the caller may do is decided by the ``guards`` of the routes.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from datetime import UTC, datetime

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime.errors import Throttled

from .envelope import Failure
from .errors import failure_of, retry_after
from .keys import KeyStore
from .limits import EVENTS_PATH
from .principal import CALLER, Principal
from .quotas import Quotas
from .ratelimit import RateLimiter
from .tokens import ExpiredToken, InvalidToken, KeySetUnavailable, TokenVerifier

logger = logging.getLogger("zapvisor.http")

_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="zapvisor"'),)
_MISSING = Failure(
    401,
    "missing_credential",
    "Informe a chave de API no cabeçalho Authorization: Bearer … ou X-Api-Key.",
    headers=_CHALLENGE,
)
_INVALID = Failure(
    401, "invalid_credential", "A credencial informada não é válida.", headers=_CHALLENGE
)
_EXPIRED = Failure(401, "expired_credential", "A credencial informada expirou.", headers=_CHALLENGE)
_UNVERIFIABLE = Failure(
    503,
    "auth_unavailable",
    "O Supabase Auth não responde, e sem as chaves dele não é possível conferir o token.",
    headers=(retry_after(5),),
)


class Authentication:
    """ASGI middleware: nothing under ``/api/`` goes further without a valid credential.

    Nor faster than the credential allows.
    """

    def __init__(self, app: ASGIApp, keys: KeyStore, tokens: TokenVerifier, quotas: Quotas) -> None:
        self._app = app
        self._quotas = quotas
        self._keys = keys
        self._tokens = tokens
        self._limiter = RateLimiter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith("/api/"):
            await self._app(scope, receive, send)
            return
        caller = await identify(Headers(scope=scope), self._keys, self._tokens)
        if isinstance(caller, Principal):
            scope.setdefault("state", {})["principal"] = caller
            refusal = self._too_fast(caller)
        else:
            refusal = caller
        if refusal is not None:
            logger.info("refused %s: %s", (scope.get("client") or ("?",))[0], refusal.code)
            await refusal.response()(scope, receive, send)
            return
        token = CALLER.set(scope["state"]["principal"])
        try:
            await self._in_place(scope, receive, send)
        finally:
            CALLER.reset(token)

    async def _in_place(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == EVENTS_PATH:
            await self._app(scope, receive, send)  # has places of its own, see `streams`
            return
        with ExitStack() as held:
            try:
                held.enter_context(self._quotas.call(scope["state"]["principal"], scope["path"]))
            except Throttled as refusal:
                await failure_of(refusal).response()(scope, receive, send)
                return
            await self._app(scope, receive, send)

    def _too_fast(self, caller: Principal) -> Failure | None:
        if caller.rate_per_minute is None:
            return None
        wait = self._limiter.take(caller.id, caller.rate_per_minute)
        if not wait:
            return None
        return Failure(
            429,
            "rate_limited",
            f"Esta credencial pode fazer {caller.rate_per_minute} chamadas por minuto.",
            {"ratePerMinute": caller.rate_per_minute},
            (retry_after(wait),),
        )


async def identify(headers: Headers, keys: KeyStore, tokens: TokenVerifier) -> Principal | Failure:
    """Who these headers prove to be, or why not. ``X-Api-Key`` wins when both are sent."""
    credential = headers.get("x-api-key", "").strip()
    by_bearer = not credential
    if by_bearer:
        scheme, _, credential = headers.get("authorization", "").strip().partition(" ")
        credential = credential.strip()
        if not scheme:
            return _MISSING
        if scheme.lower() != "bearer" or not credential:
            return _INVALID
    await keys.refresh()
    # Header values arrive as latin-1; the key itself may be UTF-8.
    key = keys.verify(credential.encode("latin-1"))
    if key is not None:
        now = datetime.now(UTC)
        if key.expired(now):
            return _EXPIRED
        keys.mark_used(key, now)
        return key.principal()
    if by_bearer and credential.count(".") == 2:
        return await _user(credential, tokens)
    return _INVALID


async def _user(token: str, tokens: TokenVerifier) -> Principal | Failure:
    try:
        return await tokens.verify(token)
    except ExpiredToken:
        return _EXPIRED
    except InvalidToken:
        return _INVALID
    except KeySetUnavailable:
        return _UNVERIFIABLE
