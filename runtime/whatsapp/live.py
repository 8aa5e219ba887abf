"""What is known right now about each connection: in memory, rebuilt after a restart.

What must survive (who, whose, parked or not) is in the journal's registry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import trio

from ..errors import Unavailable, Unsendable
from .link import BridgeLink, LinkLost, RequestFailed
from .ways import Trouble


class Status(StrEnum):
    """As in ``whatsapp_sessions.status``."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    ERROR = "error"


class Doorbell:
    """Wakes one waiting task; rings that nobody waits for are remembered as one."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def ring(self) -> None:
        """Wake the waiter, or let its next wait return at once."""
        self._event.set()

    async def wait(self) -> None:
        """Wait for the next ring."""
        await self._event.wait()
        self._event = trio.Event()


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that a person should know of a connection which goes on working."""

    code: str
    message: str
    since: datetime
    until: datetime | None


@dataclass(slots=True)
class Live:
    """The present state of one connection; times are aware UTC datetimes."""

    status: Status = Status.CONNECTING
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    qr: str | None = None
    qr_expires_at: datetime | None = None
    qr_since: datetime | None = None
    last_error: str | None = None
    trouble: Trouble | None = None
    paired: bool | None = None
    last_seen: datetime | None = None
    last_message: datetime | None = None
    probe_seconds: float | None = None
    received: int = 0
    sent: int = 0
    failed: int = 0
    expired: int = 0
    sockets: int = 0
    disconnects: int = 0
    outbox: Doorbell = field(default_factory=Doorbell)
    qr_shown: Doorbell = field(default_factory=Doorbell)
    link: BridgeLink | None = None
    warned: dict[str, Warned] = field(default_factory=dict)

    @contextmanager
    def linked(self, link: BridgeLink) -> Iterator[None]:
        """Make the link to the bridge available while the block runs."""
        self.link = link
        try:
            yield
        finally:
            self.link = None

    async def ask(self, type_: str, **fields: Any) -> Any:
        """Ask WhatsApp something through the open connection.

        Raises Unavailable while it is not open, and when WhatsApp does not answer in time;
        Unsendable for what it refuses.
        """
        if self.link is None or self.status is not Status.CONNECTED:
            raise Unavailable(
                "A conexão não está conectada ao WhatsApp.",
                code="not_connected",
                retry_after=10.0,
            )
        return await self.ask_bridge(type_, **fields)

    async def ask_bridge(self, type_: str, **fields: Any) -> Any:
        """As `ask`, also while the connection is not open yet."""
        link = self.link
        if link is None:
            raise Unavailable("A conexão está iniciando.", code="not_ready", retry_after=5.0)
        try:
            return await link.request(type_, **fields)
        except LinkLost:
            raise Unavailable(
                "A conexão está reiniciando.", code="not_ready", retry_after=5.0
            ) from None
        except RequestFailed as failure:
            if failure.retryable:
                raise Unavailable(
                    "O WhatsApp não respondeu.", code=failure.code, retry_after=10.0
                ) from None
            raise Unsendable("O WhatsApp recusou o pedido.", code=failure.code) from None

    def warn(self, code: str, message: str, *, lifetime: timedelta | None = None) -> None:
        """Show a warning with the connection, until `calm` or for as long as ``lifetime``."""
        now = datetime.now(UTC)
        since = self.warned[code].since if code in self.warned else now
        until = None if lifetime is None else now + lifetime
        self.warned[code] = Warned(code, message, since, until)

    def calm(self, code: str) -> bool:
        """Take a warning back; returns whether there was one."""
        return self.warned.pop(code, None) is not None

    def warnings(self) -> list[dict[str, Any]]:
        """What holds now, oldest first."""
        now = datetime.now(UTC)
        return [
            {"code": one.code, "message": one.message, "since": one.since.isoformat()}
            for one in self.warned.values()
            if one.until is None or one.until > now
        ]

    def counters(self) -> dict[str, int]:
        """What happened since the runtime started."""
        return {
            "received": self.received,
            "sent": self.sent,
            "failed": self.failed,
            "expired": self.expired,
            "sockets": self.sockets,
            "disconnects": self.disconnects,
        }

    def become(
        self, status: Status, *, error: str | None = None, trouble: Trouble | None = None
    ) -> bool:
        """Enter ``status``; returns whether it is another one than before.

        ``error`` is what a person is asked for, ``trouble`` what passes by itself; either is
        remembered until there is another one, or a connection.
        """
        changed = status is not self.status
        if changed:
            self.status = status
            self.since = datetime.now(UTC)
        if error is not None or trouble is not None or status is Status.CONNECTED:
            self.last_error = error if trouble is None else trouble.reason
            self.trouble = trouble
        if status is not Status.CONNECTING:
            self.qr = self.qr_expires_at = self.qr_since = None
        return changed

    def show_qr(self, qr: str | None, expires_at: datetime | None) -> None:
        """There is a code to scan: WhatsApp answers, whatever kept it away before."""
        self.qr, self.qr_since = qr, datetime.now(UTC)
        if expires_at is not None:
            self.qr_expires_at = expires_at
        self.last_error = self.trouble = None
        self.qr_shown.ring()


class LiveBook:
    """The live state of every connection, by connection id."""

    def __init__(self) -> None:
        self._lives: dict[str, Live] = {}
        self._forgotten: Counter[str] = Counter()
        self.ignored: Counter[str] = Counter()
        """Messages that are deliberately not for the tables, by the reason."""
        self.disconnects: Counter[int] = Counter()
        """Sockets that ended, by the code of WhatsApp or Baileys."""

    def __getitem__(self, connection_id: str) -> Live:
        return self._lives.setdefault(connection_id, Live())

    def forget(self, connection_id: str) -> None:
        """Drop the state of a deleted connection; what it did stays in the totals."""
        live = self._lives.pop(connection_id, None)
        if live is not None:
            self._forgotten.update(live.counters())

    def all(self) -> Mapping[str, Live]:
        """By connection id, as of now."""
        return dict(self._lives)

    def totals(self) -> Counter[str]:
        """The counters of all connections together, those of deleted ones included."""
        totals = self._forgotten.copy()
        for live in self._lives.values():
            totals.update(live.counters())
        return totals
