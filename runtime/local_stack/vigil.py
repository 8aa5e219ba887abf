"""A server process that beats, as its child in the tree, for as long as it answers."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import httpx
import trio

from supervisors import ChildContext, SubprocessChild

log = logging.getLogger("zapvisor.local_stack")

INTERVAL = 2.0
ANSWER_SECONDS = 10.0
LIVENESS = 60.0
"""Seconds without an answer, any answer, after which a server is started anew."""


async def serve(
    ctx: ChildContext, server: SubprocessChild, ask: Callable[[], Awaitable[object]]
) -> None:
    """Run the program; beat whenever ``ask`` got an answer.

    Raises SubprocessError, in a group, when the program fails.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_beat, ctx, ask)
        await server(ctx)
        nursery.cancel_scope.cancel(reason="the program has ended")


async def _beat(ctx: ChildContext, ask: Callable[[], Awaitable[object]]) -> None:
    while True:
        await trio.sleep(INTERVAL)
        with trio.move_on_after(ANSWER_SECONDS):
            try:
                await ask()
            except (OSError, trio.BrokenResourceError, httpx.TransportError) as error:
                log.debug("no answer: %r", error)
            else:
                ctx.beat()
