"""A write that is not understood whole is not done: unknown fields and parameters are named (400).

A misspelt or unsupported name (``mediaURL``, ``sendAt``) that was ignored would send something else
than was meant. ``ZAPVISOR_LENIENT_FIELDS`` keeps the way of the earlier back end, which ignored it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar
from difflib import get_close_matches
from typing import Any, get_args

from fastapi import params
from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request

from .parsed import kept

LENIENT: ContextVar[bool] = ContextVar("lenient", default=False)
"""Whether the bodies of the call that is being answered may hold what nobody knows."""

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_NAMED = 20
_MAX_SHOWN = 64
"""Characters of a name that are shown of what a stranger sent."""

Errors = Sequence[Mapping[str, Any]]


async def refuse_unknown(request: Request) -> None:
    """Raise for what a write's query and body hold and its route does not know.

    What a route knows of its body is in the body's model, which refuses the rest by itself.
    """
    if request.method in _READING:
        return
    lenient: bool = request.app.state.application.settings.lenient_fields
    LENIENT.set(lenient)
    route = request.scope.get("route")
    if lenient or not isinstance(route, APIRoute):
        return
    known = [
        field.alias
        for field in get_flat_params(route.dependant)
        if isinstance(field.field_info, params.Query)
    ]
    errors = [_error("query", name, known) for name in request.query_params if name not in known]
    uploads = request.headers.get("content-type", "").lower().startswith("multipart/")
    if route.body_field is None and not uploads:  # a form is read, and judged, by its route
        errors += [_error("body", name, ()) for name in _names(kept(request))]
    if errors:
        raise RequestValidationError(errors)


def with_hints(errors: Errors, model: Any) -> list[dict[str, Any]]:
    """pydantic's errors of a body, where a name is unknown with what may have been meant."""
    return [
        _error("body", *_unknown(model, error["loc"][1:]), loc=error["loc"])
        if error["type"] == "extra_forbidden"
        else dict(error)
        for error in errors
    ]


def body_model(request: Request) -> Any:
    """The type of the body that the called route takes, or None."""
    field = getattr(request.scope.get("route"), "body_field", None)
    return None if field is None else field.field_info.annotation


def _error(
    place: str, name: str, known: Iterable[str], loc: tuple[str | int, ...] = ()
) -> dict[str, Any]:
    nearest = get_close_matches(name.lower(), [one.lower() for one in known], n=1, cutoff=0.7)
    meant = next((one for one in known if nearest and one.lower() == nearest[0]), None)
    hint = "" if meant is None else f" (quis dizer {meant}?)"
    return {
        "type": "extra_forbidden",
        "loc": (*(loc[:-1] or (place,)), name[:_MAX_SHOWN]),
        "ctx": {"hint": hint},
    }


def _unknown(model: Any, path: Sequence[str | int]) -> tuple[str, Collection[str]]:
    """The name that is not known, and those that are, at the end of ``path`` into a model."""
    *parents, name = path
    for part in parents:
        if isinstance(part, str):
            fields = {} if model is None else _model_in(model).model_fields
            model = next((one.annotation for one in fields.values() if one.alias == part), None)
    known = _model_in(model).model_fields.values()
    return str(name), [one.alias for one in known if one.alias]


def _model_in(annotation: Any) -> type[BaseModel]:
    """The model somewhere in a type such as ``list[Model] | None``."""
    pending = [annotation]
    while pending:
        one = pending.pop()
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
        pending.extend(get_args(one))
    return BaseModel


def _names(document: Any) -> list[str]:
    return list(document)[:_MAX_NAMED] if isinstance(document, dict) else []
