"""Permission before body: who may not call a route is refused before a byte of it is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from .audit import noted
from .errors import failure_of
from .guards import Requirement, check_permission
from .principal import Forbidden, Principal

_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Access:
    """ASGI middleware, between authentication and the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._guarded: list[tuple[APIRoute, Requirement]] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = scope.get("state", {}).get("principal")
        if scope["type"] == "http" and scope["method"] in _WITH_BODY and caller is not None:
            try:
                self._check(scope, caller)
            except Forbidden as refusal:
                noted().code = refusal.code
                await failure_of(refusal).response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, caller: Principal) -> None:
        """Raises Forbidden; the scope then tells the audit log which route it was."""
        if self._guarded is None:  # the routes are there when the first request is
            self._guarded = list(guarded(scope["app"].router.routes))
        for route, requirement in self._guarded:
            match, child = route.matches(scope)
            if match is Match.FULL:
                try:
                    check_permission(requirement, caller, scope["method"])
                except Forbidden:
                    scope.update(child, route=route)
                    raise
                return


def guarded(routes: Iterable[Any]) -> Iterator[tuple[APIRoute, Requirement]]:
    """Every route with the requirement that it declares."""
    for one in routes:
        if isinstance(one, APIRoute):
            for requirement in _declared(one.dependant):
                yield one, requirement
        elif (inner := getattr(one, "original_router", None)) is not None:
            yield from guarded(inner.routes)


def _declared(dependant: Any) -> Iterator[Requirement]:
    for one in dependant.dependencies:
        if (found := getattr(one.call, "requirement", None)) is not None:
            yield found
        yield from _declared(one)
