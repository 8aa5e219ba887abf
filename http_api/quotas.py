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
    """Counts, by owner: whatever credentials an owner has, together they have one share."""

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
        for _ in range(numbers):
            if wait := self._checks.take(str(caller.owner_id), most):
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
        owner = str(caller.owner_id)
        if taken[owner] >= most:
            raise Throttled(_SENTENCES[code].format(most), code=code, retry_after=1.0)
        taken[owner] += 1
        try:
            yield
        finally:
            taken[owner] -= 1
            if not taken[owner]:
                del taken[owner]


_SENTENCES = {
    "quota_calls": "Este dono já tem {} chamadas em andamento, o máximo; espere uma terminar.",
    "quota_sends": "Este dono já tem {} envios em andamento, o máximo; espere um terminar.",
    "quota_streams": "Este dono já tem {} transmissões de eventos abertas, o máximo.",
}
