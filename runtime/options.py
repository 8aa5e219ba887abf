"""What each connection can be told to do, and how that is checked and shown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from .errors import Invalid
from .journal import Connection

PROXY_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_USERINFO = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*")


class _Part(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True
    )


class Pacing(_Part):
    """How fast messages go out; each pause is lengthened by up to ``jitter_ms`` at random."""

    min_interval_ms: int = Field(default=0, ge=0, le=600_000)
    per_minute: int | None = Field(default=None, ge=1, le=6000)
    jitter_ms: int = Field(default=0, ge=0, le=60_000)


class History(_Part):
    """How much of the phone's history is imported when it is paired."""

    days: int = Field(default=7, ge=1, le=365)
    max_messages: int = Field(default=500, ge=1, le=20_000)


class Options(_Part):
    """The options of one connection.

    Attributes:
        store_groups: whether messages of groups become rows.
        reject_calls: whether calls are rejected at once.
        always_online: whether the number is shown as online while connected.
        read_automatically: whether customers see their messages as read when they arrive.
        proxy: ``http``, ``https``, ``socks5`` or ``socks5h`` URL for the way to WhatsApp.
        proxy_by_admin: whether an admin chose it, who may choose any address; never shown.
        pacing: None sends as fast as WhatsApp takes it.
        history: None imports nothing.
    """

    store_groups: bool = False
    reject_calls: bool = False
    always_online: bool = False
    read_automatically: bool = False
    proxy: str | None = Field(default=None, max_length=512)
    proxy_by_admin: bool = False
    pacing: Pacing | None = None
    history: History | None = None

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, value: str | None) -> str | None:
        return None if value is None else check_proxy(value)

    @classmethod
    def of(cls, connection: Connection) -> Options:
        """Those of a connection, as remembered."""
        return cls.model_validate(connection.options)

    def changed(self, changes: Mapping[str, Any], *, by_admin: bool = False) -> Options:
        """With some of them set anew; None puts one back to its default. Raises Invalid."""
        merged = {**self.stored(), **changes}
        merged["proxyByAdmin"] = by_admin if "proxy" in changes else self.proxy_by_admin
        try:
            return Options.model_validate(
                {name: value for name, value in merged.items() if value is not None}
            )
        except ValidationError as error:
            fields = [
                {"field": ".".join(["options", *map(str, one["loc"])]), "message": one["msg"]}
                for one in error.errors(include_url=False, include_input=False)
            ]
            raise Invalid(
                "As opções da conexão têm valores inválidos.",
                code="invalid_options",
                details=fields,
            ) from None

    def stored(self) -> dict[str, Any]:
        """As the registry keeps them."""
        return self.model_dump(by_alias=True, mode="json")

    def shown(self) -> dict[str, Any]:
        """As the API shows them: a proxy without its password."""
        shown = self.stored()
        del shown["proxyByAdmin"]
        if self.proxy is not None:
            shown["proxy"] = mask_proxy(self.proxy)
        return shown

    def bridge(self, proxy_addresses: Sequence[str]) -> dict[str, Any]:
        """The part that the bridge acts on; a proxy is used at these addresses only."""
        return {
            "rejectCalls": self.reject_calls,
            "alwaysOnline": self.always_online,
            "readAutomatically": self.read_automatically,
            "storeGroups": self.store_groups,
            "proxy": self.proxy,
            "proxyAddresses": list(proxy_addresses),
            "history": None
            if self.history is None
            else {"days": self.history.days, "maxMessages": self.history.max_messages},
        }


def check_proxy(value: str) -> str:
    """The URL of a proxy in its plainest spelling, or ValueError saying what is wrong with it."""
    if any(character.isspace() or not character.isprintable() for character in value):
        raise ValueError("proxy must not contain spaces")
    parts = urlsplit(value)
    if parts.scheme not in PROXY_SCHEMES:
        raise ValueError(f"proxy must begin with one of {', '.join(sorted(PROXY_SCHEMES))}")
    if not parts.hostname or not parts.port or not _is_host(parts.hostname):
        raise ValueError("proxy must name a host and a port")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("proxy must not have a path")
    userinfo, at, _ = parts.netloc.rpartition("@")
    try:
        unquote(userinfo, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("proxy must have its credentials in UTF-8") from None
    if not _USERINFO.fullmatch(userinfo):
        raise ValueError("proxy must have its credentials percent-encoded")
    return f"{parts.scheme}://{userinfo}{at}{_bracketed(parts.hostname)}:{parts.port}"


def _is_host(name: str) -> bool:
    """A name, or an address in the usual spelling: what looks like a number has to be one."""
    if ":" in name or _NUMBER.fullmatch(name.rpartition(".")[2]):
        try:
            return "%" not in name and bool(ip_address(name))
        except ValueError:
            return False
    return _HOST.fullmatch(name) is not None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def mask_proxy(value: str) -> str:
    """The same URL with ``***`` in place of the credentials."""
    parts = urlsplit(value)
    credentials = "***@" if parts.username or parts.password else ""
    return f"{parts.scheme}://{credentials}{_bracketed(parts.hostname or '')}:{parts.port}"
