"""How often each credential may call: a token bucket each."""

from __future__ import annotations

from dataclasses import dataclass

import trio

MAX_BUCKETS = 10_000
BURST_SECONDS = 10.0  # of the rate that may come at once
MIN_BURST = 10.0


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimiter:
    """Buckets by name; a full one is forgotten when there are too many."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    def take(self, name: str, per_minute: int, count: int = 1, burst: float = MIN_BURST) -> float:
        """Take so many from the bucket, all or none; at least ``burst`` may come at once.

        Returns 0.0, or the seconds after which there will be as many again.
        """
        now = trio.current_time()
        per_second = per_minute / 60
        capacity = max(burst, per_second * BURST_SECONDS)
        bucket = self._buckets.pop(name, None) or _Bucket(capacity, now)
        bucket.tokens = min(capacity, bucket.tokens + (now - bucket.filled_at) * per_second)
        bucket.filled_at = now
        self._buckets[name] = bucket  # at the end: the dictionary is in order of use
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.pop(next(iter(self._buckets)))
        if bucket.tokens >= count:
            bucket.tokens -= count
            return 0.0
        return (count - bucket.tokens) / per_second
