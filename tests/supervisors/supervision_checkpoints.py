"""Runs a scenario again and again, cancelled after its 1st, 2nd, 3rd ... scheduler step."""

from __future__ import annotations

import trio
import trio._core._run as scheduler
import trio.testing

from supervisors import ChildDownError, ChildExited, EscalationError, StopError, SupervisionError
from supervisors._core.exits import leaves
from supervisors.testing import EventRecorder


class CrashError(Exception):
    """What scenarios crash with on purpose."""


class World:
    """What one run of a scenario leaves behind."""

    def __init__(self):
        self.recorder = EventRecorder()
        self.target = trio.CancelScope()  # what is cancelled; a scenario may put it elsewhere
        self.children = []
        self.raised = 0
        self.calls_begun = self.calls_over = 0
        self.outcomes = []
        self.finished = False

    async def crash(self, _ctx=None):
        self.raised += 1
        raise CrashError("on purpose")

    async def crash_when_stopped(self, _ctx):
        try:
            await trio.sleep_forever()
        finally:
            self.raised += 1
            raise CrashError("while stopping")

    async def call(self, ref, message):
        self.calls_begun += 1
        try:
            self.outcomes.append(await ref.call(message))
        except (ChildDownError, SupervisionError) as error:
            self.outcomes.append(error)
        finally:
            self.calls_over += 1


class CancelAfter(trio.abc.Instrument):
    """Cancels the world's target after so many steps of the scheduler."""

    def __init__(self, world, step):
        self.world = world
        self.step = step
        self.steps = 0

    def after_task_step(self, task):
        self.steps += 1
        if self.steps == self.step:
            self.world.target.cancel()


def play(scenario, step, seed, virtual=True):
    """One run, cancelled after ``step`` steps. Returns its world and the number of steps."""
    # Importing hypothesis makes trio draw the order of each batch from this generator: so it is
    # seeded, to count the same steps each time, and run with several seeds.
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
    scheduler._r.seed(seed)
    world = World()
    instrument = CancelAfter(world, step)

    async def main():
        outer = world.target
        with outer:
            try:
                await scenario(world)
            except EscalationError:
                if world.finished:  # not one that the scenario expects
                    raise
            except StopError as error:  # those whom scenarios let crash when they are stopped
                if not all(isinstance(part, CrashError) for part in error.exceptions):
                    raise
            world.finished = True
            await trio.lowlevel.checkpoint()
        if outer is world.target and outer.cancel_called:
            assert outer.cancelled_caught, "a cancellation was swallowed"

    clock = trio.testing.MockClock(autojump_threshold=0) if virtual else None
    trio.run(main, clock=clock, instruments=[instrument])
    check(world)
    return world, instrument.steps


def check(world):
    """Invariants 8 to 10 (that no task is left, ``trio.run`` itself has made sure of)."""
    world.recorder.check()
    assert world.recorder.unfinished() == []
    assert all(child.live == 0 for child in world.children)
    assert all(child.most_live <= 1 for child in world.children)
    crashes = 0
    for event in world.recorder.of(ChildExited):
        parts = list(leaves(event.error)) if event.error is not None else []
        assert not any(isinstance(part, trio.Cancelled) for part in parts), event
        assert "Cancelled" not in event.exit.reason, event
        crashes += sum(isinstance(part, CrashError) for part in parts)
    assert crashes == world.raised, "a crash was lost"
    assert world.calls_begun == world.calls_over, "a call never resolved"


def every_step(scenario, seed, virtual=True):
    """Cancels at every step that the undisturbed run has. Returns how many there were."""
    total = play(scenario, 0, seed, virtual)[1]
    for step in range(1, total + 1):
        play(scenario, step, seed, virtual)
    return total
