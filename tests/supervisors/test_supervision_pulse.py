"""A child that blocks the loop is named, and one that does so again and again is seen in live().

In real time: what blocks is a thread of the machine, whatever the clock of the run says.
"""

from __future__ import annotations

import ctypes
import threading
import time

import pytest
import trio

from supervisors import (
    Backoff,
    ChildExited,
    ChildSpec,
    LoopBlocked,
    Pulse,
    Supervisor,
    open_supervisor,
)
from supervisors._trio.log import describe
from supervisors.events import Event

BLOCK = 0.4
AFTER = 0.2


def hold_up():
    time.sleep(BLOCK)


def hold_up_with_the_gil():
    ctypes.PyDLL(None).usleep(int(BLOCK * 1e6))


def compute_without_a_turn_of_python():
    begin = time.perf_counter()
    size = 1_000_000
    while time.perf_counter() - begin < BLOCK:  # the last call alone takes about as long as all
        begin = time.perf_counter()
        sum(range(size))
        size *= 2


def watched(*children, **options):
    pulse = Pulse(**{"blocked_after": AFTER, **options})
    return pulse, Supervisor([ChildSpec("pulse", pulse), *children])


def blocking(how, times=1):
    async def run(ctx):
        ctx.ready()
        for _ in range(times):
            await trio.sleep(0.01)
            how()
        await trio.sleep_forever()

    return run


async def first_block(tree, recorder, path):
    async with open_supervisor(tree, observers=[recorder]):
        with trio.fail_after(60):
            return await recorder.wait_for(LoopBlocked, path)


@pytest.mark.parametrize(
    "how",
    [hold_up, hold_up_with_the_gil, compute_without_a_turn_of_python],
    ids=lambda f: f.__name__,
)
async def test_the_child_that_blocks_is_named(recorder, how):
    idle = ChildSpec("idle", blocking(lambda: None))
    _, tree = watched(idle, ChildSpec("a", blocking(how)))
    block = await first_block(tree, recorder, "root/a")
    assert AFTER <= block.seconds < 60
    assert any(line.endswith(f" in {how.__name__}") for line in block.where)
    assert not any("/trio/_core/" in line or "/_trio/run.py" in line for line in block.where)
    assert recorder.of(LoopBlocked, "root/idle") == []


async def test_a_task_in_a_nursery_of_the_child_is_the_child(recorder):
    async def inner():
        await trio.sleep(0.01)
        hold_up()

    async def run(ctx):
        ctx.ready()
        async with trio.open_nursery() as outer, trio.open_nursery() as nursery:
            outer.start_soon(trio.sleep_forever)
            nursery.start_soon(inner)

    _, tree = watched(ChildSpec("a", run))
    block = await first_block(tree, recorder, "root/a")
    assert block.where[-1].endswith(" in hold_up")
    assert block.where[-2].endswith(" in inner")


async def test_below_a_nested_supervisor_the_innermost_child_is_named(recorder):
    below = Supervisor([ChildSpec("b", blocking(lambda: None)), ChildSpec("c", blocking(hold_up))])
    _, tree = watched(ChildSpec("sub", below))
    await first_block(tree, recorder, "root/sub/c")
    assert recorder.of(LoopBlocked, "root/sub/b") == recorder.of(LoopBlocked, "root/sub") == []


async def test_a_task_of_no_child_goes_by_the_path_of_the_root(recorder):
    _, tree = watched(ChildSpec("a", blocking(lambda: None)))
    async with open_supervisor(tree, observers=[recorder]):
        hold_up()
        with trio.fail_after(60):
            block = await recorder.wait_for(LoopBlocked)
    assert block.path == "root"
    assert block.where[-1].endswith(" in hold_up")


async def test_many_who_each_take_a_little_are_no_blockers(recorder):
    go = trio.Event()

    async def run(ctx):
        ctx.ready()
        await go.wait()
        for _ in range(3):
            await trio.lowlevel.checkpoint()
            time.sleep(0.01)  # noqa: ASYNC251  its share of the turn
        await trio.sleep_forever()

    pulse, tree = watched(*(ChildSpec(f"c{n}", run) for n in range(40)), window=1.0)
    async with open_supervisor(tree, observers=[recorder]):
        go.set()
        with trio.fail_after(60):
            block = await recorder.wait_for(LoopBlocked)
        assert (block.path, block.where) == ("root", ())
        assert pulse.live().blockers == ()


async def test_who_blocks_again_and_again_is_a_blocker_until_the_window_has_passed(recorder):
    calm = trio.Event()

    async def run(ctx):
        ctx.ready()
        while not calm.is_set():
            hold_up()
            await trio.lowlevel.checkpoint()
        await trio.sleep_forever()

    pulse, tree = watched(ChildSpec("a", run), window=1.0)
    assert pulse.live().blockers == ()
    async with open_supervisor(tree, observers=[recorder]):
        with trio.fail_after(60):
            while not (live := pulse.live()).blockers:  # noqa: ASYNC110  as a prober does
                await trio.sleep(0.01)
            assert live.blockers == ("root/a",)
            assert not live.ok
            calm.set()
            while not (live := pulse.live()).ok:  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert live.blockers == ()
        assert {block.path for block in recorder.of(LoopBlocked)} == {"root/a"}


async def test_one_block_alone_makes_no_blocker(recorder):
    pulse, tree = watched(ChildSpec("a", blocking(hold_up)), window=BLOCK)
    async with open_supervisor(tree, observers=[recorder]):
        with trio.fail_after(60):
            block = await recorder.wait_for(LoopBlocked)
        assert block.seconds > BLOCK / 2
        assert pulse.live().ok
        assert pulse.live().blockers == ()


async def test_a_block_that_lasts_is_logged_while_it_lasts(recorder, caplog):
    _, tree = watched(ChildSpec("a", blocking(hold_up)), max_lag=0.1, blocked_after=0.05)
    await first_block(tree, recorder, "root/a")
    alarms = [r for r in caplog.records if "has not turned" in r.getMessage()]
    assert alarms[0].levelname == "CRITICAL"
    assert "root/a" in alarms[0].getMessage()
    assert "in hold_up" in alarms[0].getMessage()


async def waiting(ctx):
    ctx.ready()
    await trio.sleep_forever()


async def busy_in_small_steps(ctx):
    ctx.ready()
    while True:
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    ("run", "after"), [(waiting, 0.04), (busy_in_small_steps, AFTER)], ids=["waits", "busy"]
)
async def test_a_loop_that_turns_is_not_blocked(recorder, run, after):
    _, tree = watched(ChildSpec("a", run), blocked_after=after)
    async with open_supervisor(tree, observers=[recorder]):
        await trio.sleep(3 * AFTER)
    assert recorder.of(LoopBlocked) == []


async def test_under_a_virtual_clock_nothing_is_blocked(virtual_clock, recorder):
    pulse, tree = watched(ChildSpec("a", blocking(hold_up, times=2)), blocked_after=0.05)
    async with open_supervisor(tree, observers=[recorder]):
        await trio.sleep(1000)
        virtual_clock.jump(60)
        await trio.sleep(10)
        assert pulse.live().ok
    assert recorder.of(LoopBlocked) == []
    assert samplers() == []


def samplers():
    return [thread for thread in threading.enumerate() if thread.name.endswith(" sampler")]


async def test_the_thread_goes_with_the_pulse(recorder):
    broken = False

    def measured(_lag):
        nonlocal broken
        if broken:
            broken = False
            raise OSError("disk is full")

    pulse = Pulse(interval=0.01, measured=measured)
    spec = ChildSpec("pulse", pulse, backoff=Backoff(0.01, 0.01, 1))
    with trio.CancelScope() as scope:
        async with open_supervisor(Supervisor([spec]), observers=[recorder]) as root:
            assert len(samplers()) == 1
            broken = True
            with trio.fail_after(60):
                await recorder.wait_for(ChildExited)
                while not pulse.live().ok:  # noqa: ASYNC110  as a prober does
                    await trio.sleep(0.01)
            assert len(samplers()) == 1
            await root.terminate_child("pulse")
            assert samplers() == []
            await root.restart_child("pulse")
            assert len(samplers()) == 1
            scope.cancel()
    assert samplers() == []


async def checkpoints(count):
    """Seconds of the loop's thread that so many bare steps take."""
    begin = time.thread_time()
    for _ in range(count):
        await trio.lowlevel.checkpoint()
    return time.thread_time() - begin


async def test_a_loop_that_turns_pays_next_to_nothing():
    bare, sampled = [], []
    pulse, tree = watched()
    async with open_supervisor(tree) as root:
        for _ in range(8):
            assert pulse.live().ok
            sampled.append(await checkpoints(4000))
            await root.terminate_child("pulse")
            bare.append(await checkpoints(4000))
            await root.restart_child("pulse")
    assert min(sampled) < 1.5 * min(bare)


def test_the_event_says_who_how_long_and_where():
    block: Event = LoopBlocked("root/a", 7.0, 0.5, ("a.py:3 in run",))
    assert describe(block).split() == [
        *("root/a", "LoopBlocked", "seconds=0.500"),
        *("a.py:3", "in", "run"),
    ]


@pytest.mark.parametrize("option", ["blocked_after", "window"])
def test_bad_pulse(option):
    with pytest.raises(ValueError, match="positive"):
        Pulse(**{option: 0})
