"""The envelope of every JSON answer: ``{"success": true, "data": …}`` or a failure with a code."""

from __future__ import annotations

import json
import math
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
    """JSON in UTF-8; what it cannot say (half an emoji, infinity) is replaced, no error."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        try:
            text = _dump(content)
        except ValueError:  # a row of a table may hold any number
            text = _dump(_finite(content))
        return text.encode("utf-8", "replace")


def _dump(content: Any) -> str:
    return json.dumps(
        content, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
    )


def _finite(value: Any) -> Any:
    """With null for the numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


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
