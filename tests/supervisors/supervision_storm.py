"""Random trees with random commands under virtual time, for the invariants."""

from __future__ import annotations

import math
import random

import trio
import trio._core._run as scheduler
import trio.testing

from supervisors import (
    Backoff,
    ChildDownError,
    ChildSpec,
    DynamicSupervisor,
    Escalate,
    EscalationError,
    Intensity,
    MailboxGoneError,
    Restart,
    StopError,
    Strategy,
    SupervisionError,
    Supervisor,
    open_supervisor,
)
from supervisors.testing import (
    EventRecorder,
    ScriptedChild,
    beating,
    crash,
    forever,
    park,
    ready,
    sleep,
    stubborn,
)

STOP_DEADLINE = 3.0
LONGEST_STUBBORN = 2.0


class CrashError(Exception):
    """The only thing a storm's children crash with."""


class Storm:
    """One random story. ``run()`` plays it to its end; the records stay."""

    def __init__(self, seed):
        self.seed = seed
        self.random = random.Random(seed)
        self.recorder = EventRecorder()
        self.children = []
        self.raised = 0
        self.calls_begun = self.calls_over = 0
        self.error = None
        self.stop_began = self.stop_over = math.nan
        self.specs = {}
        self.tasks_left = None
        self.strategies = {}
        self.intensities = {}

    def run(self):
        # With hypothesis imported trio draws the order of tasks from this generator: seeded, the
        # same seed tells the same story.
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
        scheduler._r.seed(self.seed)
        clock = trio.testing.MockClock(autojump_threshold=0)
        trio.run(self._main, clock=clock)
        return self

    # ------------------------------------------------------------------ the tree

    def _script(self):
        pick = self.random.choice
        wait = sleep(pick([0, 0.5, 1, 2, 5]))
        end = pick(
            [
                [self._crash],
                [self._crash],
                [],
                [park("storm", "storm")],
                [forever],
                [forever],
                [stubborn(pick([1, LONGEST_STUBBORN])), self._crash],
                [beating(1, pick([3, 30])), forever],
                [self._answer],
                [self._crash_when_stopped],
            ]
        )
        start = pick([[ready], [ready], [wait, ready], [wait]])
        if self.random.random() < 0.01:
            end = [crash(Escalate("storm"))]
        return [*start, wait, *end]

    async def _crash(self, _ctx):
        self.raised += 1
        raise CrashError("storm")

    async def _crash_when_stopped(self, _ctx):
        try:
            await trio.sleep_forever()
        finally:
            self.raised += 1
            raise CrashError("while stopping")

    async def _answer(self, ctx):
        async for call in ctx.mailbox:
            call.reply(call.message)
            if self.random.random() < 0.2:
                self.raised += 1
                raise CrashError("after an answer")

    def _child(self, name):
        pick = self.random.choice
        restart = pick([Restart.PERMANENT, Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY])
        backoff = pick([None, Backoff(0.5, 4, 2, reset_after=6)])
        child = ScriptedChild(*[self._script() for _ in range(6)], [ready, forever])
        self.children.append(child)
        return ChildSpec(
            name,
            child,
            restart=restart,
            backoff=None if restart is Restart.TEMPORARY else backoff,
            liveness=pick([None, None, 4]),
            ready_deadline=4,
            stop_deadline=STOP_DEADLINE,
            mailbox=3,
        )

    def _supervisor(self, path, depth):
        pick = self.random.choice
        specs = []
        for letter in "abcd"[: pick([2, 3, 4])]:
            if depth and self.random.random() < 0.4:
                nested = self._supervisor(f"{path}/{letter}", depth - 1)
                specs.append(ChildSpec(letter, nested, backoff=Backoff(0.5, 4)))
            else:
                specs.append(self._child(letter))
        self.specs.update({f"{path}/{spec.name}": spec for spec in specs})
        intensity = Intensity(pick([3, 10, 40]), pick([2.0, 10.0]))
        strategy = pick(list(Strategy))
        self.strategies[path], self.intensities[path] = strategy, intensity
        return Supervisor(specs, strategy=strategy, intensity=intensity)

    # ------------------------------------------------------------------ the story

    async def _main(self):
        before = len(trio.lowlevel.current_task().parent_nursery.child_tasks)
        pick = self.random.choice
        budget = Intensity(pick([2, 20]), 2.0)
        self.pool = DynamicSupervisor(max_children=4, intensity=budget)
        self.intensities["root/pool"] = budget
        inner = self._supervisor("root/tree", 2)
        backoff = pick([None, Backoff(0.5, 4)])
        specs = [ChildSpec("tree", inner, backoff=backoff), ChildSpec("pool", self.pool)]
        self.specs.update({f"root/{spec.name}": spec for spec in specs})
        self.strategies["root"], self.intensities["root"] = (
            Strategy.ONE_FOR_ONE,
            Intensity(pick([0, 3]), 5),
        )
        rng = random.Random(self.random.random())
        try:
            async with (
                open_supervisor(
                    Supervisor(specs, intensity=self.intensities["root"]),
                    observers=[self.recorder],
                    rng=rng,
                    stop_limit=1000,
                ) as root,
                trio.open_nursery() as nursery,
            ):
                for _ in range(3):
                    nursery.start_soon(self._commander, root)
                    nursery.start_soon(self._caller, root)
                await trio.sleep(40)
                nursery.cancel_scope.cancel()
                self.stop_began = trio.current_time()
        except (EscalationError, StopError) as error:
            self.error = error
        self.stop_over = trio.current_time()
        self.tasks_left = len(trio.lowlevel.current_task().parent_nursery.child_tasks) - before

    def _somebody(self, root, word=""):
        paths = [node.path for node in root.tree().walk()]
        deep = [path for path in paths if path.count("/") > 1]
        if word != "rm" and self.random.random() < 0.05:
            deep = ["root/tree", "root/pool"]
        return self.random.choice(deep or ["root/nobody"])

    async def _commander(self, root):
        while True:
            await trio.sleep(self.random.choice([0.25, 0.5, 1]))
            word = self.random.choice(["terminate_child", "restart_child", "unpark", "start", "rm"])
            with trio.move_on_after(self.random.choice([0, 1, 10])):
                try:
                    path = self._somebody(root, word)
                    if word == "start":
                        await self.pool.start_child(self._child(self.random.choice("uvwxyz")))
                    elif word == "rm":
                        await root.delete_child(path)
                    else:
                        await getattr(root, word)(path)
                except SupervisionError:
                    continue

    async def _caller(self, root):
        while True:
            await trio.sleep(self.random.choice([0.25, 0.5, 1]))
            self.calls_begun += 1
            try:
                with trio.move_on_after(self.random.choice([1, 100])):
                    ref = root.find(self._somebody(root))
                    await ref.call("question")
            except (ChildDownError, MailboxGoneError, SupervisionError):
                continue
            finally:
                self.calls_over += 1
