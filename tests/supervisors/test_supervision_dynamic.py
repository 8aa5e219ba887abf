"""The dynamic supervisor."""

# ruff: noqa: PT012  what is expected to raise is a whole tree
from __future__ import annotations

import pytest
import trio
from supervision_children import worker

from supervisors import (
    Backoff,
    ChildExistsError,
    ChildReady,
    ChildRemoved,
    ChildRestarting,
    ChildSpec,
    ChildStarting,
    ChildStopped,
    ChildStopping,
    DynamicSupervisor,
    EscalationError,
    Intensity,
    NoSuchChildError,
    Restart,
    StartFailedError,
    State,
    Supervisor,
    SupervisorDownError,
    TooManyChildrenError,
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


async def test_can_be_supervised_and_reached_through_the_object(virtual_clock, recorder):
    pool, other = DynamicSupervisor(max_children=3), DynamicSupervisor(max_children=3)
    tree = Supervisor([ChildSpec("pool", pool), ChildSpec("other", other)])
    async with open_supervisor(tree, observers=[recorder]) as root:
        ref = await pool.start_child(worker("x"))
        await other.start_child(worker("x"))
        assert ref.path == "root/pool/x"
        assert root.find("root/other/x").state is State.RUNNING
        assert [node.name for node in pool.tree()] == ["x"]
        with pytest.raises(ChildExistsError):
            await pool.start_child(worker("x"))


async def test_children_start_side_by_side(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=10)
    async with open_supervisor(pool, observers=[recorder]), trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(pool.start_child, worker(str(number), [sleep(3), ready, forever]))
        await recorder.wait_for(ChildReady, count=5)
        assert trio.current_time() == 3


async def test_children_stop_all_at_once(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=10)
    async with open_supervisor(pool, observers=[recorder]):
        for number in range(3):
            await pool.start_child(worker(str(number), [ready, stubborn(4)]))
    assert [e.at for e in recorder.of(ChildStopping)] == [0, 0, 0]
    assert [e.at for e in recorder.of(ChildStopped)] == [4, 4, 4]


async def test_initial_children_are_asked_for_at_each_start(virtual_clock, recorder):
    generation = []

    async def initial():
        await trio.sleep(1)
        generation.append(None)
        return [worker(f"g{len(generation)}-{number}") for number in range(3)]

    pool = DynamicSupervisor(max_children=10, initial=initial)
    tree = Supervisor([ChildSpec("pool", pool)])
    async with open_supervisor(tree, observers=[recorder]) as root:
        assert pool.children() == ("g1-0", "g1-1", "g1-2")
        await root.terminate_child("pool")
        await root.restart_child("pool")
        assert pool.children() == ("g2-0", "g2-1", "g2-2")


async def test_one_initial_child_that_fails_does_not_hold_the_others(virtual_clock, recorder):
    async def initial():
        return [
            worker("bad", [crash()], backoff=Backoff(100, 100, 1)),
            worker("parked", [park()]),
            worker("job", [], restart=Restart.TEMPORARY),
            worker("slow", [sleep(3), ready, forever]),
        ]

    pool = DynamicSupervisor(max_children=10, initial=initial)
    async with open_supervisor(pool, observers=[recorder], rng=FixedJitter()):
        assert trio.current_time() == 3
        states = {node.name: node.state for node in pool.tree()}
        assert states == {
            "bad": State.BACKOFF,
            "parked": State.PARKED,
            "slow": State.RUNNING,
        }


async def test_too_many_initial_children(virtual_clock):
    async def initial():
        return [worker(str(number)) for number in range(3)]

    with pytest.raises(ValueError, match="bound is 2"):
        async with open_supervisor(DynamicSupervisor(max_children=2, initial=initial)):
            pytest.fail("the block must not be entered")


async def test_a_failing_initial_is_a_crash_of_the_supervisor(virtual_clock, recorder):
    attempts = []

    async def initial():
        attempts.append(None)
        if len(attempts) < 3:
            raise OSError("no database")
        return []

    tree = Supervisor([ChildSpec("pool", DynamicSupervisor(max_children=1, initial=initial))])
    async with open_supervisor(tree, observers=[recorder]) as root:
        assert root.find("pool").node().restarts == 2


async def test_start_child_with_different_outcomes(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=10)
    async with open_supervisor(pool, observers=[recorder]):
        assert (await pool.start_child(worker("ok"))).state is State.RUNNING
        await pool.start_child(worker("ignored", [], restart=Restart.TRANSIENT))
        assert (await pool.start_child(worker("parked", [park()]))).state is State.PARKED
        for name, error in {"error": RuntimeError("oops"), "key": KeyError("oops")}.items():
            with pytest.raises(StartFailedError, match="oops"):
                await pool.start_child(worker(name, [crash(error)]))
        assert pool.children() == ("ok", "parked")


async def test_max_children_counts_those_that_restart_and_rest(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=2)
    async with open_supervisor(pool, observers=[recorder], rng=FixedJitter()):
        await pool.start_child(
            worker("a", [ready, sleep(1), crash()], backoff=Backoff(100, 100, 1))
        )
        await pool.start_child(worker("b"))
        await recorder.wait_for(ChildRestarting, "root/a")
        assert [node.state for node in pool.tree()] == [State.BACKOFF, State.RUNNING]
        with pytest.raises(TooManyChildrenError):
            await pool.start_child(worker("c"))
        await pool.terminate_child("b")
        with pytest.raises(TooManyChildrenError):
            await pool.start_child(worker("c"))
        await pool.delete_child("b")
        await pool.start_child(worker("c"))


async def test_a_child_that_restarts_into_failure_is_tried_again(virtual_clock, recorder):
    child = ScriptedChild([ready, sleep(1), crash()], [crash()], [ready, forever])
    pool = DynamicSupervisor(max_children=2, intensity=Intensity(2, 5))
    async with open_supervisor(pool, observers=[recorder]):
        await pool.start_child(ChildSpec("a", child))
        await recorder.wait_for(ChildReady, count=2)
        assert child.launches == 3


async def test_maximum_intensity_when_trying_again(virtual_clock, recorder):
    child = ScriptedChild([ready, sleep(1), crash()], [crash()])
    pool = DynamicSupervisor(max_children=2, intensity=Intensity(10, 5))
    with pytest.raises(EscalationError):
        async with open_supervisor(pool, observers=[recorder]):
            await pool.start_child(ChildSpec("a", child))
            await trio.sleep_forever()
    assert child.launches == 11


async def test_children_that_ended_for_good_are_removed(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=5)
    async with open_supervisor(pool, observers=[recorder]):
        await pool.start_child(worker("t", [ready, sleep(1)], restart=Restart.TRANSIENT))
        await pool.start_child(worker("u", [ready, sleep(1), crash()], restart=Restart.TEMPORARY))
        await recorder.wait_for(ChildRemoved, count=2)
        assert pool.children() == ()


async def test_terminate_and_restart_a_child(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=5)
    async with open_supervisor(pool, observers=[recorder]):
        await pool.start_child(worker("a"))
        await pool.terminate_child("a")
        await pool.terminate_child("a")
        assert pool.child("a").state is State.STOPPED
        await pool.restart_child("a")
        assert pool.child("a").state is State.RUNNING
        await pool.start_child(worker("temp", restart=Restart.TEMPORARY))
        await pool.terminate_child("temp")
        with pytest.raises(NoSuchChildError):
            await pool.terminate_child("temp")


async def test_terminate_a_child_that_waits_for_its_restart(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=5)
    async with open_supervisor(pool, observers=[recorder], rng=FixedJitter()):
        await pool.start_child(worker("a", [ready, crash()], backoff=Backoff(100, 100, 1)))
        await recorder.wait_for(ChildRestarting)
        assert pool.child("a").state is State.BACKOFF
        await pool.terminate_child("a")
        await trio.sleep(200)
        assert len(recorder.of(ChildStarting)) == 1


async def test_commands_wait_no_longer_than_the_supervisor_lives(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=5)
    errors = []

    async def caller():
        with pytest.raises(StartFailedError) as caught:
            await pool.start_child(worker("a", [forever]))
        errors.append(caught.value)

    async with trio.open_nursery() as nursery, open_supervisor(pool, observers=[recorder]):
        nursery.start_soon(caller)
        await recorder.wait_for(ChildStarting)
    assert len(errors) == 1
    with pytest.raises(SupervisorDownError):
        await pool.start_child(worker("b"))


async def test_terminate_while_starting_fails_the_start(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=5)
    async with open_supervisor(pool, observers=[recorder]), trio.open_nursery() as nursery:

        async def start():
            with pytest.raises(StartFailedError):
                await pool.start_child(worker("a", [forever]))

        nursery.start_soon(start)
        await recorder.wait_for(ChildStarting)
        await pool.terminate_child("a")


async def test_many_waiters_for_the_same_stop(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=5)
    async with open_supervisor(pool, observers=[recorder]):
        await pool.start_child(worker("a", [ready, stubborn(3)]))
        async with trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(pool.terminate_child, "a")
        assert trio.current_time() == 3


async def test_permanent_children_that_return_when_stopped_do_not_come_back(
    virtual_clock, recorder
):
    async def polite(ctx):
        ctx.ready()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            return

    pool = DynamicSupervisor(max_children=5)
    async with open_supervisor(pool, observers=[recorder]):
        for name in "abc":
            await pool.start_child(ChildSpec(name, polite))
    assert len(recorder.of(ChildStarting)) == 3
    assert len(recorder.of(ChildStopped)) == 3


def test_dynamic_supervisor_bounds():
    with pytest.raises(ValueError, match="max_children"):
        DynamicSupervisor(max_children=0)
    DynamicSupervisor(max_children=1)


async def test_dynamic_supervisors_refuse_significant_children(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=5)
    spec = worker("a", restart=Restart.TRANSIENT, significant=True)
    async with open_supervisor(pool, observers=[recorder]):
        with pytest.raises(ValueError, match="no auto_shutdown"):
            await pool.start_child(spec)


async def test_commands_before_the_first_children_are_known(virtual_clock, recorder):
    async def initial():
        await trio.sleep(1)
        return []

    pool = DynamicSupervisor(max_children=5, initial=initial)
    async with trio.open_nursery() as nursery:

        async def early():
            with pytest.raises(SupervisorDownError):
                await pool.start_child(worker("a"))
            assert not pool.is_running

        nursery.start_soon(early)
        async with open_supervisor(pool, observers=[recorder]):
            await pool.start_child(worker("a"))
