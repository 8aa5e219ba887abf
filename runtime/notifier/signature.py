"""What proves to a receiver that a delivery is ours and fresh. Pure.

``X-Zapvisor-Signature: t=<seconds>,v1=<hex>`` where v1 is the HMAC-SHA256, under the endpoint's
secret, of ``<t>.<body>``.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

HEADER = "X-Zapvisor-Signature"
PREFIX = "whsec_"


def new_secret() -> str:
    """256 random bits, recognisable by scanners for leaked secrets."""
    return PREFIX + secrets.token_urlsafe(32)


def sign(secret: str, body: bytes, timestamp: int) -> str:
    """The header's value for a body sent at ``timestamp`` (seconds since the epoch)."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"t={timestamp},v1={digest.hexdigest()}"
