"""A JSON body is parsed once, by the middleware; routes and guards read what it found."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

_NOTHING = object()


def keep(scope: Scope, document: Any) -> None:
    """Remember the body of a request, as it was parsed."""
    scope.setdefault("state", {})["json"] = document


def kept(request: Request) -> Any:
    """The parsed body of a request; None if it has none."""
    return request.scope.get("state", {}).get("json")


class _Parsed(Request):
    async def json(self) -> Any:
        document = self.scope.get("state", {}).get("json", _NOTHING)
        return await super().json() if document is _NOTHING else document


class Route(APIRoute):
    """A route whose body is what the middleware parsed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI's, with the parsed body."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return await handle(_Parsed(request.scope, request.receive))

        return handler
