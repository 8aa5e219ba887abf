"""What Supabase says when it refuses, whole: supabase-py's own error has no HTTP status."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

TEXT_LIMIT = 500
LONGEST_WAIT = 300.0
"""Seconds, whatever an answer asks for."""
_CODE = re.compile("[0-9A-Z]{1,5}|PGRST[0-9A-Z]{1,5}")


class SupabaseError(Exception):
    """An HTTP answer other than success.

    Attributes:
        status: the HTTP status.
        code: SQLSTATE or PGRST code from the body; None when the body has none (a proxy's page).
        message: what the body says, cut to ``TEXT_LIMIT`` characters.
        retry_after: seconds asked for by the ``Retry-After`` header.
        page: the body is a page for people: something on the way has answered, and knows nothing of
            any row.
    """

    def __init__(
        self,
        status: int,
        *,
        code: str | None = None,
        message: str = "",
        retry_after: float | None = None,
        page: bool = False,
    ) -> None:
        super().__init__(f"HTTP {status} {code or ''} {message}".rstrip())
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.page = page


class UnexpectedAnswer(Exception):
    """A success whose body is not what our function returns: another version answers."""


class AnswerTooLarge(UnexpectedAnswer):
    """A success with more bytes than are taken: whoever writes rows chooses how long they are."""


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> SupabaseError:
    """The error in an HTTP answer; never raises itself."""
    code: str | None = None
    message = ""
    page = is_page(headers) or body.lstrip()[:1] == b"<"
    try:
        parsed = None if page else json.loads(body)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        code = known_code(parsed.get("code"))
        message = str(parsed.get("message") or parsed.get("error") or "")
    return SupabaseError(
        status,
        code=code,
        message=message[:TEXT_LIMIT],
        retry_after=_retry_after(headers.get("retry-after")),
        page=page,
    )


def known_code(code: object) -> str | None:
    """A SQLSTATE or PGRST code; None for anything else, which may be any text."""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def is_page(headers: Mapping[str, str]) -> bool:
    """Whether a body is HTML, which nothing of Supabase's that we ask answers with."""
    return "html" in headers.get("content-type", "").lower()


def _retry_after(value: str | None) -> float | None:
    """Seconds from either form of the header (RFC 9110 §10.2.3); None when it makes no sense."""
    if value is None:
        return None
    if re.fullmatch("[0-9]{1,9}", value.strip()):
        return min(float(value), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - datetime.now(UTC)).total_seconds()), LONGEST_WAIT)
