"""Access tokens of end users, as Supabase Auth signs them: HS256, ES256 or RS256.

The algorithm is pinned by the key, never by the token: HS256 only with the project's secret, ES256
only with an EC key and RS256 only with an RSA key of its published key set.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import jwt
import trio
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from runtime.settings import Settings

from .managers import Managers
from .principal import EVERYTHING, Permission, Principal, Role

logger = logging.getLogger("zapvisor.http")

AUDIENCE = "authenticated"
LEEWAY = 30  # seconds that two clocks may differ
MAX_TOKEN = 8192  # characters
JWKS_PATH = "/auth/v1/.well-known/jwks.json"
KEYS_FRESH = 600.0  # seconds after which the key set is fetched again
FETCH_INTERVAL = 30.0  # seconds between two attempts, whatever tokens claim
FETCH_SECONDS = 5.0
MAX_KEY_SET = 256 * 1024  # bytes
MIN_RSA_BITS = 2048

_CLAIMS: Any = {"require": ["exp", "aud", "sub"], "strict_aud": False}


class InvalidToken(Exception):
    """Not a token of this project's users."""


class ExpiredToken(InvalidToken):
    """It was one."""


class KeySetUnavailable(Exception):
    """The project's keys cannot be fetched, so nothing can be said about the token."""


@dataclass
class KeySet:
    """The published keys of a project, fetched when needed, at most every ``FETCH_INTERVAL``."""

    url: str
    transport: httpx.AsyncBaseTransport | None = None
    _keys: Mapping[str, Any] = field(default_factory=dict)
    _fetched: float = -math.inf
    _attempted: float = -math.inf
    _fetching: trio.Lock = field(default_factory=trio.Lock)

    async def key(self, kid: str, algorithm: str) -> Any:
        """The public key with this id that signs by ``algorithm``.

        Raises InvalidToken, or KeySetUnavailable when no key set was ever had.
        """
        if self._needs_fetch(kid):
            async with self._fetching:
                if self._needs_fetch(kid):
                    await self._fetch()
        if self._fetched == -math.inf:
            raise KeySetUnavailable
        found = self._keys.get(kid)
        if found is None or _algorithm_of(found) != algorithm:
            raise InvalidToken("no such key")
        return found

    def _needs_fetch(self, kid: str) -> bool:
        now = trio.current_time()
        if now - self._attempted < FETCH_INTERVAL:
            return False
        return kid not in self._keys or now - self._fetched >= KEYS_FRESH

    async def _fetch(self) -> None:
        self._attempted = trio.current_time()
        try:
            with trio.fail_after(FETCH_SECONDS):
                self._keys = _parse(await self._download())
        except (httpx.HTTPError, ValueError, trio.TooSlowError) as error:
            # Keys known already stay good: an outage of Auth signs nobody out.
            logger.warning("cannot fetch the keys of Supabase Auth: %s", type(error).__name__)
            return
        self._fetched = trio.current_time()

    async def _download(self) -> bytes:
        body = bytearray()
        async with (
            httpx.AsyncClient(transport=self.transport, follow_redirects=False) as client,
            client.stream("GET", self.url) as response,
        ):
            if response.status_code != 200:
                raise ValueError(f"status {response.status_code}")
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_KEY_SET:
                    raise ValueError("too large")
        return bytes(body)


def _parse(document: bytes) -> dict[str, Any]:
    content = json.loads(document)
    if not isinstance(content, dict) or not isinstance(content.get("keys"), list):
        raise ValueError("no key set")  # noqa: TRY004 - what arrived is a value, not an argument
    keys = {}
    for one in content["keys"]:
        if not isinstance(one, dict) or not isinstance(one.get("kid"), str):
            continue
        if one.get("kty") not in ("EC", "RSA") or one.get("use", "sig") != "sig":
            continue
        try:
            key = jwt.PyJWK.from_dict(one).key
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        if _algorithm_of(key) is not None:
            keys[one["kid"]] = key
    return keys


def _algorithm_of(key: object) -> str | None:
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return "RS256"
    return None


class TokenVerifier:
    """Tells whose token it is.

    Args:
        secret: of HS256; None accepts no such token.
        keys: the published key set; None accepts no token signed by a key pair.
        rate_per_minute: of requests of each user.
        managers: who of the users may ``manage``.
    """

    def __init__(
        self,
        secret: str | None = None,
        keys: KeySet | None = None,
        *,
        rate_per_minute: int | None = None,
        managers: Managers | None = None,
    ) -> None:
        self._managers = managers or Managers()
        self._secret = secret or None
        self._keys = keys
        self._rate = rate_per_minute

    @classmethod
    def of(cls, settings: Settings, secret: str | None, rate_per_minute: int) -> TokenVerifier:
        """For a project, or (without one) for the local stack, which publishes no keys."""
        keys = None
        if settings.supabase_url is not None:
            keys = KeySet(settings.supabase_url.rstrip("/") + JWKS_PATH)
        managers = Managers(settings.named_managers)
        return cls(secret, keys, rate_per_minute=rate_per_minute, managers=managers)

    async def verify(self, token: str) -> Principal:
        """The user who holds ``token``, as the owner ``sub``.

        Raises InvalidToken (or ExpiredToken), KeySetUnavailable.
        """
        if len(token) > MAX_TOKEN:
            raise InvalidToken("too long")
        try:
            header = jwt.get_unverified_header(token)
            algorithm = str(header.get("alg"))
            claims = jwt.decode(
                token,
                await self._key(algorithm, header.get("kid")),
                algorithms=[algorithm],
                audience=AUDIENCE,
                leeway=LEEWAY,
                options=_CLAIMS,
            )
        except jwt.ExpiredSignatureError as error:
            raise ExpiredToken from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise InvalidToken(type(error).__name__) from error
        return self._principal(claims)

    async def _key(self, algorithm: str, kid: object) -> Any:
        if algorithm == "HS256" and self._secret is not None:
            return self._secret
        if algorithm in ("ES256", "RS256") and self._keys is not None and isinstance(kid, str):
            return await self._keys.key(kid, algorithm)
        raise InvalidToken("algorithm")

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        # The service's own keys are signed by the same secret; they are no users.
        if claims.get("role", AUDIENCE) != AUDIENCE:
            raise InvalidToken("role")
        try:
            owner = UUID(claims["sub"])
        except (ValueError, AttributeError, TypeError) as error:
            raise InvalidToken("sub") from error
        return Principal(
            id=f"user:{owner}",
            name=f"user {owner}",
            role=Role.OWNER,
            owner_id=owner,
            permissions=self._permissions(claims, str(owner)),
            rate_per_minute=self._rate,
            expires_at=_moment(claims.get("exp")),
        )

    def _permissions(self, claims: Mapping[str, Any], user: str) -> frozenset[Permission]:
        """Everything; guests, and who is not among the managers, may not pair and change."""
        if claims.get("is_anonymous") is True or not self._managers.include(claims, user):
            return EVERYTHING - {Permission.MANAGE}
        return EVERYTHING


def _moment(seconds: object) -> datetime | None:
    """The end of a token, with the leeway that its verification has."""
    try:
        return datetime.fromtimestamp(float(str(seconds)) + LEEWAY, UTC)
    except (ValueError, OverflowError, OSError):
        return None
