"""What PostgREST answers, read: rows, whatever is in their JSON columns.

A user may store JSON that no reader takes: nested ten thousand deep, or with numbers of ten
thousand digits. What is too deep or too long becomes null then, and the rows around it are read.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import trio
from pydantic_core import from_json

from .errors import AnswerTooLarge, UnexpectedAnswer

MAX_BYTES = 16 * 1024 * 1024
"""Of one answer; reading it holds everything up meanwhile."""
MAX_DEPTH = 64
"""Of what is left of an answer that could not be read; nothing of ours is nearly as deep."""

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{\]}]|-?[0-9]{400,}[0-9.eE+-]*', re.DOTALL)


class Bounded(httpx.AsyncByteStream):
    """A body that ends with AnswerTooLarge where it goes on for too long."""

    def __init__(self, body: httpx.AsyncByteStream) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._body:
            size += len(part)
            if size > MAX_BYTES:
                raise AnswerTooLarge(f"an answer of more than {MAX_BYTES} bytes")
            yield part

    async def aclose(self) -> None:
        await self._body.aclose()


async def read_rows(body: bytes) -> list[dict[str, Any]]:
    """The rows of an answer. Raises UnexpectedAnswer."""
    try:
        rows = from_json(body or b"[]")
    except ValueError:
        rows = await trio.to_thread.run_sync(_read_shallow, body)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnexpectedAnswer("an answer of PostgREST is no list of rows")
    return rows


def _read_shallow(body: bytes) -> Any:
    try:
        return from_json(shallow(body.decode("utf-8", "replace")))
    except ValueError as error:
        raise UnexpectedAnswer("an answer of PostgREST is no JSON") from error


def shallow(text: str) -> str:
    """JSON with null for what is deeper than ``MAX_DEPTH``, and for numbers that have no end."""
    kept: list[str] = []
    depth = begin = end = 0
    for token in _TOKEN.finditer(text):
        match token[0][0]:
            case "[" | "{":
                depth += 1
                if depth == MAX_DEPTH + 1:
                    begin = token.start()
            case "]" | "}":
                depth -= 1
                if depth == MAX_DEPTH:
                    kept += (text[end:begin], "null")
                    end = token.end()
            case '"':
                pass
            case _ if depth <= MAX_DEPTH:
                kept += (text[end : token.start()], "null")
                end = token.end()
    return "".join([*kept, text[end:]])
