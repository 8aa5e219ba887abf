"""API keys: made on the first run or by an admin, shown once, kept only as SHA-256 hashes.

A key is 256 random bits, so a plain hash is as good as a slow one: there is nothing to guess.
The file belongs to whoever holds its lock: a running server notices what the command line does.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import trio

from runtime.errors import Conflict, Invalid, NotFound, ZapvisorError
from runtime.settings import Settings

from . import key_file
from .key_file import ApiKey, KeyFileUnreadable
from .principal import EVERYTHING, Permission, Principal, Role

logger = logging.getLogger("zapvisor.http")

FILE_NAME = "api_keys.json"
USED_FILE_NAME = "api_keys_used.json"
MINIMUM_LENGTH = 16  # of a key chosen by the operator
MAX_KEYS = 1000
USED_INTERVAL = 60.0  # seconds between two writings of when keys were used
USED_DEADLINE = 2.0
ENVIRONMENT = "environment"


class KeyTooShort(ZapvisorError):
    """``ZAPVISOR_API_KEY`` could be guessed."""

    code = "api_key_too_short"


@dataclass(frozen=True, slots=True)
class KeyScope:
    """What a new key is for.

    Attributes:
        owner_id: required by the roles owner and connection, None for an admin.
        connection_id: required by the role connection, None for the others.
        rate_per_minute: requests; None is unlimited.
    """

    name: str
    role: Role = Role.ADMIN
    permissions: frozenset[Permission] = EVERYTHING
    owner_id: UUID | None = None
    connection_id: str | None = None
    expires_at: datetime | None = None
    rate_per_minute: int | None = None


class KeyStore:
    """The keys that are accepted now.

    Blocking, for a thread: ``ensure``, ``load``, ``create``, ``rotate``, ``revoke``.
    """

    def __init__(
        self,
        keys: list[ApiKey] | tuple[ApiKey, ...] = (),
        *,
        path: Path | None = None,
        environment: ApiKey | None = None,
    ) -> None:
        self._keys = tuple(keys)
        self._environment = environment
        self._path = path
        self._signature: key_file.Signature | None = None
        self._used: dict[str, datetime] = {}
        self._saved: dict[str, datetime] = {}

    def __len__(self) -> int:
        return len(self.all())

    @classmethod
    def ensure(cls, settings: Settings) -> str | None:
        """See that there is a key to get in with.

        Returns the plaintext when it was generated just now, for the caller to show once;
        None when there is a key already or ``ZAPVISOR_API_KEY`` sets it. Blocking file I/O.
        """
        store = cls.load(settings)
        if settings.api_key is not None or _path(settings).exists():
            return None
        return store.create(KeyScope("default"))[1]

    @classmethod
    def load(cls, settings: Settings) -> KeyStore:
        """The keys in force: those of the file, and ``ZAPVISOR_API_KEY`` as an admin's.

        Blocking file I/O. Raises KeyTooShort or KeyFileUnreadable.
        """
        environment = None
        if settings.api_key is not None:
            plaintext = settings.api_key.get_secret_value()
            if len(plaintext) < MINIMUM_LENGTH:
                raise KeyTooShort(
                    f"ZAPVISOR_API_KEY deve ter pelo menos {MINIMUM_LENGTH} caracteres."
                )
            environment = ApiKey(ENVIRONMENT, "ZAPVISOR_API_KEY", _digest(plaintext), "")
        store = cls(path=_path(settings), environment=environment)
        store._read()
        store._used = _read_used(_path(settings).with_name(USED_FILE_NAME))
        store._saved = dict(store._used)
        return store

    # --- who is it

    def verify(self, credential: str | bytes) -> ApiKey | None:
        """The key that ``credential`` is the plaintext of; constant time, whoever asks.

        Also an expired one: to say so is the caller's part.
        """
        digest = _digest(credential)
        found = None
        for key in self.all():
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    async def holds(self, caller: Principal) -> bool:
        """Whether the credential of a caller still counts: not revoked, rotated or expired."""
        if caller.expires_at is not None and caller.expires_at <= datetime.now(UTC):
            return False
        if caller.digest is None:
            return True
        await self.refresh()
        return any(key.digest == caller.digest for key in self.all())

    async def refresh(self) -> None:
        """Take over what another process wrote into the file, if it did."""
        # A stat of a local file takes microseconds, a thread fifty times that.
        if self._path is None or key_file.signature(self._path) == self._signature:
            return
        try:
            await trio.to_thread.run_sync(self._read)
        except KeyFileUnreadable:
            logger.exception("the key file cannot be read: the keys known so far stay in force")
            self._signature = key_file.signature(self._path)

    def mark_used(self, key: ApiKey, now: datetime) -> None:
        """Remember when a key was used; ``keep_used`` brings it to the disk."""
        self._used[key.id] = now

    async def keep_used(self) -> None:
        """Write down now and then when keys were used, and once more when cancelled."""
        try:
            while True:
                await trio.sleep(USED_INTERVAL)
                await self._save_used()
        finally:
            with trio.move_on_after(USED_DEADLINE, shield=True):
                await self._save_used()

    async def _save_used(self) -> None:
        if self._path is None or self._used == self._saved:
            return
        used = dict(self._used)
        document = {one: at.isoformat() for one, at in used.items()}
        path = self._path.with_name(USED_FILE_NAME)
        try:
            await trio.to_thread.run_sync(lambda: key_file.replace(path, document, durable=False))
        except OSError as error:  # a full disk refuses nobody
            logger.warning("cannot remember when keys were used: %s", error.strerror)
        else:
            self._saved = used

    # --- keeping them

    def all(self) -> list[ApiKey]:
        """Every key, that of the environment first."""
        return [*([self._environment] if self._environment else []), *self._keys]

    def last_used(self, key: ApiKey) -> datetime | None:
        """When it was last accepted; None if never."""
        return self._used.get(key.id)

    def create(self, scope: KeyScope) -> tuple[ApiKey, str]:
        """A new key and its plaintext, which is nowhere else. Raises Invalid, Conflict."""
        _check(scope)
        plaintext = _plaintext()
        key = ApiKey(
            id=secrets.token_hex(8),
            name=scope.name,
            digest=_digest(plaintext),
            created_at=datetime.now(UTC).isoformat(),
            role=scope.role,
            permissions=scope.permissions,
            owner_id=scope.owner_id,
            connection_id=scope.connection_id,
            expires_at=scope.expires_at,
            rate_per_minute=scope.rate_per_minute,
        )

        def add(keys: list[ApiKey]) -> list[ApiKey]:
            if len(keys) >= MAX_KEYS:
                raise Conflict(
                    f"Já existem {MAX_KEYS} chaves; revogue as que não servem mais.",
                    code="too_many_keys",
                )
            return [*keys, key]

        self._change(add)
        return key, plaintext

    def rotate(self, key_id: str) -> tuple[ApiKey, str]:
        """Give a key a new secret; the old one ends at once. Raises NotFound, Conflict."""
        plaintext = _plaintext()
        self._change(
            lambda keys: [
                replace(key, digest=_digest(plaintext)) if key.id == key_id else key
                for key in _with(keys, key_id)
            ]
        )
        return next(key for key in self._keys if key.id == key_id), plaintext

    def revoke(self, key_id: str) -> ApiKey:
        """End a key at once. Raises NotFound, Conflict (that of the environment)."""
        revoked: list[ApiKey] = []

        def remove(keys: list[ApiKey]) -> list[ApiKey]:
            revoked.extend(key for key in _with(keys, key_id) if key.id == key_id)
            return [key for key in keys if key.id != key_id]

        self._change(remove)
        return revoked[0]

    def _change(self, change: Callable[[list[ApiKey]], list[ApiKey]]) -> None:
        if self._path is None:
            self._keys = tuple(change(list(self._keys)))
            return
        with key_file.locked(self._path):
            key_file.write(self._path, change(key_file.read(self._path)))
            self._read()

    def _read(self) -> None:
        assert self._path is not None
        found = key_file.signature(self._path)  # before: a later change is then noticed
        self._keys = tuple(key_file.read(self._path))
        self._signature = found


def _with(keys: list[ApiKey], key_id: str) -> list[ApiKey]:
    if key_id == ENVIRONMENT:
        raise Conflict(
            "Esta chave vem de ZAPVISOR_API_KEY; mude a variável e reinicie.",
            code="key_from_environment",
        )
    if all(key.id != key_id for key in keys):
        raise NotFound("Não existe chave com este id.", code="key_not_found")
    return keys


def _check(scope: KeyScope) -> None:
    problems = []
    if (scope.owner_id is None) is not (scope.role is Role.ADMIN):
        problems.append("ownerId")
    if (scope.connection_id is None) is (scope.role is Role.CONNECTION):
        problems.append("connectionId")
    if problems:
        raise Invalid(
            "Uma chave admin não tem ownerId nem connectionId; owner exige ownerId; connection "
            "exige ownerId e connectionId.",
            code="invalid_key_scope",
            details=problems,
        )
    if not scope.permissions:
        raise Invalid("Uma chave precisa de ao menos uma permissão.", code="invalid_key_scope")
    if scope.expires_at is not None and scope.expires_at <= datetime.now(UTC):
        raise Invalid("A validade da chave já passou.", code="invalid_key_expiry")


def _path(settings: Settings) -> Path:
    return settings.data_dir / FILE_NAME


def _plaintext() -> str:
    return f"zv_{secrets.token_urlsafe(32)}"


def _digest(plaintext: str | bytes) -> str:
    raw = plaintext.encode("utf-8", "surrogateescape") if isinstance(plaintext, str) else plaintext
    return hashlib.sha256(raw).hexdigest()


def _read_used(path: Path) -> dict[str, datetime]:
    """When keys were used, as far as it is known: nothing depends on it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {str(one): datetime.fromisoformat(at) for one, at in document.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


__all__ = ["ApiKey", "KeyFileUnreadable", "KeyScope", "KeyStore", "KeyTooShort"]
