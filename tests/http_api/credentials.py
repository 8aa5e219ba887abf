"""One of every kind of credential, good and bad, for the access matrix."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import jwt
from access_table import OWNER_A, OWNER_B, A, B
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fake_application import JWT_SECRET

from http_api.keys import ApiKey, KeyStore
from http_api.principal import EVERYTHING, Permission, Role
from http_api.tokens import KeySet, TokenVerifier

EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
STRANGE_KEY = ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Credential:
    """``role`` is None where it must not be accepted; ``code`` is then the reason."""

    name: str
    headers: dict[str, str]
    role: str | None = None
    permissions: frozenset = EVERYTHING
    owner: str | None = None
    connection: str | None = None
    code: str = "invalid_credential"

    def __str__(self) -> str:
        return self.name


def key(name, role=Role.ADMIN, owner=None, connection=None, permissions=EVERYTHING, expired=False):
    """A key of this name, whose plaintext is ``zv_<name>``, and the credential that it is."""
    ends = datetime.now(UTC) + timedelta(days=-1 if expired else 1)
    stored = ApiKey(
        id=name,
        name=name,
        digest=hashlib.sha256(f"zv_{name}".encode()).hexdigest(),
        created_at="2026-01-01T00:00:00+00:00",
        role=role,
        permissions=frozenset(permissions),
        owner_id=owner and UUID(owner),
        connection_id=connection,
        expires_at=ends,
    )
    accepted = None if expired else role.value
    code = "expired_credential" if expired else ""
    credential = Credential(
        name, {"X-Api-Key": f"zv_{name}"}, accepted, stored.permissions, owner, connection, code
    )
    return stored, credential


_READ, _SEND, _MANAGE = ([Permission(one)] for one in ("read", "send", "manage"))
_KEYS = [
    key("admin"),
    key("admin-read-only", permissions=_READ),
    key("admin-send-only", permissions=_SEND),
    key("admin-manage-only", permissions=_MANAGE),
    key("admin-expired", expired=True),
    key("owner-a", Role.OWNER, OWNER_A),
    key("owner-a-read-only", Role.OWNER, OWNER_A, permissions=_READ),
    key("owner-a-send-only", Role.OWNER, OWNER_A, permissions=_SEND),
    key("owner-a-expired", Role.OWNER, OWNER_A, expired=True),
    key("owner-b", Role.OWNER, OWNER_B),
    key("connection-a", Role.CONNECTION, OWNER_A, A),
    key("connection-a-read-only", Role.CONNECTION, OWNER_A, A, permissions=_READ),
    key("connection-a-send-only", Role.CONNECTION, OWNER_A, A, permissions=_SEND),
    key("connection-a2", Role.CONNECTION, OWNER_A, "outra-de-a"),
    key("connection-b", Role.CONNECTION, OWNER_B, B),
    # Its connection was deleted and made anew by somebody else.
    key("connection-a-of-b", Role.CONNECTION, OWNER_B, A),
]


def claims(owner, **changes):
    now = int(time.time())
    made = {"aud": "authenticated", "role": "authenticated", "sub": owner, "exp": now + 3600}
    made |= {"iat": now} | changes
    return {name: value for name, value in made.items() if value is not None}


def token(owner=OWNER_A, signed_by=JWT_SECRET, algorithm="HS256", kid=None, **changes):
    headers = {"kid": kid} if kid else None
    return jwt.encode(claims(owner, **changes), signed_by, algorithm=algorithm, headers=headers)


def by_hand(header, payload, signature=b""):
    parts = (json.dumps(header).encode(), json.dumps(payload).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def bearer(name, text, role=None, owner=None, code="invalid_credential"):
    return Credential(name, {"Authorization": f"Bearer {text}"}, role, EVERYTHING, owner, code=code)


def _pem(private):
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _signed_by_public_key():
    """The confusion of algorithms: HMAC with what everybody knows."""
    signing = by_hand({"alg": "HS256", "typ": "JWT", "kid": "ec"}, claims(OWNER_A)).rstrip(".")
    digest = hmac.digest(_pem(EC_KEY), signing.encode(), "sha256")
    return f"{signing}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def _hour_ago():
    return int(time.time()) - 3600


CREDENTIALS = [
    Credential("none", {}, code="missing_credential"),
    Credential("wrong-key", {"X-Api-Key": "zv_wrong"}),
    Credential("revoked-key", {"X-Api-Key": "zv_revoked"}),
    Credential("key-and-token", {"X-Api-Key": token()}),
    *[credential for _, credential in _KEYS],
    bearer("key-as-bearer", "zv_owner-a", "owner", OWNER_A),
    bearer("hs256-a", token(OWNER_A), "owner", OWNER_A),
    bearer("hs256-b", token(OWNER_B), "owner", OWNER_B),
    bearer("es256-a", token(OWNER_A, EC_KEY, "ES256", "ec"), "owner", OWNER_A),
    bearer("es256-b", token(OWNER_B, EC_KEY, "ES256", "ec"), "owner", OWNER_B),
    bearer("rs256-a", token(OWNER_A, RSA_KEY, "RS256", "rsa"), "owner", OWNER_A),
    bearer("expired-token", token(exp=_hour_ago()), code="expired_credential"),
    bearer(
        "expired-es256",
        token(OWNER_A, EC_KEY, "ES256", "ec", exp=_hour_ago()),
        code="expired_credential",
    ),
    bearer("alg-none", by_hand({"alg": "none"}, claims(OWNER_A))),
    bearer("alg-none-with-kid", by_hand({"alg": "none", "kid": "ec"}, claims(OWNER_A))),
    bearer("no-alg", by_hand({"typ": "JWT"}, claims(OWNER_A))),
    bearer("odd-alg", by_hand({"alg": ["HS256"]}, claims(OWNER_A))),
    bearer("hs512", token(signed_by=JWT_SECRET * 2, algorithm="HS512")),
    bearer("signed-by-public-key", _signed_by_public_key()),
    bearer("unsigned", by_hand({"alg": "HS256"}, claims(OWNER_A))),
    bearer("other-secret", token(signed_by="another-secret-of-a-good-length-000")),
    bearer("strange-es256", token(OWNER_A, STRANGE_KEY, "ES256", "ec")),
    bearer("unknown-kid", token(OWNER_A, EC_KEY, "ES256", "nobody")),
    bearer("no-kid", token(OWNER_A, EC_KEY, "ES256")),
    bearer("rs256-under-kid-of-ec", token(OWNER_A, RSA_KEY, "RS256", "ec")),
    bearer("weak-rsa", token(OWNER_A, RSA_KEY, "RS256", "weak")),
    bearer("wrong-aud", token(aud="anon")),
    bearer("no-aud", token(aud=None)),
    bearer("no-exp", token(exp=None)),
    bearer("not-yet", token(nbf=int(time.time()) + 3600)),
    bearer("no-sub", token(sub=None)),
    bearer("sub-is-no-uuid", token("admin")),
    bearer("service-role", token(role="service_role")),
    bearer("three-dots", "a.b.c"),
    bearer("too-long", token(padding="x" * 9000)),
]


def key_store():
    return KeyStore([stored for stored, _ in _KEYS])


def key_set_document():
    def public(private, kid, **changes):
        algorithm = "ES256" if isinstance(private, ec.EllipticCurvePrivateKey) else "RS256"
        made = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True)
        return {**made, "kid": kid, "use": "sig", **changes}

    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    secret = base64.urlsafe_b64encode(JWT_SECRET.encode()).decode()
    return {
        "keys": [
            public(EC_KEY, "ec"),
            public(RSA_KEY, "rsa"),
            public(weak, "weak"),
            public(STRANGE_KEY, "encryption", use="enc"),
            {"kty": "oct", "kid": "symmetric", "k": secret},
            {"kty": "EC", "kid": "broken"},
            "nonsense",
        ]
    }


def verifier():
    """Accepts what a project with a secret and a key set accepts; no network."""
    served = httpx.MockTransport(lambda _request: httpx.Response(200, json=key_set_document()))
    return TokenVerifier(JWT_SECRET, KeySet("https://auth.example/jwks.json", served))
