"""What one caller may hold of what all share: calls, sends and streams at once, checks a minute.

Admins are bound by the global limits alone (``limits``): their credential can do anything anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.errors import Throttled

from .limits import SEND_PATH, Limits
from .principal import Principal
from .ratelimit import RateLimiter


class Quotas:
    """Counts, by owner and by credential: all of an owner's have one share, each three quarters."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._calls: Counter[str] = Counter()
        self._sends: Counter[str] = Counter()
        self._streams: Counter[str] = Counter()
        self._checks = RateLimiter()

    @contextmanager
    def call(self, caller: Principal, path: str) -> Iterator[None]:
        """One call under way. Raises Throttled."""
        with self._place(self._calls, caller, self._limits.calls_per_owner, "quota_calls"):
            if not path.startswith(SEND_PATH):
                yield
                return
            with self._place(self._sends, caller, self._limits.sends_per_owner, "quota_sends"):
                yield

    @contextmanager
    def stream(self, caller: Principal) -> Iterator[None]:
        """One event stream that is open. Raises Throttled."""
        with self._place(self._streams, caller, self._limits.streams_per_owner, "quota_streams"):
            yield

    def check(self, caller: Principal, numbers: int) -> None:
        """So many numbers are to be looked up on WhatsApp. Raises Throttled."""
        if caller.is_admin:
            return
        most = self._limits.checks_per_minute
        if wait := self._checks.take(str(caller.owner_id), most, numbers, float(most)):
            raise Throttled(
                f"Um dono pode conferir {most} números por minuto.",
                code="quota_checks",
                retry_after=wait,
            )

    @contextmanager
    def _place(
        self, taken: Counter[str], caller: Principal, most: int, code: str
    ) -> Iterator[None]:
        if caller.is_admin:
            yield
            return
        shares = {str(caller.owner_id): most, caller.id: most * 3 // 4}
        if any(taken[name] >= share for name, share in shares.items()):
            raise Throttled(_SENTENCES[code], code=code, retry_after=1.0)
        taken.update(shares.keys())
        try:
            yield
        finally:
            taken.subtract(shares.keys())
            for name in shares:
                if not taken[name]:
                    del taken[name]


_SENTENCES = {
    "quota_calls": "Há chamadas demais desta credencial ou deste dono; espere uma terminar.",
    "quota_sends": "Há envios demais desta credencial ou deste dono; espere um terminar.",
    "quota_streams": "Há transmissões de eventos demais desta credencial ou deste dono.",
}
