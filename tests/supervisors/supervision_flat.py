"""Restarts children many times: ``python supervision_flat.py dynamic|grouped RESTARTS``.

Prints by how many blocks of memory the program has grown since it was warm.
"""

from __future__ import annotations

import gc
import logging
import sys
from dataclasses import replace

import trio
import trio.testing

from supervisors import (
    Backoff,
    Call,
    ChildSpec,
    ChildStarting,
    DynamicSupervisor,
    Strategy,
    Supervisor,
    open_supervisor,
)

WARM = 3_000
LOG = logging.getLogger("flat")
LOG.addHandler(logging.NullHandler())
LOG.setLevel(logging.DEBUG)
LOG.propagate = False


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


async def waits(ctx):
    ctx.ready()
    async for _ in ctx.mailbox:
        pass


def grouped(specs):
    """The last one's crash takes the others along."""
    others = [replace(spec, run=waits, drain_deadline=1) for spec in specs[:-1]]
    return Supervisor([*others, specs[-1]], strategy=Strategy.ONE_FOR_ALL)


async def main(kind, restarts):
    launches = 0
    reached = {number: trio.Event() for number in (WARM, restarts)}

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
            await trio.sleep(2)

    async with (
        open_supervisor(supervisor, observers=[count], logger=LOG),
        trio.open_nursery() as nursery,
    ):
        for child in children:
            nursery.start_soon(sends, child.name)
        await reached[WARM].wait()
        before = blocks()
        await reached[restarts].wait()
        print(blocks() - before)
        nursery.cancel_scope.cancel()


def blocks():
    gc.collect()
    return sys.getallocatedblocks()


if __name__ == "__main__":
    trio.run(
        main,
        {"dynamic": dynamic, "grouped": grouped}[sys.argv[1]],
        int(sys.argv[2]),
        clock=trio.testing.MockClock(autojump_threshold=0),
    )
