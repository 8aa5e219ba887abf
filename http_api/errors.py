"""From exceptions to what a client is told; the one place where statuses are chosen."""

from __future__ import annotations

import logging
import math
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.errors import (
    Conflict,
    Invalid,
    NotFound,
    Throttled,
    TooLarge,
    Unavailable,
    Unsendable,
    UnsupportedMedia,
    ZapvisorError,
)

from .audit import noted
from .envelope import Failure
from .fields import body_model, with_hints
from .principal import Forbidden
from .validation import validation_failure

logger = logging.getLogger("zapvisor.http")

_STATUS_OF: tuple[tuple[type[ZapvisorError], int], ...] = (
    (Invalid, 400),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (TooLarge, 413),
    (UnsupportedMedia, 415),
    (Unsendable, 422),
    (Throttled, 429),
    (Unavailable, 503),
)
_INTERNAL = Failure(
    500, "internal_error", "Ocorreu um erro interno; ele foi registrado e será investigado."
)


def status_of(kind: type[ZapvisorError]) -> int:
    """The HTTP status of an error of the runtime."""
    return next((status for one, status in _STATUS_OF if issubclass(kind, one)), 500)


def retry_after(seconds: float) -> tuple[str, str]:
    """The ``Retry-After`` header: whole seconds, at least one."""
    return ("Retry-After", str(max(1, math.ceil(seconds))))


def failure_of(error: Exception) -> Failure:
    """What a client is told about ``error``; anything unforeseen is an internal error."""
    if isinstance(error, ExceptionGroup):
        return _failure_of_group(error)
    if isinstance(error, RequestValidationError):
        return validation_failure(error.errors())
    if isinstance(error, HTTPException):
        return _failure_of_http(error)
    if isinstance(error, ZapvisorError):
        for kind, status in _STATUS_OF:
            if isinstance(error, kind):
                headers = (
                    (retry_after(error.retry_after),) if isinstance(error, Unavailable) else ()
                )
                return Failure(status, error.code, error.message, error.details, headers)
    return _INTERNAL


def _failure_of_group(group: ExceptionGroup[Exception]) -> Failure:
    """Of several errors at once (nurseries report so): the first, if all are foreseen."""
    failures = [failure_of(error) for error in group.exceptions]
    return _INTERNAL if _INTERNAL in failures else failures[0]


def _failure_of_http(error: HTTPException) -> Failure:
    headers = tuple((error.headers or {}).items())
    match error.status_code:
        case 401:
            return Failure(401, "missing_credential", "Informe a chave de API.", None, headers)
        case 404:
            return Failure(404, "route_not_found", "Este endereço não existe na API.")
        case 405:
            return Failure(
                405, "method_not_allowed", "Este endereço não aceita este método.", None, headers
            )
        case status if 400 <= status < 500:
            return Failure(
                status, "invalid_request", "A requisição não pôde ser lida.", None, headers
            )
        case _:
            return _INTERNAL


async def handle(request: Request, error: Exception) -> Response:
    """FastAPI's handler for everything foreseen; unforeseen errors go on to the guard."""
    if isinstance(error, RequestValidationError) and (model := body_model(request)) is not None:
        error = RequestValidationError(with_hints(error.errors(), model))
    failure = failure_of(error)
    if failure is _INTERNAL:
        raise error
    noted().code = failure.code
    return failure.response()


HANDLERS: dict[Any, Any] = {
    RequestValidationError: handle,
    HTTPException: handle,
    ZapvisorError: handle,
    ExceptionGroup: handle,
}


class ErrorGuard:
    """ASGI middleware: an exception nobody foresaw is logged, and answered without internals."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def observed(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except Exception:
            route = getattr(scope.get("route"), "path", "(no route)")
            logger.exception("unexpected error in %s %s", scope["method"], route)
            if started:
                raise  # half an answer is out: closing the connection tells the client so
            await _INTERNAL.response()(scope, receive, send)
