"""The key file: what is kept of an API key, how it is written, who may write it at a time."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from runtime.errors import Unavailable, ZapvisorError

from .principal import EVERYTHING, Permission, Principal, Role

_VERSION = 2
_LOCK_SECONDS = 5.0

Signature = tuple[int, int, int]


class KeyFileUnreadable(ZapvisorError):
    """The key file exists but makes no sense; it is never replaced silently."""

    code = "api_keys_unreadable"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A credential as it is kept: ``digest`` is the SHA-256 of the plaintext, in hex."""

    id: str
    name: str
    digest: str
    created_at: str
    role: Role = Role.ADMIN
    permissions: frozenset[Permission] = EVERYTHING
    owner_id: UUID | None = None
    connection_id: str | None = None
    expires_at: datetime | None = None
    rate_per_minute: int | None = None

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and now >= self.expires_at

    def principal(self) -> Principal:
        """Who calls with this key."""
        return Principal(
            id=f"key:{self.id}",
            name=self.name,
            role=self.role,
            permissions=self.permissions,
            owner_id=self.owner_id,
            connection_id=self.connection_id,
            rate_per_minute=self.rate_per_minute,
            expires_at=self.expires_at,
            digest=self.digest,
        )


def signature(path: Path) -> Signature | None:
    """Changes whenever the file does; None when there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def read(path: Path) -> list[ApiKey]:
    """The keys in the file, none when there is no file. Raises KeyFileUnreadable."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return [_key(entry) for entry in document["keys"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyFileUnreadable(
            f"O arquivo de chaves {path} não pode ser lido; corrija-o ou apague-o para gerar "
            "uma nova chave."
        ) from error


def _key(entry: dict[str, Any]) -> ApiKey:
    owner, expires = entry.get("ownerId"), entry.get("expiresAt")
    key = ApiKey(
        id=str(entry["id"]),
        name=str(entry["name"]),
        digest=str(entry["sha256"]),
        created_at=str(entry["createdAt"]),
        role=Role(entry.get("role", Role.ADMIN)),
        permissions=frozenset(Permission(one) for one in entry.get("permissions", EVERYTHING)),
        owner_id=None if owner is None else UUID(owner),
        connection_id=entry.get("connectionId"),
        expires_at=None if expires is None else datetime.fromisoformat(expires).astimezone(UTC),
        rate_per_minute=entry.get("ratePerMinute"),
    )
    # A scope that lost its subject must not widen.
    if (key.role is not Role.ADMIN and key.owner_id is None) or (
        key.role is Role.CONNECTION and key.connection_id is None
    ):
        raise ValueError(f"key {key.id} has no scope")
    return key


def _entry(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "sha256": key.digest,
        "createdAt": key.created_at,
        "role": key.role.value,
        "permissions": sorted(key.permissions),
        "ownerId": None if key.owner_id is None else str(key.owner_id),
        "connectionId": key.connection_id,
        "expiresAt": None if key.expires_at is None else key.expires_at.isoformat(),
        "ratePerMinute": key.rate_per_minute,
    }


def write(path: Path, keys: Sequence[ApiKey]) -> None:
    """Replace the file atomically: a crash leaves the old one or the new one, never half."""
    replace(path, {"version": _VERSION, "keys": [_entry(key) for key in keys]}, durable=True)


def replace(path: Path, document: Any, *, durable: bool) -> None:
    """Write JSON that only this account can read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """The only writer, among all processes. Raises Unavailable after ``_LOCK_SECONDS``."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() > deadline:
                raise Unavailable("O arquivo de chaves está em uso.", code="api_keys_busy")
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)
