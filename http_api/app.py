"""The ASGI application: routes behind the middlewares, each with one duty."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from .access import Access
from .audit import Audit
from .auth import Authentication
from .body import JsonBody
from .drain import Drain
from .errors import HANDLERS, ErrorGuard
from .examples import complete
from .facade import Application
from .headers import SecurityHeaders
from .keys import KeyStore
from .limits import Limits, RequestLimits
from .metrics import Metrics, RequestMetrics
from .quotas import Quotas
from .routes import (
    atendimentos,
    bootstrap,
    contacts,
    conversation,
    dashboard,
    dead_letters,
    events,
    health,
    integration,
    media,
    robot,
    tree,
    webhooks,
)
from .routes import keys as keys_routes
from .streams import Streams
from .tokens import TokenVerifier

_DESCRIPTION = """\
API de controle do zapvisor: conexões de WhatsApp supervisionadas, mensagens no Supabase.

Toda resposta vem no mesmo envelope: `{"success": true, "data": …}` ou
`{"success": false, "error": "<frase>", "code": "<código estável>", "details": …}`.
As chamadas sob `/api` exigem uma chave de API em `Authorization: Bearer …` ou `X-Api-Key`, ou o
access token de um usuário do Supabase Auth em `Authorization: Bearer …`.
"""


def create_app(
    application: Application,
    *,
    keys: KeyStore | None = None,
    tokens: TokenVerifier | None = None,
    limits: Limits | None = None,
) -> FastAPI:
    """The API over ``application``.

    Args:
        application: the runtime; its settings give CORS origins and, by default, the keys.
        keys: accepted keys; read from the data directory (blocking) when not given.
        tokens: of end users; by default those of the application's Supabase project.
        limits: bounds; the defaults are those of production.
    """
    settings = application.settings
    keys = KeyStore.load(settings) if keys is None else keys
    limits = limits or Limits()
    tokens = tokens or TokenVerifier.of(
        settings, application.jwt_secret, limits.user_requests_per_minute
    )
    metrics = Metrics()
    quotas = Quotas(limits)
    app = _Api(
        title="zapvisor",
        version="1",
        description=_DESCRIPTION,
        docs_url=None,  # the stock page loads scripts from the internet
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        exception_handlers=HANDLERS,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(RequestMetrics, metrics=metrics),
            *_cors(settings.cors_origins),
            Middleware(Drain, limits=limits),
            Middleware(ErrorGuard),
            Middleware(RequestLimits, limits=limits),
            Middleware(Audit),
            Middleware(Authentication, keys=keys, tokens=tokens, quotas=quotas),
            Middleware(Access),
            Middleware(JsonBody, limits=limits),
        ],
    )
    app.state.application = application
    app.state.metrics = metrics
    app.state.streams = Streams(limits, quotas)
    app.state.quotas = quotas
    app.state.keys = keys
    for module in (
        bootstrap,
        keys_routes,
        tree,
        integration,
        conversation,
        contacts,
        media,
        atendimentos,
        robot,
        dead_letters,
        events,
        webhooks,
        health,
        dashboard,
    ):
        app.include_router(module.router)
    return app


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The document, made once, with an example of every answer."""
        if self.openapi_schema is None:
            complete(super().openapi())
        assert self.openapi_schema is not None
        return self.openapi_schema


def _cors(origins: list[str]) -> list[Middleware]:
    if not origins:
        return []
    options: dict[str, Any] = {
        "allow_origins": origins,
        "allow_methods": ["GET", "POST", "PATCH", "DELETE"],
        "allow_headers": ["Authorization", "Content-Type", "Idempotency-Key", "Range", "X-Api-Key"],
        "expose_headers": ["Content-Disposition", "Content-Range", "Retry-After"],
        # Front ends of the earlier back end send credentials: "include"; no cookie means anything.
        "allow_credentials": "*" not in origins,
    }
    return [Middleware(CORSMiddleware, **options)]


def _operation_id(route: APIRoute) -> str:
    return to_camel(route.name)
