"""Runs one program again and again, Ctrl-C striking at another line of the library each time.

``python supervision_interrupted.py MOST``: each line is struck at its first MOST occurrences. A run
must end soon, with KeyboardInterrupt, with nothing left running and every ``finally`` done. Prints
a JSON object: ``lines``, ``struck`` (number of runs) and ``faults``.
"""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import random
import signal
import sys
from pathlib import Path

import trio
import trio._core._run as scheduler
import trio.testing

import supervisors
from supervisors import (
    Backoff,
    ChildSpec,
    Delays,
    DynamicSupervisor,
    Intensity,
    Park,
    Pulse,
    Restart,
    SupervisionError,
    Supervisor,
    open_supervisor,
)
from supervisors._core.exits import leaves
from supervisors._trio import call as calls

HERE = str(Path(supervisors.__file__).parent)
MACHINE = ("board.py", "plan.py", "judgement.py", "budget.py", "timers.py", "actions.py")
"""Where Ctrl-C must wait until what was begun is done."""

PATIENCE = 5.0
"""Real seconds that a run may take; undisturbed it takes hundredths of one."""

LOG = logging.getLogger("interrupted")
LOG.addHandler(logging.NullHandler())
LOG.setLevel(logging.INFO)
LOG.propagate = False


class HangError(Exception):
    """The run does not end."""


class Program:
    """A small tree that does a bit of everything."""

    def __init__(self):
        self.entered = self.left = 0
        self.homes = []
        self.root = None

    def child(self, function):
        async def run(ctx):
            self.entered += 1
            try:
                await function(ctx)
            finally:
                self.left += 1

        return run

    async def steady(self, ctx):
        ctx.ready()
        while True:
            ctx.beat()
            await trio.sleep(1)

    async def answers(self, ctx):
        inbox = ctx.mailbox
        ctx.ready()
        with ctx.idle():
            await trio.sleep(3)
        async for call in inbox:
            await trio.sleep(0.1)
            if hasattr(call, "reply"):
                call.reply(call.message)

    async def crashes(self, ctx):
        ctx.ready()
        await trio.sleep(1)
        if ctx.incarnation < 3:
            raise RuntimeError("on purpose")
        await trio.sleep_forever()

    async def parks(self, ctx):
        if ctx.incarnation == 1:
            raise Park("a person is needed")
        ctx.ready()
        try:
            ctx.mailbox.receive_nowait()
        except trio.WouldBlock:
            await ctx.stopping.wait()

    async def hangs(self, ctx):
        ctx.ready()
        await trio.sleep_forever()

    async def late(self, ctx):
        if ctx.incarnation > 1:
            ctx.ready()
        await trio.sleep_forever()

    async def asks(self, ctx):
        home = self.homes[0]
        ctx.ready()
        await home.child("answers").call("question")
        await home.child("answers").send("news")
        home.child("answers").send_nowait("more")
        await trio.sleep_forever()

    def tree(self):
        async def initial():
            return [ChildSpec("steady", self.child(self.steady), liveness=2)]

        pool = DynamicSupervisor(max_children=5, initial=initial)
        inner = Supervisor(
            [
                ChildSpec("answers", self.child(self.answers), liveness=2, drain_deadline=1,
                          drain_mailbox=True),
                ChildSpec("parks", self.child(self.parks), drain_deadline=1),
                ChildSpec("crashes", self.child(self.crashes), backoff=Backoff(1, 2)),
                ChildSpec("asks", self.child(self.asks)),
            ]
        )  # fmt: skip

        async def hosts(ctx):
            await inner(ctx)

        outer = Supervisor(
            [
                ChildSpec("pulse", Pulse()),
                ChildSpec("pool", pool),
                ChildSpec("inner", hosts),
                ChildSpec("hangs", self.child(self.hangs), liveness=1, backoff=Backoff(1, 2)),
                ChildSpec("late", self.child(self.late), ready_deadline=1, backoff=Backoff(1, 2)),
            ],
            intensity=Intensity(20, 5),
        )
        self.homes = [inner, pool, outer]

    async def main(self):
        self.tree()
        inner, pool, outer = self.homes
        async with open_supervisor(outer, logger=LOG, rng=random.Random(0)) as root:
            self.root = root
            unsubscribe = root.subscribe(lambda _event: None)
            Delays(Backoff()).next()
            ref = await pool.start_child(ChildSpec("a", self.child(self.steady)))
            await pool.get_or_start(ChildSpec("a", self.child(self.steady)))
            await ref.wait_ready()
            with ref.monitor() as exits:
                await pool.restart_child("a")
                async for _ in exits:
                    break
            await pool.terminate_child("a")
            await ref.wait_exit()
            await pool.delete_child("a")
            with contextlib.suppress(SupervisionError):
                await ref.send("to nobody")
            await root.unpark("root/inner/parks")
            await root.find("root/inner/answers").call("from outside")
            await pool.start_child(
                ChildSpec("t", self.child(self.crashes), restart=Restart.TEMPORARY)
            )
            await trio.sleep(2)
            root.tree().find("root/inner")
            await root.restart_child("root/inner/asks")
            inner.child("answers").send_nowait("last words")
            await trio.sleep(1)
            unsubscribe()


class Striker:
    """A tracer of the library's lines that strikes at the n-th time of one of them."""

    def __init__(self, where=None, nth=0):
        self.where, self.nth = where, nth
        self.of = HERE if where is None else where[0]
        self.seen = collections.Counter()
        self.struck = self.unprotected = False

    def __call__(self, frame, _event, _arg):
        return self.line if frame.f_code.co_filename.startswith(self.of) else None

    def line(self, frame, event, _arg):
        if event == "line" and not self.struck:
            place = (frame.f_code.co_filename, frame.f_lineno)
            self.seen[place] += 1
            if place == self.where and self.seen[place] == self.nth:
                self.struck = self.unprotected = True
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
                self.unprotected = False
        return None if self.struck else self.line


def give_up(_number, _frame):
    raise HangError(f"the run takes longer than {PATIENCE:g} s")


def play(striker):
    """One run. Returns the program and what came out."""
    program = Program()
    error = None
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        sys.settrace(striker)
        trio.run(program.main, clock=trio.testing.MockClock(autojump_threshold=0))
    except BaseException as caught:
        error = caught
    finally:
        sys.settrace(None)
        signal.setitimer(signal.ITIMER_REAL, 0)
    return program, error


def complaints(striker, program, error):
    if not striker.struck:
        yield "not every run has the same steps"
        return
    if error is None or not all(isinstance(part, KeyboardInterrupt) for part in leaves(error)):
        yield f"out came {error!r}, because of {getattr(error, '__cause__', None)!r}"
    if program.entered != program.left:
        yield f"{program.entered - program.left} children never came to their finally"
    if any(home.is_running for home in program.homes):
        yield "it still runs"
    if calls.waiting:
        calls.waiting.clear()
        yield "a call is left"
    if striker.unprotected and Path(striker.where[0]).name in MACHINE:
        yield "the machine is torn apart"


def main(most):
    signal.signal(signal.SIGALRM, give_up)
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
    scheduler._r.seed(0)
    known = Striker()
    program, error = play(known)
    if error is not None or program.entered != program.left or program.entered < 10:
        raise SystemExit(f"undisturbed it does not work: {error!r}")
    struck, faults = 0, []
    for (name, line), times in sorted(known.seen.items()):
        for nth in range(1, min(most, times) + 1):
            scheduler._r.seed(0)
            striker = Striker((name, line), nth)
            program, error = play(striker)
            struck += 1
            place = f"{name[len(HERE) + 1 :]}:{line}, time {nth}"
            faults.extend(f"{place}: {text}" for text in complaints(striker, program, error))
            if len(faults) > 20:
                break
    print(json.dumps({"lines": len(known.seen), "struck": struck, "faults": faults}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
