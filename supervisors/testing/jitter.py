"""A source of jitter without chance."""

from __future__ import annotations

import random


class FixedJitter(random.Random):
    """``open_supervisor(..., rng=FixedJitter())``: every delay is ``share`` of its bound.

    Full jitter may draw next to nothing, so a test that looks at a child in its backoff, or counts
    restarts within a time, would now and then find another state. Default 1.0: the longest delay.
    ``share`` may be changed at any time.
    """

    def __init__(self, share: float = 1.0) -> None:
        super().__init__(0)
        self.share = share

    def random(self) -> float:
        """The share."""
        return self.share
