"""Request bodies: bounded while they stream in, then well-formed JSON in UTF-8, or refused."""

from __future__ import annotations

import json
import re
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email.message import Message as Headers
from typing import Any

import trio
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .envelope import Failure
from .limits import SEND_PATH, Limits
from .parsed import keep

UPLOAD_PATH = f"{SEND_PATH}-media"
"""Where a body may be a form."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_WITH_BODY = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_TOO_LATE = Failure(408, "request_timeout", "O corpo da requisição demorou demais para chegar.")
_UNSUPPORTED = Failure(
    415,
    "unsupported_media_type",
    "O corpo deve ser JSON em UTF-8, com o cabeçalho Content-Type: application/json.",
)
MAX_MARKS_IN_TEXTS = 300_000
"""Brackets, commas and colons of all the texts of one body."""
_MALFORMED = Failure(400, "malformed_json", "O corpo não é JSON válido em UTF-8.")


class JsonBody:
    """ASGI middleware: an application behind it gets a complete, well-formed JSON body or none.

    An empty body passes whatever its type: many clients announce JSON and send nothing.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._large = trio.Semaphore(limits.files_at_once)
        self._threads = trio.CapacityLimiter(limits.json_threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in _WITH_BODY:
            await self._app(scope, receive, send)
            return
        if scope["path"] == UPLOAD_PATH and is_form(Request(scope).headers):
            await self._app(scope, receive, send)  # reads it piece by piece
            return
        async with AsyncExitStack() as held:
            await self._with_body(scope, receive, send, held)

    async def _with_body(
        self, scope: Scope, receive: Receive, send: Send, held: AsyncExitStack
    ) -> None:
        limits = self._limits
        carries_file = scope["path"] == SEND_PATH
        body: bytes | Failure | None = _TOO_LATE
        with trio.move_on_after(limits.file_seconds if carries_file else limits.body_seconds):
            body = await self._read(
                scope, receive, limits.file_bytes if carries_file else limits.body_bytes, held
            )
        if body is None:
            return  # the client has gone: nobody to answer
        read: Parsed | Failure | None = None
        if isinstance(body, Failure):
            read = body
        elif body:
            read = check_media_type(Request(scope).headers) or await self._parse(body)
        if isinstance(read, Failure):
            await read.response()(scope, receive, send)
            return
        if read is not None:
            keep(scope, read.document)
        replayed = False

        async def replay() -> Message:
            nonlocal replayed
            if replayed:
                return await receive()
            replayed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)

    async def _parse(self, body: bytes) -> Parsed | Failure:
        """In a thread when it is large: parsing holds up everybody else."""
        most = self._limits.json_parts
        if len(body) <= self._limits.json_inline_bytes:
            return read_json(body, most)
        return await trio.to_thread.run_sync(read_json, body, most, limiter=self._threads)

    async def _read(
        self, scope: Scope, receive: Receive, limit: int, held: AsyncExitStack
    ) -> bytes | Failure | None:
        too_large = Failure(
            413,
            "body_too_large",
            f"O corpo da requisição pode ter no máximo {limit // 1024} KiB.",
            {"maxBytes": limit},
        )
        announced = Request(scope).headers.get("content-length", "")
        if announced.isdecimal() and (len(announced) > 18 or int(announced) > limit):
            return too_large
        body = bytearray()
        is_large = False
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            body += message.get("body", b"")
            if len(body) > limit:
                return too_large
            if len(body) > self._limits.body_bytes and not is_large:
                is_large = True
                await self._large.acquire()
                held.callback(self._large.release)
            if not message.get("more_body", False):
                return bytes(body)


def is_form(headers: Any) -> bool:
    """Whether the body claims to be an uploaded form."""
    content_type: str = headers.get("content-type", "")
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def check_media_type(headers: Any) -> Failure | None:
    """Whether the body claims to be plain JSON in UTF-8; None if so."""
    parsed = Headers()
    parsed["content-type"] = headers.get("content-type", "")
    subtype = parsed.get_content_subtype()
    is_json = parsed.get_content_maintype() == "application" and (
        subtype == "json" or subtype.endswith("+json")
    )
    charset = parsed.get_content_charset("utf-8")
    encoding = headers.get("content-encoding", "identity").strip().lower()
    return None if is_json and charset == "utf-8" and encoding == "identity" else _UNSUPPORTED


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document that is JSON."""

    document: Any


def read_json(body: bytes, most: int) -> Parsed | Failure:
    """``body`` as JSON of at most ``most`` values, whose texts every part behind us can store."""
    # Before it is parsed, which nothing can interrupt: texts may hold some of these, too.
    if sum(body.count(mark) for mark in b"[{,:") > most + MAX_MARKS_IN_TEXTS:
        return _too_complex(most)
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _MALFORMED
    if _has_more_parts(document, most):
        return _too_complex(most)
    # Raw NUL is no JSON and raw surrogates are no UTF-8: only an escape can bring them in.
    fields = _unstorable(document) if b"\\u" in body else []
    if not fields:
        return Parsed(document)
    return Failure(
        400,
        "invalid_text",
        "O texto contém caracteres que não podem ser guardados (NUL ou surrogates isolados) em: "
        f"{', '.join(fields)}.",
        [
            {"field": field, "code": "invalid_text", "message": f"{field} contém NUL ou surrogates"}
            for field in fields
        ],
    )


def _too_complex(most: int) -> Failure:
    return Failure(
        413, "body_too_complex", "O corpo da requisição tem valores demais.", {"maxValues": most}
    )


def _has_more_parts(document: object, most: int) -> bool:
    pending, seen = [document], 0
    while pending:
        seen += 1
        if seen > most:
            return True
        match pending.pop():
            case list() as items:
                pending.extend(items)
            case dict() as members:
                pending.extend(members.values())
    return False


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _unstorable(document: object) -> list[str]:
    """The top-level fields somewhere in which there is a NUL or a lone surrogate."""
    if not isinstance(document, dict):
        return ["body"] if _has_unstorable(document) else []
    fields = [
        name if _is_storable(name) else "body"
        for name, value in document.items()
        if not _is_storable(name) or _has_unstorable(value)
    ]
    return list(dict.fromkeys(fields))[:20]


def _has_unstorable(value: object) -> bool:
    pending = [value]  # a stack, not recursion: the depth is the client's choice
    while pending:
        match pending.pop():
            case str() as text:
                if not _is_storable(text):
                    return True
            case list() as items:
                pending.extend(items)
            case dict() as members:
                pending.extend(members.keys())
                pending.extend(members.values())
    return False


def _is_storable(text: str) -> bool:
    return _UNSTORABLE.search(text) is None
