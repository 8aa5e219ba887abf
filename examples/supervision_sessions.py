"""Sessions as actors: ``PYTHONPATH=. python examples/supervision_sessions.py``.

A dynamic supervisor holds one actor per user, by name. "ana" works; "bob" is logged out, which no
restart can mend: he parks until a person lets him go on. A helper program runs beside them and is
killed, and comes back.
"""

from __future__ import annotations

import os
import signal
import sys

import trio

from supervisors import (
    Backoff,
    Call,
    ChildContext,
    ChildReady,
    ChildSpec,
    DynamicSupervisor,
    Park,
    SubprocessChild,
    Supervisor,
    open_supervisor,
)
from supervisors.testing import EventRecorder

logged_in = {"ana"}

HELPER = "print('helper is up', flush=True); import sys; sys.stdin.read()"


def session(user: str) -> ChildSpec:
    """One actor. Dropped connections come back with a growing delay and use no budget."""

    async def run(ctx: ChildContext) -> None:
        if user not in logged_in:
            raise Park(f"{user} has to log in again", code="logged_out")
        ctx.ready()
        async for message in ctx.mailbox:
            if isinstance(message, Call):
                message.reply(f"{user} says {message.message}")

    return ChildSpec(user, run, backoff=Backoff(first=1, cap=60))


async def main() -> None:
    sessions = DynamicSupervisor(max_children=100)
    recorder = EventRecorder()
    helper = SubprocessChild(
        [sys.executable, "-I", "-S", "-c", HELPER],
        ready_line=lambda line: line == "helper is up",
        stdin_eof_stops=True,
    )
    tree = Supervisor(
        [ChildSpec("helper", helper, stop_deadline=10), ChildSpec("sessions", sessions)]
    )
    async with open_supervisor(tree, name="app", observers=[recorder]) as root:
        ana = await sessions.start_child(session("ana"))
        print(await ana.call("hello"))

        bob = await sessions.start_child(session("bob"))
        exit_ = bob.node().last_exit
        print(bob.path, "is", bob.state.value, "because", exit_.reason if exit_ else "?")
        logged_in.add("bob")
        await root.unpark("app/sessions/bob")
        print(await bob.call("I am back"))

        first = helper.process
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        with trio.fail_after(10):
            await recorder.wait_for(ChildReady, "app/helper", count=2)
        print("the helper was killed and has been restarted")
    print("all stopped")


if __name__ == "__main__":
    trio.run(main)
