"""``/``: the dashboard, static files that call the API with the key the operator types in.

The files are read once; nothing else of the disk can be asked for.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import Response

from runtime.errors import NotFound

router = APIRouter(include_in_schema=False)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; media-src blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


def _read() -> dict[str, tuple[bytes, str, str]]:
    """Content, type and entity tag of each file, by name."""
    found = {}
    for file in (files("http_api") / "dashboard").iterdir():
        content_type = _TYPES.get(file.name.rpartition(".")[2])
        if content_type is not None:
            content = file.read_bytes()
            found[file.name] = (content, content_type, f'"{hashlib.sha256(content).hexdigest()}"')
    return found


_FILES = _read()


@router.get("/")
async def page(request: Request) -> Response:
    """The one page."""
    return _file("index.html", request)


@router.get("/dashboard/{name}")
async def asset(name: str, request: Request) -> Response:
    """What the page loads."""
    return _file(name, request)


def _file(name: str, request: Request) -> Response:
    if name not in _FILES:
        raise NotFound("Este arquivo não existe.", code="not_found")
    content, content_type, tag = _FILES[name]
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        # Asked for again each time, answered by a 304: an update of zapvisor shows at once.
        "Cache-Control": "no-cache",
        "ETag": tag,
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers | {"Content-Type": content_type})
