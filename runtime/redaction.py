"""What no log shows: the values of secrets, however an error's text spells them.

An exception quotes what it met: as it is, as a ``repr``, escaped for JSON or a URL, in base64, cut
off somewhere. `Redactor` knows the secrets of this process by every run of `PIECE` characters of
every such spelling; what looks like a secret is hidden without being known.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

# Variables that hold the runtime's own secrets: never passed on to a child process.
SECRET_VARIABLES = frozenset(
    {
        "SUPABASE_SECRET_KEY",
        "SUPABASE_SERVICE_ROLE_KEY",
        "SUPABASE_JWT_SECRET",
        "SUPABASE_DB_URL",
        "ZAPVISOR_API_KEY",
    }
)
MARK = "[secret]"
PIECE = 12
"""So many characters of a secret in a row are never shown."""
SHORTEST = 6
"""A shorter secret would make other words unreadable; what it stands in is hidden by its shape."""

_SHAPES = re.compile(
    r"""
    \beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?         # a JSON Web Token
    | \bsb_secret_[\w-]+ | \bzv_[\w-]{20,} | \bwhsec_[\w+/=-]+
    | (?<=postgres://)[^\s:@"']*:[^\s"']*(?=@) | (?<=postgresql://)[^\s:@"']*:[^\s"']*(?=@)
    | (?<=://)[^\s/:@"']*:[^\s/"']+(?=@)        # user:password@ of any other address
    | (?<=\bpassword=)(?:'(?:[^'\\]|\\.)*'|[^\s'"&]+)
    | (?<=\bBearer[ ])[\w.~+/=-]{16,} | (?<=\bBasic[ ])[\w+/=-]{16,}
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Redactor:
    """Secrets to hide. ``learn`` them before anything can go wrong with them."""

    def __init__(self) -> None:
        self._pieces: set[str] = set()
        self._short: set[str] = set()
        self._short_words: re.Pattern[str] | None = None

    def learn(self, secret: str) -> None:
        """Hide ``secret`` from now on, in every spelling."""
        for form in _spellings(secret):
            if len(form) >= PIECE:
                self._pieces.update(form[at : at + PIECE] for at in range(len(form) - PIECE + 1))
            elif len(form) >= SHORTEST:
                self._short.add(form)
        if self._short:
            words = "|".join(map(re.escape, sorted(self._short, key=len, reverse=True)))
            self._short_words = re.compile(rf"(?<!\w)(?:{words})(?!\w)")

    def redact(self, text: str) -> str:
        """The text with `MARK` in the place of every secret."""
        text = self._without_known(text)
        if self._short_words is not None:
            text = self._short_words.sub(MARK, text)
        return _SHAPES.sub(MARK, text)

    def _without_known(self, text: str) -> str:
        if not self._pieces:
            return text
        kept: list[str] = []
        shown = hidden = 0  # up to where the text was looked at, and up to where it is a secret
        for at in range(len(text) - PIECE + 1):
            if text[at : at + PIECE] in self._pieces:
                if at > hidden or not kept:
                    kept += [text[shown:at], MARK]
                shown = hidden = at + PIECE
        return "".join([*kept, text[shown:]])


def _spellings(secret: str) -> Iterator[str]:
    """The secret as error texts may quote it."""
    for value in {secret, secret.strip()}:
        raw = value.encode("utf-8", "surrogateescape")
        yield value
        yield repr(value)[1:-1]
        yield str(raw)[2:-1]
        yield json.dumps(value)[1:-1]
        for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
            yield quoted
            yield re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)
        yield raw.hex()
        for shift in range(3):  # what stands before it decides how its bytes fall into base64
            coded = base64.b64encode(bytes(shift) + raw).decode().rstrip("=")
            whole = coded[(shift * 8 + 5) // 6 : len(coded) - (1 if len(raw) else 0)]
            yield whole
            yield whole.replace("+", "-").replace("/", "_")


SECRETS = Redactor()
"""Those of this process; the settings and the local stack tell theirs as they are read."""
