"""Random trees of children that do wrong whatever they can, commanded at random from all sides.

Nothing of ``supervisors.testing`` is used here: whoever looks is no relative. ``PYTHONPATH=. python
supervision_stranger.py SEED`` tells one story again.
"""

from __future__ import annotations

import logging
import random
import sys
import traceback
from functools import partial

import trio
import trio._core._run as scheduler
import trio.testing
from supervision_misdeeds import MISDEEDS, OfItsOwn, OnPurposeError
from supervision_story import Story

from supervisors import (
    AutoShutdown,
    Backoff,
    Call,
    ChildSpec,
    DynamicSupervisor,
    Escalate,
    EscalationError,
    Intensity,
    NotStoppedError,
    Park,
    Restart,
    StopError,
    Strategy,
    Stuck,
    SupervisionError,
    Supervisor,
    SupervisorDownError,
    open_supervisor,
)
from supervisors._core.exits import leaves
from supervisors._trio import call as calls
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


class Stranger:
    """One story. ``run()`` tells it; ``faults`` are what went wrong."""

    def __init__(self, seed):
        self.seed = seed
        self.dice = random.Random(seed)
        self.faults = []
        self.story = Story(self.fault)
        self.homes = []  # (path, supervisor)
        self.names = {}  # of the children of a supervisor, by its id
        self.live = {}
        self.kinds = {}  # how often each misdeed was done
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

    # ------------------------------------------------------------------ the tree

    def _spec(self, home, name):
        pick, chance = self.dice.choice, self.dice.random
        restart = pick([Restart.PERMANENT, Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY])
        backoff = pick([None, Backoff(0.2, 2, 2, reset_after=6), Backoff(3, 3, 1)])
        drain = pick([None, None, 0.5, 3])
        return ChildSpec(
            name,
            partial(self._child, home),
            restart=restart,
            backoff=None if restart is Restart.TEMPORARY else backoff,
            counts_intensity=None
            if backoff is None
            else pick([None, True, False])
            if restart is not Restart.TEMPORARY
            else None,
            ready_deadline=pick([None, 1, 4]),
            stop_deadline=pick([None, 1, 6]),
            drain_deadline=drain,
            drain_mailbox=drain is not None and chance() < 0.5,
            stuck=pick(list(Stuck)),
            liveness=pick([None, None, 2]),
            mailbox=pick([0, 1, 3]),
            significant=restart is not Restart.PERMANENT and self._ends(home) and chance() < 0.5,
            classify=pick([None, None, self._classify]),
        )

    @staticmethod
    def _ends(home):
        return home._policy.auto_shutdown is not AutoShutdown.NEVER

    def _classify(self, _error):
        verdict = self.dice.choice([None, None, Park("classified"), Escalate("c"), 7, OfItsOwn()])
        if isinstance(verdict, Escalate) and not self.may_escalate:
            return None
        if isinstance(verdict, OfItsOwn):
            raise verdict
        return verdict

    def _supervisor(self, path, depth):
        pick, chance = self.dice.choice, self.dice.random
        intensity = Intensity(pick([0, 3, 20, 200]), pick([0.5, 5, 20]))
        names = list("abcd"[: pick([0, 1, 2, 3, 4])])
        if path == "root" and chance() < 0.8:  # most stories are to last
            intensity, names = Intensity(500, 5), list("abcd")
        if chance() < 0.3:
            home = DynamicSupervisor(max_children=6, intensity=intensity, initial=lambda: first())
        else:
            auto = pick([*[AutoShutdown.NEVER] * 4, AutoShutdown.ANY_SIGNIFICANT])
            strategy = pick(list(Strategy))
            home = Supervisor([], strategy=strategy, intensity=intensity, auto_shutdown=auto)
        self.homes.append((path, home))
        self.names[id(home)] = [*names, "a", "x", "y"]
        specs = [self._member(home, path, name, depth) for name in names]

        async def first():
            await trio.sleep(pick([0, 0.5]))
            if chance() < 0.05:
                raise OnPurposeError("initial")
            return specs

        if isinstance(home, Supervisor):
            home._children = tuple(specs)  # whose specs know the home
        return home

    def _member(self, home, path, name, depth):
        if depth and self.dice.random() < 0.35:
            return self._nested(path, name, depth)
        return self._spec(home, name)

    def _nested(self, path, name, depth):
        inner = self._supervisor(f"{path}/{name}", depth - 1)
        pick = self.dice.choice
        restart = pick([Restart.PERMANENT, Restart.PERMANENT, Restart.TRANSIENT])

        async def hosts(ctx):
            await trio.sleep(pick([0, 0.3]))
            try:
                await inner(ctx)
            finally:
                with trio.CancelScope(shield=True):
                    await trio.sleep(pick([0, 0.3]))
            if self.dice.random() < 0.1:
                raise OnPurposeError("the host itself")

        return ChildSpec(
            name,
            pick([inner, inner, hosts]),
            restart=restart,
            backoff=pick([None, Backoff(0.2, 2)]),
            drain_deadline=pick([None, None, 1]),
        )

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
                while self.waiting:
                    await trio.sleep(0.5)
            for what in self.waiting.values():
                self.fault(f"never answered: {what}")
            self.outer.cancel_scope.cancel()
        self._check_remains()

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

    def _check_way_out(self, error, way):
        self.out = type(error).__name__
        expected = (EscalationError, StopError, NotStoppedError, OnPurposeError, OfItsOwn)
        for part in [] if error is None else leaves(error):
            if isinstance(part, StopError | SystemExit) or isinstance(part, expected):
                continue
            if not self.story.crashed_at_the_stop:
                self.fault(f"out came {part!r}, {way}")
        if error is None and self.story.crashed_at_the_stop and way != "cancelled":
            self.fault("children crashed when stopped, and nobody was told")
        if self.late and not self._somebody_hung():
            self.fault(f"the stop took longer than it may: {self.late}")

    def _somebody_hung(self):
        names = {type(event).__name__ for event in self.story.events}
        return bool(names & {"ChildAbandoned", "ChildStuck"})

    def _check_remains(self):
        self.story.end()
        if any(self.live.values()):
            self.fault(f"still live: {self.live}")
        todo = [trio.lowlevel.current_root_task()]
        while todo:
            task = todo.pop()
            todo.extend(t for nursery in task.child_nurseries for t in nursery.child_tasks)
            if task.name.startswith("root"):
                self.fault(f"a task is left: {task.name}")
        if calls.waiting:
            self.fault(f"calls are left: {calls.waiting}")
        for path, home in self.homes:
            try:
                self.fault(f"{path} still runs: {home.tree()}")
            except SupervisorDownError:
                continue
        for life, error in self.told:
            told = self.story.judged.get(life)
            if told is None or not any(error is part for part in _all(told.error)):
                self.fault(f"{life}: {type(error).__name__} was lost: {told}")

    async def _break_off(self):
        await trio.sleep(TOO_LONG)
        self.fault(f"the story hangs; waiting: {self.waiting}; {self.story.last}")
        scheduler.GLOBAL_RUN_CONTEXT.runner.clock = None  # nothing less ends a shielded wait


def _all(error):
    """What is inside the error, and what was raised in place of something else."""
    while error is not None:
        yield from leaves(error)
        error = error.__context__


WORDS = (
    *("start_child", "get_or_start", "terminate_child", "restart_child", "retry_now"),
    *("delete_child", "unpark", "wait_ready", "wait_exit", "monitor", "call", "call", "send"),
)

if __name__ == "__main__":
    told = Stranger(int(sys.argv[1])).run()
    for event in told.story.events:
        print(f"{event.at:6.2f} {describe(event)[:200]}")
    print(*told.faults, sep="\n")
