"""Random trees of children that do wrong whatever they can, commanded at random from all sides.

Nothing of ``supervisors.testing`` is used here: whoever looks is no relative. ``PYTHONPATH=. python
supervision_stranger.py SEED`` tells one story again.
"""

from __future__ import annotations

import logging
import random
import sys
import traceback

import trio
import trio._core._run as scheduler
import trio.testing
from supervision_meddlers import OnPurposeError
from supervision_misdeeds import MISDEEDS
from supervision_story import Story
from supervision_strange_checks import Checks
from supervision_strange_trees import Trees

from supervisors import (
    Call,
    Registry,
    SupervisionError,
    open_supervisor,
)
from supervisors._core.exits import leaves
from supervisors._trio.log import describe

AFTERWARDS = 25.0
"""Virtual seconds after the end within which whoever still waits must be told: ghosts take 20."""

TOO_LONG = 2000.0
"""Virtual seconds after which a story hangs."""


class Loud(logging.Handler):
    """Makes the text of every record, for nobody; what cannot be told is a fault."""

    def emit(self, record):
        self.format(record)


LOUD = logging.getLogger("strangers")
LOUD.addHandler(Loud())
LOUD.setLevel(logging.DEBUG)
LOUD.propagate = False


class Me:
    """One incarnation of a stranger."""

    def __init__(self, world, home, ctx):
        self.world, self.home, self.ctx = world, home, ctx
        self.dice = world.dice
        self.path = ctx.path
        self.over = False
        self.errors = []

    async def nap(self, most):
        await trio.sleep(self.dice.choice([0, 0.1, 0.5, 1]) * most)

    def told(self, error):
        """Keeps what is going to be raised: it must be found in the record of the end."""
        self.errors.append(error)
        return error

    def crash(self):
        return self.told(OnPurposeError(f"on purpose, {self.path}"))

    def answer(self, call):
        if isinstance(call, Call):
            if self.dice.random() < 0.2:
                call.fail(OnPurposeError("no"))
            else:
                call.reply("yes")

    def sibling(self):
        return self.dice.choice(self.world.names[id(self.home)])


class Stranger(Trees, Checks):
    """One story. ``run()`` tells it; ``faults`` are what went wrong."""

    def __init__(self, seed):
        self.seed = seed
        self.dice = random.Random(seed)
        self.faults = []
        self.story = Story(self.fault)
        self.homes = []  # (path, supervisor)
        self.names = {}  # of the children of a supervisor, by its id
        self.registry = Registry()
        self.live = {}
        self.kinds = {}  # how often each misdeed was done
        self.news = trio.Event()
        self.waiting = {}  # commands that nobody answered yet
        self.commands = 0
        self.told = []  # (life, what was raised)
        self.late = []  # what overran its stop
        self.ended = None
        self.out = ""  # what came out of the block
        chance = self.dice.random
        self.may_escalate, self.may_end = chance() < 0.2, chance() < 0.1
        self.may_hang = chance() < 0.3
        self.kindness = self.dice.choice([0.1, 0.4, 0.8])

    def fault(self, text):
        if len(self.faults) < 20:
            self.faults.append(text)

    def run(self):
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
        scheduler._r.seed(self.seed)
        self.clock = trio.testing.MockClock(autojump_threshold=0)
        try:
            trio.run(self._main, clock=self.clock)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Failed":
                raise
            self.fault("".join(traceback.format_exception(error))[-6000:])
        return self

    # ------------------------------------------------------------------ children

    async def _child(self, home, ctx):
        me = Me(self, home, ctx)
        life = (ctx.path, self.story.lives[ctx.path])
        self.live[ctx.path] = self.live.get(ctx.path, 0) + 1
        if self.live[ctx.path] != 1:
            self.fault(f"{ctx.path}: {self.live[ctx.path]} live at once")
        kind = "works_well"
        if self.dice.random() > self.kindness:
            kind = self.dice.choice(list(MISDEEDS))
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        try:
            await MISDEEDS[kind](me)
        except BaseException as error:
            inside = {id(part) for part in leaves(error)}
            self.told.extend((life, e) for e in me.errors if id(e) in inside)
            raise
        finally:
            self.live[ctx.path] -= 1
            me.over = True

    def block(self, seconds):
        """Holds up the loop, as a computation would; not during the stop, which is measured."""
        if not self.story.stopping and not self.ended:
            self.clock.jump(seconds)

    # ------------------------------------------------------------------ commands

    def later(self, what, function, *args):
        """In a task of its own, of which the end must be seen."""
        self.commands += 1
        number = self.commands

        async def task():
            self.waiting[number] = what
            try:
                await function(*args)
            finally:
                del self.waiting[number]
                self.news.set()

        self.outer.start_soon(task)

    def somebody(self):
        """A supervisor, and the name of one of its children (or of nobody)."""
        _, home = self.dice.choice(self.homes)
        return home, self.dice.choice(self.names[id(home)])

    def command_soon(self, home, name):
        path = next(path for path, other in self.homes if other is home)
        word = self.dice.choice(WORDS)
        self.later(f"{word} {path}/{name}", self._give, home, name, word)

    async def command(self, home, name):
        """The caller's own task waits, and may be cancelled."""
        await self._give(home, name, self.dice.choice(WORDS))

    async def _give(self, home, name, word):
        try:
            if word in ("start_child", "get_or_start"):
                await getattr(home, word)(self._spec(home, name))
            elif word in ("call", "send"):
                await getattr(home.child(name), word)(word)
            elif word in ("wait_ready", "wait_exit"):
                await getattr(home.child(name), word)()
            elif word == "monitor":
                await self._monitor(home.child(name))
            else:
                await getattr(home, word)(name)
        except (SupervisionError, OnPurposeError):
            pass
        except Exception as error:
            self.fault(f"{word} {name}: {error!r}")

    async def _monitor(self, ref):
        with ref.monitor() as exits:
            path = ref.path
            known = len(self.story.exits.get(path, ()))
            seen = 0
            async for exit_ in exits:
                if exit_ is not self.story.exits[path][known + seen]:
                    self.fault(f"{path}: a monitor missed an exit")
                seen += 1

    async def _commander(self):
        while True:
            await trio.sleep(self.dice.choice([0, 0.1, 0.3, 1, 2]))
            if self.dice.random() < 0.5:
                self.command_soon(*self.somebody())
            else:
                with trio.move_on_after(self.dice.choice([0, 1, 4])):
                    await self.command(*self.somebody())

    async def _looker(self, root):
        while True:
            await trio.sleep(0.7)
            self.story.compare(root)

    # ------------------------------------------------------------------ the story

    async def _main(self):
        trio.lowlevel.spawn_system_task(self._break_off)
        async with trio.open_nursery() as self.outer:
            await self._tell()
            self.ended = trio.current_time()
            for word in WORDS:  # the dead are asked, too
                self.later(f"{word} after the end", self._give, *self.somebody(), word)
            with trio.move_on_after(AFTERWARDS):
                await self.answered()
            for what in self.waiting.values():
                self.fault(f"never answered: {what}")
            self.outer.cancel_scope.cancel()
        self._check_remains()

    async def answered(self):
        """Returns when no command is waited for any more."""
        while self.waiting:
            self.news = trio.Event()
            await self.news.wait()

    async def _tell(self):
        supervisor = self._supervisor("root", 4)
        seconds = self.dice.choice([0, 5, 15, 30])
        way = self.dice.choice(["left", "left", "cancelled", "raised"])
        rng = random.Random(self.seed)
        opened = open_supervisor(
            supervisor,
            observers=[self.story],
            rng=rng,
            logger=LOUD if self.seed % 8 == 0 else None,
            overrun=self._overran,
        )
        for _ in range(3):
            self.outer.start_soon(self._commander)
        began = trio.current_time()
        error = None
        try:
            with trio.move_on_after(seconds if way == "cancelled" else 10_000):
                async with opened as root, trio.open_nursery() as nursery:
                    nursery.start_soon(self._looker, root)
                    await trio.sleep(seconds)
                    nursery.cancel_scope.cancel()
                    if way == "raised":
                        raise OnPurposeError("the block")
        except BaseException as caught:
            error = caught
        if trio.current_time() - began > seconds + 500:
            self.fault(f"the story took {trio.current_time() - began:.0f} s")
        self._check_way_out(error, way)

    def _overran(self, late, _cause):
        self.late.append(late)

    async def _break_off(self):
        await trio.sleep(TOO_LONG)
        self.fault(f"the story hangs; waiting: {self.waiting}; {self.story.last}")
        scheduler.GLOBAL_RUN_CONTEXT.runner.clock = None  # nothing less ends a shielded wait


WORDS = (
    *("start_child", "get_or_start", "terminate_child", "restart_child", "retry_now"),
    *("delete_child", "unpark", "wait_ready", "wait_exit", "monitor", "call", "call", "send"),
)

if __name__ == "__main__":
    told = Stranger(int(sys.argv[1])).run()
    for event in told.story.events:
        print(f"{event.at:6.2f} {describe(event)[:200]}")
    print(*told.faults, sep="\n")
