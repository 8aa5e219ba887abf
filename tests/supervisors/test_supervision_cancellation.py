"""Every scenario again with a cancellation after the k-th step, for every k."""

from __future__ import annotations

import pytest
import trio
from supervision_checkpoints import every_step
from supervision_processes import descendants, strays

from supervisors import (
    Backoff,
    Call,
    ChildSpec,
    DynamicSupervisor,
    Intensity,
    Restart,
    Strategy,
    SubprocessChild,
    Supervisor,
    open_supervisor,
)
from supervisors.testing import (
    FixedJitter,
    ScriptedChild,
    crash,
    forever,
    park,
    ready,
    sleep,
    stubborn,
)


def child(world, name, *scripts, **options):
    script = ScriptedChild(*scripts)
    world.children.append(script)
    return ChildSpec(name, script, **options)


def opened(world, tree):
    jitter = FixedJitter(0.5)  # every run of a scenario has the same steps
    return open_supervisor(tree, observers=[world.recorder], stop_limit=1000, rng=jitter)


async def ordered(world):
    """Start in order, stop in reverse, one slow and one that crashes when stopped."""
    children = [
        child(world, "a", [sleep(1), ready, stubborn(2), forever]),
        child(world, "b", [sleep(1), ready, world.crash_when_stopped]),
        child(world, "c", [ready, sleep(3), world.crash], [ready, forever]),
    ]
    async with opened(world, Supervisor(children)):
        await trio.sleep(5)


async def rest_for_one(world):
    children = [
        child(world, "a"),
        child(world, "b", [ready, sleep(2), world.crash], [sleep(1), ready, forever]),
        child(world, "c", [ready, world.crash_when_stopped], [ready, forever]),
        child(world, "d", [ready, stubborn(3)], [ready, forever], restart=Restart.TRANSIENT),
    ]
    async with opened(world, Supervisor(children, strategy=Strategy.REST_FOR_ONE)):
        await trio.sleep(10)


async def one_for_all_with_backoff(world):
    children = [
        child(world, "a", [ready, sleep(1), world.crash], [ready, forever], backoff=Backoff(1, 2)),
        child(world, "b", [ready, forever]),
        child(world, "c", [park()]),
    ]
    async with opened(world, Supervisor(children, strategy=Strategy.ONE_FOR_ALL)) as root:
        await trio.sleep(4)
        await root.unpark("c")


async def gives_up(world):
    inner = Supervisor(
        [child(world, "x", [ready, sleep(1), world.crash]), child(world, "y")],
        intensity=Intensity(1, 100),
    )
    tree = Supervisor([child(world, "a"), ChildSpec("inner", inner)], intensity=Intensity(1, 100))
    async with opened(world, tree):
        await trio.sleep_forever()


async def commands(world):
    pool = DynamicSupervisor(max_children=5)
    tree = Supervisor([ChildSpec("pool", pool), child(world, "z")])
    async with opened(world, tree) as root:
        await pool.start_child(child(world, "a", [sleep(1), ready, forever]))
        await pool.start_child(child(world, "b", [park()], [ready, forever]))
        await pool.unpark("b")
        await pool.terminate_child("a")
        await pool.restart_child("a")
        await root.terminate_child("pool")
        await root.restart_child("pool")


async def cancelled_commander(world):
    """Only the task that gives the commands is cancelled; the tree goes on."""
    pool = DynamicSupervisor(max_children=5)
    async with opened(world, pool):
        world.target = trio.CancelScope()
        with world.target:
            await pool.start_child(child(world, "a", [sleep(1), ready, forever]))
            await pool.start_child(child(world, "b", [park()], [sleep(1), ready, forever]))
            await pool.unpark("b")
            await pool.terminate_child("a")
            await pool.restart_child("a")
            await pool.terminate_child("b")
            await pool.delete_child("b")
        await trio.sleep(5)
        assert {node.state.value for node in pool.tree()} <= {"running", "stopped", "parked"}


async def answers(ctx):
    ctx.ready()
    async for message in ctx.mailbox:
        if isinstance(message, Call):
            await trio.sleep(1)
            message.reply(message.message)


async def calls(world):
    """Calls to a child that answers, to one that dies and to one that is stopped."""

    async def dies(ctx):
        ctx.ready()
        async for _ in ctx.mailbox:
            await world.crash()

    tree = Supervisor(
        [ChildSpec("answers", answers), ChildSpec("dies", dies, mailbox=1)],
        intensity=Intensity(10, 100),
    )
    async with opened(world, tree) as root, trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(world.call, root.child("answers"), number)
            nursery.start_soon(world.call, root.child("dies"), number)
        await trio.sleep(2.5)
        await root.terminate_child("answers")
    assert len(world.outcomes) == 6


async def hangs(world):
    """A missed beat, a missed readiness, and a nested tree that is stopped meanwhile."""
    inner = Supervisor([child(world, "x", [ready, stubborn(1), forever], liveness=2)])
    tree = Supervisor(
        [
            ChildSpec("inner", inner),
            child(world, "late", [forever], [ready, forever], ready_deadline=3),
        ]
    )
    async with opened(world, tree) as root:
        await trio.sleep(4)
        await root.terminate_child("inner")


async def fails_to_start(world):
    tree = Supervisor(
        [child(world, "a"), child(world, "b", [sleep(1), crash()])], intensity=Intensity(2, 100)
    )
    async with opened(world, tree):
        raise AssertionError("the block must not be entered")


SCENARIOS = [
    ordered,
    rest_for_one,
    one_for_all_with_backoff,
    gives_up,
    commands,
    cancelled_commander,
    calls,
    hangs,
    fails_to_start,
]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_cancelled_at_every_step(scenario, seed):
    assert every_step(scenario, seed) > 20


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "leash"])
def test_a_program_cancelled_at_every_step_leaves_no_process(direct):
    async def scenario(world):
        program = SubprocessChild(
            ["/bin/sh", "-c", "echo up; sleep 60"],
            ready_line=lambda line: line == "up",
            stdin_eof_stops=direct,
        )
        async with opened(world, Supervisor([ChildSpec("p", program, stop_deadline=10)])):
            await trio.sleep(0.001)

    before = descendants()
    assert every_step(scenario, 0, virtual=False) > 15
    assert strays(before) == []
