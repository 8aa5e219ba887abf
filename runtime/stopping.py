"""A graceful stop: what is in hand is finished, nothing new is begun.

A child with a ``drain_deadline`` waits for news in `Waits`, which end when it is told to stop; its
work does not. What the deadline cuts off in the middle is repeated after the next start, as ever.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import trio

from supervisors import ChildContext

IN_HAND_SECONDS = 10.0
"""How long a stop waits for what is in hand: a batch, a send, a file, a POST. Far above what one
takes where all is well; what takes longer is cut off, and repeated after the next start."""


class Waits:
    """The waits of one incarnation; see `waits_of`."""

    def __init__(self, ctx: ChildContext) -> None:
        self._stopping = ctx.stopping
        self._scopes: set[trio.CancelScope] = set()

    @property
    def over(self) -> bool:
        """Whether to finish what is in hand, and to begin nothing."""
        return self._stopping.is_set()

    @contextmanager
    def __call__(self, seconds: float = math.inf) -> Iterator[trio.CancelScope]:
        """``with waits(5): await news()``: left after so long, and when the stop begins."""
        with trio.move_on_after(seconds) as scope:
            self._scopes.add(scope)
            if self.over:
                scope.cancel(reason="the child is told to stop")
            try:
                yield scope
            finally:
                self._scopes.discard(scope)

    async def _end(self) -> None:
        await self._stopping.wait()
        for scope in self._scopes:
            scope.cancel(reason="the child is told to stop")


@asynccontextmanager
async def waits_of(ctx: ChildContext) -> AsyncIterator[Waits]:
    """The waits of a child, while the block runs. What it raises comes out in a group."""
    waits = Waits(ctx)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waits._end)
        yield waits
        nursery.cancel_scope.cancel(reason="the child is done")
