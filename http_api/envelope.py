"""The envelope of every JSON answer: ``{"success": true, "data": …}`` or a failure with a code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from starlette.responses import Response


def _plain(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON-serialisable")


class EnvelopeResponse(Response):
    """JSON in UTF-8; a lone surrogate becomes a question mark instead of an error."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        text = json.dumps(
            content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
        )
        return text.encode("utf-8", "replace")


def success(data: Any, *, message: str | None = None, status: int = 200) -> EnvelopeResponse:
    """A success; ``message`` is the sentence that a few control calls also carry."""
    content: dict[str, Any] = {"success": True, "data": data}
    if message is not None:
        content["message"] = message
    return EnvelopeResponse(content, status_code=status)


@dataclass(frozen=True, slots=True)
class Failure:
    """What a client is told when a call fails.

    ``message`` is a Portuguese sentence, ``code`` stable snake_case, ``details`` serialisable.
    """

    status: int
    code: str
    message: str
    details: Any = None
    headers: tuple[tuple[str, str], ...] = ()

    def response(self) -> EnvelopeResponse:
        """This failure in the envelope."""
        content: dict[str, Any] = {"success": False, "error": self.message, "code": self.code}
        if self.details is not None:
            content["details"] = self.details
        return EnvelopeResponse(content, status_code=self.status, headers=dict(self.headers))
