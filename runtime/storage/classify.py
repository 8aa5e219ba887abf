"""What an error of Supabase asks for. Pure; one table by code, one by HTTP status.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html and
https://docs.postgrest.org/en/stable/references/errors.html. When in doubt the answer is to retry
or to pause, which keep everything, never to bisect, which sets rows aside.
"""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum

import httpx
import trio
from postgrest.exceptions import APIError

from ..reasons import MIGRATION_REQUIRED, about
from .errors import AnswerTooLarge, SupabaseError, UnexpectedAnswer, known_code


class Action(StrEnum):
    """What to do with the batch.

    RETRY: the same later. SPLIT: less at once. BISECT: find the row that is refused for what it
    contains. PAUSE: nothing will work until somebody changes something over there.
    """

    RETRY = "retry"
    SPLIT = "split"
    BISECT = "bisect"
    PAUSE = "pause"


class ErrorClass(StrEnum):
    """What went wrong, in one word for whoever looks at a graph."""

    NETWORK = "network"
    """No answer: no way there, or the connection broke."""
    TIMEOUT = "timeout"
    BUSY = "busy"
    """Too much at once: rate limit, pool, resources, locks."""
    SERVER = "server"
    """A fault over there: 5xx, shutdown, internal error."""
    ACCESS = "access"
    """Key, permission, quota, paused project."""
    SCHEMA = "schema"
    """Tables or functions are missing or different: `zapvisor migrate`."""
    DATA = "data"
    """A row was refused for what it contains."""
    ANSWER = "answer"
    """Not Supabase: something else answers at the address."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``code`` is SQLSTATE, PGRST code, HTTP status or a word; ``reason`` a sentence for people.

    ``text`` is what the other side said: for the log and a dead letter, never for a client.
    Where it is not ``final``, something on the way has answered: it says nothing of a row, even of
    one that was sent alone.
    """

    action: Action
    code: str
    text: str = ""
    retry_after: float | None = None
    final: bool = True

    @property
    def reason(self) -> str:
        """What ``code`` means."""
        return about(self.code).pt


EXPECTED: tuple[type[Exception], ...] = (
    SupabaseError,
    UnexpectedAnswer,
    APIError,
    httpx.HTTPError,
    httpx.InvalidURL,
    trio.TooSlowError,
    UnicodeEncodeError,
)
"""The errors that `classify` knows; any other is a bug and should crash its child."""

TOO_LARGE = "413"
ANSWER_TOO_LARGE = "answer_too_large"

# The longest prefix of the code that is listed decides.
_BY_CODE: dict[str, Action] = {
    # PostgREST
    "PGRST0": Action.RETRY,  # connection to the database, schema cache, pool
    "PGRST1": Action.PAUSE,  # the request itself: a version that we do not speak
    "PGRST102": Action.BISECT,  # invalid body
    "PGRST2": Action.PAUSE,  # unknown table, function or column
    "PGRST3": Action.PAUSE,  # JWT
    "PGRSTX": Action.RETRY,
    # PostgreSQL
    "08": Action.RETRY,  # connection
    "0A": Action.PAUSE,  # feature not supported
    "21": Action.BISECT,  # cardinality
    "22": Action.BISECT,  # data
    "23": Action.BISECT,  # constraint
    "25": Action.RETRY,  # transaction state
    "25006": Action.PAUSE,  # read-only: Supabase's answer to a full disk
    "28": Action.PAUSE,  # authorization
    "3D": Action.PAUSE,  # no such database
    "3F": Action.PAUSE,  # no such schema
    "40": Action.RETRY,  # serialization, deadlock
    "42": Action.PAUSE,  # privilege, missing or different table, column or function
    "44": Action.BISECT,  # check option of a view
    "53": Action.RETRY,  # resources
    "54": Action.BISECT,  # program limits: an index entry too large
    "55": Action.RETRY,  # lock not available, object in use
    "57": Action.RETRY,  # operator intervention, shutdown
    "57014": Action.SPLIT,  # statement timeout
    "58": Action.RETRY,  # system error
    "P0": Action.BISECT,  # raised by a trigger of the installation
    "XX": Action.RETRY,  # internal
}

# Without a code it was not PostgREST that answered: nothing is known about the rows.
_BY_STATUS: dict[int, Action] = {
    400: Action.PAUSE,
    401: Action.PAUSE,
    402: Action.PAUSE,  # Supabase: quota exceeded
    403: Action.PAUSE,
    404: Action.PAUSE,
    405: Action.PAUSE,
    406: Action.PAUSE,
    408: Action.SPLIT,
    409: Action.RETRY,
    410: Action.PAUSE,
    413: Action.SPLIT,
    415: Action.PAUSE,
    425: Action.RETRY,
    429: Action.RETRY,
    504: Action.SPLIT,
    524: Action.SPLIT,  # Cloudflare: timeout
    540: Action.PAUSE,  # Supabase: project paused
}

_CODE = re.compile(r"[0-9A-Z]{5}|PGRST[0-9A-Z]{1,4}")
"""What a code of PostgreSQL's or PostgREST's looks like; gateways have codes, too."""

_SCHEMA_CODES = frozenset(
    {"PGRST202", "PGRST203", "PGRST204", "PGRST205", "42P01", "42883", "42703", "3F000"}
)


def classify(error: Exception) -> Verdict:
    """What ``error`` asks for; TypeError for one that is not in ``EXPECTED``."""
    if isinstance(error, SupabaseError):
        return _refusal(error)
    if isinstance(error, APIError):
        return _refusal(_from_postgrest(error))
    if isinstance(error, AnswerTooLarge):
        return Verdict(Action.PAUSE, ANSWER_TOO_LARGE, str(error))
    if isinstance(error, UnexpectedAnswer):
        return Verdict(Action.PAUSE, "unexpected_answer", str(error))
    if isinstance(error, trio.TooSlowError | httpx.ReadTimeout | httpx.WriteTimeout):
        return Verdict(Action.SPLIT, "timeout", type(error).__name__)
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return Verdict(Action.PAUSE, "invalid_url", str(error))
    if isinstance(error, httpx.LocalProtocolError):
        # A header that cannot be sent; of those only the key is not ours.
        return Verdict(Action.PAUSE, "invalid_key", str(error))
    if isinstance(error, httpx.HTTPError):
        text = f"{type(error).__name__}: {error}".rstrip(": ")
        return Verdict(Action.RETRY, _way(error), text)
    if isinstance(error, UnicodeEncodeError):
        # Bodies are UTF-8, headers are not.
        if error.encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
            return Verdict(Action.PAUSE, "invalid_key", error.reason)
        return Verdict(Action.BISECT, "unencodable_text", error.reason)
    raise TypeError(f"{type(error).__name__} is not an error of Supabase") from error


def _way(error: BaseException) -> str:
    """What failed on the way, as far as one can tell."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "tls"
        if isinstance(cause, socket.gaierror):
            return "dns"
        cause = cause.__cause__ or cause.__context__
    return "network"


def error_class(error: Exception) -> ErrorClass:
    """The class of an error that is in ``EXPECTED``."""
    verdict = classify(error)
    code = verdict.code
    if code.isdigit() and len(code) == 3:
        return _CLASS_OF_STATUS.get(
            int(code), ErrorClass.SERVER if code >= "500" else ErrorClass.ANSWER
        )
    for prefixes, found in _CLASS_OF_CODE:
        if code.startswith(prefixes):
            return found
    return ErrorClass.DATA if verdict.action is Action.BISECT else ErrorClass.SERVER


_CLASS_OF_STATUS: dict[int, ErrorClass] = {
    **dict.fromkeys((401, 402, 403, 540), ErrorClass.ACCESS),
    **dict.fromkeys((408, 504, 524), ErrorClass.TIMEOUT),
    **dict.fromkeys((409, 425, 429), ErrorClass.BUSY),
    413: ErrorClass.DATA,
}
# The first that fits decides.
_CLASS_OF_CODE: tuple[tuple[tuple[str, ...], ErrorClass], ...] = (
    (("network", "dns", "tls"), ErrorClass.NETWORK),
    (("timeout", "57014"), ErrorClass.TIMEOUT),
    (("53", "55", "40", "PGRST003"), ErrorClass.BUSY),
    (("28", "42501", "25006", "PGRST3", "invalid_key"), ErrorClass.ACCESS),
    ((MIGRATION_REQUIRED, "42", "3F", "0A", "PGRST2"), ErrorClass.SCHEMA),
    (("unexpected_answer", ANSWER_TOO_LARGE, "invalid_url", "redirected"), ErrorClass.ANSWER),
)


def _from_postgrest(error: APIError) -> SupabaseError:
    """supabase-py gives the HTTP status as the code when the body has none."""
    code = error.code or ""
    message = (error.message or "")[:500]
    if re.fullmatch("[1-5][0-9]{2}", code):
        return SupabaseError(int(code), message=message)
    return SupabaseError(0, code=known_code(code), message=message)


def _refusal(error: SupabaseError) -> Verdict:
    action = _by_code(error.code) or _by_status(error.status)
    if error.status == 413:
        return Verdict(Action.SPLIT, TOO_LARGE, error.message, final=not error.page)
    if error.code in _SCHEMA_CODES:
        return Verdict(Action.PAUSE, MIGRATION_REQUIRED, f"{error.code}: {error.message}")
    if error.code is None and 200 <= error.status < 300:
        return Verdict(Action.PAUSE, "unexpected_answer", error.message)
    if error.code is None and 300 <= error.status < 400:
        return Verdict(Action.PAUSE, "redirected", f"HTTP {error.status}")
    code = error.code or str(error.status)
    return Verdict(action, code, error.message, error.retry_after)


def _by_code(code: str | None) -> Action | None:
    if code is None or not _CODE.fullmatch(code):
        return None
    for length in range(len(code), 1, -1):
        action = _BY_CODE.get(code[:length])
        if action is not None:
            return action
    return None


def _by_status(status: int) -> Action:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    # Redirects and unknown 4xx: another service answers. 5xx and anything else passes.
    return Action.PAUSE if 300 <= status < 500 else Action.RETRY
