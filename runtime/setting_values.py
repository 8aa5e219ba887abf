"""What a setting's value may be: cleaned of what people and tools put around it, then judged.

Raises ValueError with a sentence that says what is wrong with a value and never repeats it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from ipaddress import ip_address
from urllib.parse import unquote

import httpx

# Straight and typographic, single and double, of every handedness; full-width ones, too.
_QUOTES = (
    "\"'`\u00b4\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u201b\u00ab\u00bb\u2039\u203a\uff02\uff07"
)
_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_BROKEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs"})
_HOST_NAME = re.compile(
    r"(?=.{1,253}\.?\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
    r"(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)
_NO_SERVICE = frozenset({"anon", "authenticated"})
_DATABASE_SCHEMES = ("postgresql://", "postgres://")


def cleaned(value: str) -> str:
    """The value without the white space, invisible characters and quotes around it."""
    while True:
        bare = _without_unseen(value)
        if len(bare) > 1 and bare[0] in _QUOTES and bare[-1] in _QUOTES:
            bare = bare[1:-1]
        elif bare == value:
            return "" if value in _QUOTES else value
        value = bare


def _without_unseen(value: str) -> str:
    first, last = 0, len(value)
    while first < last and unicodedata.category(value[first]) in _UNSEEN:
        first += 1
    while first < last and unicodedata.category(value[last - 1]) in _UNSEEN:
        last -= 1
    return value[first:last]


def one_line(value: str) -> str:
    """Anything that a person can read on one line."""
    if any(unicodedata.category(one) in _BROKEN for one in value):
        raise ValueError("it has a line break or an invisible character inside")
    return value


def key(value: str) -> str:
    """A key: printable ASCII in one piece. A single quote mark at an end is a slip, too."""
    value = one_line(value.strip(_QUOTES))
    if any(one.isspace() for one in value):
        raise ValueError("it has white space inside")
    if not value.isascii():
        raise ValueError("it has characters that no key has (not ASCII)")
    return value


def own_key(value: str) -> str:
    """An API key that an operator made up: any characters that are seen, in one piece."""
    value = one_line(value.strip(_QUOTES))
    if any(one.isspace() for one in value):
        raise ValueError("it has white space inside")
    if any(one in _QUOTES[2:] for one in value):
        raise ValueError("it has a typographic quotation mark inside")
    return value


def service_key(value: str) -> str:
    """A key of a Supabase project that may everything; not the one for browsers."""
    value = key(value)
    if value.startswith("sb_publishable_"):
        raise ValueError("it is a publishable key; the secret key (sb_secret_…) is needed")
    if _role(value) in _NO_SERVICE:
        raise ValueError(f"it is a key of the role {_role(value)}; that of service_role is needed")
    if "://" in value:
        raise ValueError("it is an address, not a key")
    return value


def _role(token: str) -> str | None:
    """The claim ``role`` of a JSON Web Token; None for what is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    role = claims.get("role") if isinstance(claims, dict) else None
    return role if isinstance(role, str) else None


def signing_secret(value: str) -> str:
    """What signs tokens: any text in ASCII; not a token that was signed with it."""
    if not one_line(value).isascii():
        raise ValueError("it has characters that no secret of Supabase has (not ASCII)")
    if _role(value) is not None:
        raise ValueError("it is a key; the JWT secret that signs the keys is needed")
    return value


def port(value: str) -> str:
    """The number of a TCP port; 0 takes a free one."""
    if re.fullmatch(r"[0-9]{1,5}", value) is None or int(value) > 65535:
        raise ValueError("it is no port (a whole number from 0 to 65535)")
    return value


def host(value: str) -> str:
    """A name or an IP address, without a port."""
    bare = value.removeprefix("[").removesuffix("]")
    try:
        ip_address(bare)
    except ValueError:
        if _HOST_NAME.fullmatch(value) is None or re.fullmatch(r"[0-9.]+", value):
            raise ValueError(
                "it is neither a host name nor an IP address (the port is a setting of its own)"
            ) from None
        return value
    return bare


def host_with_port(value: str) -> tuple[str, int]:
    """``host:port``, an IPv6 address in brackets."""
    name, _, number = value.rpartition(":")
    if int(port(number)) == 0:
        raise ValueError("a port is missing")
    return host(name).lower(), int(number)


def web_address(value: str, example: str, *, path: bool = False) -> str:
    """An http(s) address of a server, without a slash at its end; ``path``: with one, too."""
    value = value.strip(_QUOTES)
    if re.match(r"https?://", value, re.IGNORECASE) is None:
        raise ValueError(f"it must begin with https:// ({example})")
    try:
        url = httpx.URL(key(value))
        number = url.port
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise ValueError(f"it is no address ({example})") from None
    if url.userinfo or "@" in value:
        raise ValueError(f"it must not hold a user or password ({example})")
    if "?" in value or "#" in value or (not path and url.path.strip("/")):
        raise ValueError(f"it must end after the host: no path, no ? and no # ({example})")
    host(url.host)
    if number is not None and number > 65535:
        raise ValueError("its port is none")
    return str(url).rstrip("/")


def origin(value: str) -> str:
    """What a browser names as the origin of a page; ``*`` for all."""
    found = re.fullmatch(r"([a-z][a-z0-9+.-]*://)([^\s/?#@]+)/?", key(value), re.IGNORECASE)
    if value == "*":
        return value
    if found is None:
        raise ValueError("an origin in it is none (scheme://host or scheme://host:port)")
    return (found[1] + found[2]).lower()


def database_address(value: str) -> str:
    """A PostgreSQL connection string, as libpq reads it without doubt."""
    value = one_line(value)
    scheme = next((one for one in _DATABASE_SCHEMES if value.startswith(one)), None)
    if scheme is None:
        if re.match(r"\w+\s*=", value):
            return value  # keywords and values
        raise ValueError("it must begin with postgresql:// (Project Settings, Database)")
    rest = value.removeprefix(scheme)
    login, at, _ = rest.rpartition("@")
    if at and re.search(r"[@/\s]", login):
        raise ValueError(
            "its user or password has a character that must be written in percent-encoding "
            "(@ as %40, / as %2F, a space as %20)"
        )
    if re.search(r"%(?![0-9A-Fa-f]{2})", rest):
        raise ValueError("a % in it must be written as %25")
    return value


def passwords(address: str) -> list[str]:
    """What must never be shown of a connection string, however badly it is written."""
    login = address.partition("://")[2].rpartition("@")[0]
    found = [login.partition(":")[2]] if "://" in address else []
    found += re.findall(r"\bpassword\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&]+)", address)
    found = [one.strip("'") for one in found if one]
    return [*found, *map(unquote, found)]
