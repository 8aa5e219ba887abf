"""Memory stays flat, however often children are restarted."""

from __future__ import annotations

import gc
import logging
import tracemalloc

import pytest
import trio
from hypothesis import settings

from supervisors import Backoff, Call, ChildSpec, DynamicSupervisor, Strategy, Supervisor
from supervisors import ChildStarting, open_supervisor

LONG = settings.get_current_profile_name() == "long"
RESTARTS = 100_000 if LONG else 10_000
WARM = 2_000
GROWTH = 8 * 1024
"""Bytes that may come and go for other reasons."""


async def crashes(ctx):
    """Reads a message, leaves an answer owing, has a deep traceback and a long text."""
    inbox = ctx.mailbox
    ctx.ready()
    message = inbox.receive_nowait() if ctx.incarnation % 2 else None
    with ctx.idle():
        await trio.lowlevel.checkpoint()
    try:
        deeper(20, message)
    except LookupError as error:
        raise RuntimeError("x" * 1000) from error


def deeper(depth, message):
    if depth:
        deeper(depth - 1, message)
    elif message is None or isinstance(message, Call):
        raise LookupError(f"no message: {message}")
    raise LookupError(message)


def dynamic(specs):
    async def initial():
        return specs

    return DynamicSupervisor(max_children=len(specs), initial=initial)


def grouped(specs):
    return Supervisor(specs, strategy=Strategy.ONE_FOR_ALL)


@pytest.mark.timeout(0 if LONG else 300)
@pytest.mark.parametrize("kind", [dynamic, grouped])
async def test_restarts_leave_nothing_in_memory(virtual_clock, kind):
    logger = logging.getLogger("flat")
    logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    launches = 0
    reached = {WARM: trio.Event(), RESTARTS: trio.Event()}

    def count(event):
        nonlocal launches
        if isinstance(event, ChildStarting):
            launches += 1
            if launches in reached:
                reached[launches].set()

    children = [
        ChildSpec(name, crashes, backoff=Backoff(0.5, 0.5, 1), mailbox=3) for name in "abcdefgh"
    ]
    supervisor = kind(children)

    async def sends(name):
        ref = supervisor.child(name)
        while True:
            with trio.move_on_after(1):
                await ref.send("x" * 100)
            await trio.sleep(0.1)

    async with (
        open_supervisor(supervisor, observers=[count], logger=logger),
        trio.open_nursery() as nursery,
    ):
        for child in children:
            nursery.start_soon(sends, child.name)
        await reached[WARM].wait()
        before = measured()
        await reached[RESTARTS].wait()
        grown = measured() - before
        tracemalloc.stop()
        nursery.cancel_scope.cancel()
    assert launches >= RESTARTS
    assert grown < GROWTH


def measured():
    gc.collect()
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
