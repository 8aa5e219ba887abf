"""The one error tree. Foreign errors are mapped into it at the edge where they arise.

Each error carries a stable machine-readable ``code`` and a Portuguese sentence for a person; the
HTTP layer turns the class into a status and never shows anything else to a client.
"""

from __future__ import annotations

from typing import Any


class ZapvisorError(Exception):
    """Base of everything that the runtime raises on purpose.

    Args:
        message: a Portuguese sentence for the person who called the API.
        code: stable snake_case identifier; defaults to the class's own.
        details: JSON-serialisable facts that help the caller, never secrets.
    """

    code = "internal_error"

    def __init__(self, message: str, *, code: str | None = None, details: Any = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.details = details


class Invalid(ZapvisorError):
    """The request makes no sense as it stands (HTTP 400)."""

    code = "invalid_request"


class NotFound(ZapvisorError):
    """No such thing (HTTP 404)."""

    code = "not_found"


class Conflict(ZapvisorError):
    """It exists already, or the state does not allow it (HTTP 409)."""

    code = "conflict"


class UnreadableRow(Conflict):
    """A row of the tables holds what cannot be acted upon (HTTP 409)."""

    code = "unreadable_row"


class Unsendable(ZapvisorError):
    """Well-formed, but WhatsApp cannot deliver it (HTTP 422)."""

    code = "unsendable"


class TooLarge(ZapvisorError):
    """More than is taken (HTTP 413)."""

    code = "too_large"


class UnsupportedMedia(ZapvisorError):
    """A file of a kind that is not taken there (HTTP 415)."""

    code = "unsupported_media"


class Unavailable(ZapvisorError):
    """A part is down; the same call may work later (HTTP 503 with ``Retry-After``).

    Args:
        retry_after: seconds after which trying again makes sense.
    """

    code = "unavailable"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        details: Any = None,
        retry_after: float = 5.0,
    ) -> None:
        super().__init__(message, code=code, details=details)
        self.retry_after = retry_after


class Throttled(Unavailable):
    """WhatsApp takes no more for now (HTTP 429 with ``Retry-After``)."""

    code = "throttled"


class JournalUnavailable(Unavailable):
    """The journal accepts nothing now: disk full, I/O error, corruption, or not started."""

    code = "journal_unavailable"


class StorageUnavailable(Unavailable):
    """Supabase does not answer, or refuses everything."""

    code = "supabase_unavailable"
