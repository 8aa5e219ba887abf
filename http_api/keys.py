"""API keys: made on the first run, shown once, kept only as SHA-256 hashes.

A key is 256 random bits, so a plain hash is as good as a slow one: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runtime.errors import ZapvisorError
from runtime.settings import Settings

FILE_NAME = "api_keys.json"
MINIMUM_LENGTH = 16  # of a key chosen by the operator
_VERSION = 1


class KeyFileUnreadable(ZapvisorError):
    """The key file exists but makes no sense; it is never replaced silently."""

    code = "api_keys_unreadable"


class KeyTooShort(ZapvisorError):
    """``ZAPVISOR_API_KEY`` could be guessed."""

    code = "api_key_too_short"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A credential as it is kept: ``digest`` is the SHA-256 of the plaintext, in hex."""

    id: str
    name: str
    digest: str
    created_at: str


class KeyStore:
    """The keys that are accepted now."""

    def __init__(self, keys: list[ApiKey]) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def ensure(cls, settings: Settings) -> str | None:
        """See that there is a key to get in with.

        Returns the plaintext when it was generated just now, for the caller to show once;
        None when there is a key already or ``ZAPVISOR_API_KEY`` sets it. Blocking file I/O.
        """
        if settings.api_key is not None or _path(settings).exists():
            cls.load(settings)
            return None
        plaintext = f"zv_{secrets.token_urlsafe(32)}"
        key = ApiKey(
            id=secrets.token_hex(8),
            name="default",
            digest=_digest(plaintext),
            created_at=datetime.now(UTC).isoformat(),
        )
        _write(_path(settings), [key])
        return plaintext

    @classmethod
    def load(cls, settings: Settings) -> KeyStore:
        """The keys in force; ``ZAPVISOR_API_KEY`` replaces those of the file. Blocking file I/O.

        Raises KeyTooShort or KeyFileUnreadable.
        """
        if settings.api_key is not None:
            plaintext = settings.api_key.get_secret_value()
            if len(plaintext) < MINIMUM_LENGTH:
                raise KeyTooShort(
                    f"ZAPVISOR_API_KEY deve ter pelo menos {MINIMUM_LENGTH} caracteres."
                )
            return cls([ApiKey("environment", "ZAPVISOR_API_KEY", _digest(plaintext), "")])
        return cls(_read(_path(settings)))

    def verify(self, credential: str | bytes) -> ApiKey | None:
        """The key that ``credential`` is the plaintext of; constant time, whoever asks."""
        digest = _digest(credential)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found


def _path(settings: Settings) -> Path:
    return settings.data_dir / FILE_NAME


def _digest(plaintext: str | bytes) -> str:
    raw = plaintext.encode("utf-8", "surrogateescape") if isinstance(plaintext, str) else plaintext
    return hashlib.sha256(raw).hexdigest()


def _read(path: Path) -> list[ApiKey]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return [
            ApiKey(
                id=str(entry["id"]),
                name=str(entry["name"]),
                digest=str(entry["sha256"]),
                created_at=str(entry["createdAt"]),
            )
            for entry in document["keys"]
        ]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KeyFileUnreadable(
            f"O arquivo de chaves {path} não pode ser lido; corrija-o ou apague-o para gerar "
            "uma nova chave."
        ) from error


def _write(path: Path, keys: list[ApiKey]) -> None:
    """Replace the file atomically: a crash leaves the old one or the new one, never half."""
    document = {
        "version": _VERSION,
        "keys": [
            {"id": key.id, "name": key.name, "sha256": key.digest, "createdAt": key.created_at}
            for key in keys
        ],
    }
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
