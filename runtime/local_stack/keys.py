"""The secrets of the local stack, generated once, and the JWTs made from them.

The same kinds that a Supabase project has: HS256 tokens with the claim ``role``, which PostgREST
turns into the PostgreSQL role, and ``sub``, which ``auth.uid()`` returns.
"""

from __future__ import annotations

import json
import os
import secrets
import time
import uuid
from dataclasses import dataclass, fields
from pathlib import Path

import jwt

from ..redaction import SECRETS

FILE_NAME = "secrets.json"
# Keys of a project are valid for ten years, tokens of end users for an hour.
KEY_LIFETIME = 10 * 365 * 24 * 3600
USER_TOKEN_LIFETIME = 3600


@dataclass(frozen=True, slots=True)
class Keys:
    """What ``secrets.json`` holds. Its ``repr`` shows nothing."""

    jwt_secret: str
    authenticator_password: str
    anon_key: str
    service_role_key: str

    def __repr__(self) -> str:
        return "Keys(…)"

    def user_token(self, owner_id: uuid.UUID) -> str:
        """A token as Supabase Auth gives it to a signed-in user, valid for an hour."""
        now = int(time.time())
        claims = {
            "aud": "authenticated",
            "role": "authenticated",
            "sub": str(owner_id),
            "iat": now,
            "exp": now + USER_TOKEN_LIFETIME,
        }
        return jwt.encode(claims, self.jwt_secret, algorithm="HS256")


def load_or_create(directory: Path) -> Keys:
    """The keys in ``directory``, which must exist; they are generated on the first call.

    Raises OSError, and ValueError if the file was damaged.
    """
    path = directory / FILE_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return _known(Keys(**{field.name: str(content[field.name]) for field in fields(Keys)}))
    except FileNotFoundError:
        pass
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{path} is damaged; remove it and new keys will be made") from None
    keys = _generate()
    _write_secret(path, json.dumps({f.name: getattr(keys, f.name) for f in fields(Keys)}, indent=2))
    return _known(keys)


def _known(keys: Keys) -> Keys:
    """The same keys, which no log shows from now on."""
    for field in fields(Keys):
        SECRETS.learn(getattr(keys, field.name))
    return keys


def _generate() -> Keys:
    jwt_secret = secrets.token_urlsafe(48)
    now = int(time.time())

    def key(role: str) -> str:
        claims = {"iss": "zapvisor", "role": role, "iat": now, "exp": now + KEY_LIFETIME}
        return jwt.encode(claims, jwt_secret, algorithm="HS256")

    return Keys(
        jwt_secret=jwt_secret,
        authenticator_password=secrets.token_urlsafe(32),
        anon_key=key("anon"),
        service_role_key=key("service_role"),
    )


def _write_secret(path: Path, text: str) -> None:
    """Whole or not at all, and never readable by others."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
