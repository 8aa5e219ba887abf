"""How values are stored: JSON as ASCII text, times as microseconds, keys as digests.

ASCII JSON keeps NUL and lone surrogates intact as escapes. PostgreSQL can store neither, so a
payload that has them gets U+FFFD in their place and the original is kept beside it, and in the row.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _default(value: object) -> str:
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be journaled")


_encoder = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, separators=(",", ":"), default=_default
)


def encode(value: Mapping[str, Any]) -> str:
    """JSON in ASCII; ValueError for NaN and infinities, TypeError for foreign objects."""
    return _encoder.encode(value)


def encode_optional(value: Mapping[str, Any] | None) -> str | None:
    """As `encode`, None stays None; numbers that JSON lacks become null."""
    if value is None:
        return None
    try:
        return _encoder.encode(value)
    except ValueError:
        return _encoder.encode(_finite(value))


def encode_payload(payload: Mapping[str, Any]) -> tuple[str, str | None]:
    """The payload made storable, and the original when that is something else."""
    try:
        text = _encoder.encode(payload)
    except ValueError:
        text = _encoder.encode(_finite(payload))
    # An escape is the only way either can look in ASCII JSON; emoji take the slow path too.
    if "\\u0000" in text or "\\ud" in text:
        storable = _encoder.encode(_replace(payload))
        if storable != text:
            return storable, text
    return text, None


def keep_original(storable: str, payload: Mapping[str, Any]) -> str:
    """The storable payload of a message with the fields as they came in ``dados.original``.

    They are JSON with escapes, which any database can store: the row never says less than the
    message did.
    """
    item = decode(storable)
    came = {name: value for name, value in payload.items() if _replace(value) != value}
    item["dados"] = {**(item.get("dados") or {}), "original": encode_optional(came)}
    return _encoder.encode(item)


def decode(text: str) -> dict[str, Any]:
    """The reverse of `encode`."""
    value: dict[str, Any] = json.loads(text)
    return value


def decode_optional(text: str | None) -> dict[str, Any] | None:
    """The reverse of `encode_optional`."""
    return None if text is None else decode(text)


def _replace(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {_replace(key): _replace(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replace(item) for item in value]
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0.0:  # NaN or an infinity
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def checksum(text: str) -> int:
    """Tells a payload that changed on the disk from the one that was written."""
    return zlib.crc32(text.encode("ascii", "surrogatepass"))


def key_digest(key: str) -> bytes:
    """16 bytes that stand for a key."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def chat_digest(order_key: str) -> bytes:
    """8 bytes that stand for a chat; a collision would move a timestamp by a microsecond."""
    return hashlib.blake2b(order_key.encode("utf-8", "surrogatepass"), digest_size=8).digest()


def micros(moment: datetime) -> int:
    """Microseconds since the epoch, exactly; a naive datetime is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """The reverse of `micros`."""
    return _EPOCH + timedelta(microseconds=value)


def optional_micros(value: datetime | None) -> int | None:
    """As `micros`, None stays None."""
    return None if value is None else micros(value)


def optional_moment(value: int | None) -> datetime | None:
    """As `moment`, None stays None."""
    return None if value is None else moment(value)


def iso(value: int) -> str:
    """``2026-01-31T12:00:00.000001+00:00``, always with six digits."""
    return moment(value).isoformat(timespec="microseconds")


def timestamp_micros(payload: Mapping[str, Any]) -> int | None:
    """The payload's ``timestamp`` in microseconds; None when it is missing or unreadable."""
    value = payload.get("timestamp")
    try:
        if isinstance(value, str):
            return micros(datetime.fromisoformat(value))
        return micros(value) if isinstance(value, datetime) else None
    except (ValueError, OverflowError):
        return None
