"""The frames of the bridge protocol, version 1, as pydantic models.

The twin of ``bridge/src/protocol.ts``; ``bridge/README.md`` is the specification. Frames travel as
JSON text over one WebSocket per WhatsApp connection.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

VERSION = 1


class _Frame(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    v: Literal[1]


class Me(BaseModel):
    """The account that a connection is paired with; ``phone`` in E.164 digits."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    lid: str | None = None
    name: str | None = None
    phone: str | None = None


class Welcome(_Frame):
    """The bridge's answer to ``hello``."""

    type: Literal["welcome"]
    epoch: str
    registered: bool
    me: Me | None = None
    pendingEvents: int = 0  # noqa: N815 - the protocol's own spelling


class State(_Frame):
    """The WhatsApp socket changed its state."""

    type: Literal["state"]
    generation: int
    state: Literal["connecting", "qr", "open", "closed"]
    qr: str | None = None
    expiresAt: int | None = None  # noqa: N815
    me: Me | None = None
    code: int | None = None
    cause: str = "unknown"
    reason: str | None = None


class BridgeEvent(_Frame):
    """Something durable at the bridge until it is acknowledged by its ``seq``."""

    type: Literal["event"]
    seq: int
    kind: str
    receivedAt: int  # noqa: N815
    data: dict[str, Any]


class ReplyError(BaseModel):
    """Why a request failed; ``reason`` is WhatsApp's own number, if it gave one."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    code: str
    message: str
    retryable: bool
    reason: int | None = None


class Presence(_Frame):
    """Somebody is typing, recording, or has stopped; lost when nobody listens.

    ``phone`` in digits, ``lid`` as JID; ``jid`` is the chat (a group's, too).
    """

    type: Literal["presence"]
    jid: str
    phone: str | None = None
    lid: str | None = None
    participant: str | None = None
    state: str
    lastSeen: int | None = None  # noqa: N815


class Reply(_Frame):
    """The answer to a request."""

    type: Literal["reply"]
    requestId: str  # noqa: N815
    ok: bool
    data: Any = None
    error: ReplyError | None = None


class Fault(_Frame):
    """The bridge did not understand a frame of ours; it closes afterwards."""

    type: Literal["fault"]
    message: str


Frame = Welcome | State | BridgeEvent | Presence | Reply | Fault
_INCOMING: TypeAdapter[Frame] = TypeAdapter(Annotated[Frame, Field(discriminator="type")])


def parse(text: str | bytes) -> Frame:
    """Read one frame of the bridge. Raises ``pydantic.ValidationError`` when malformed.

    Python's JSON reader is used, not pydantic's: it keeps lone surrogates, which occur in the wild.
    """
    return _INCOMING.validate_python(json.loads(text))


def encode(type_: str, **fields: Any) -> str:
    """Write one frame to the bridge."""
    return json.dumps({"v": VERSION, "type": type_, **fields}, separators=(",", ":"))
