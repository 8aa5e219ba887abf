"""Work with results, children by keys, shares of keys."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap

import pytest
import trio
import trio.testing

from supervisors import (
    ChildDownError,
    ChildExistsError,
    ChildSpec,
    DynamicSupervisor,
    EscalationError,
    Intensity,
    KeyTakenError,
    NoSuchChildError,
    Partitions,
    Registry,
    Restart,
    StartFailedError,
    State,
    Supervisor,
    SupervisorDownError,
    Task,
    TaskSupervisor,
    TooManyChildrenError,
    open_supervisor,
)
from supervisors.testing import ScriptedChild, crash, ready, sleep

# ---------------------------------------------------------------------- tasks


async def double(number, seconds=1.0):
    await trio.sleep(seconds)
    return 2 * number


async def fails():
    raise LookupError("nothing there")


async def test_a_task_has_a_result_for_whoever_asks(virtual_clock, recorder):
    tasks = TaskSupervisor(max_children=10)
    async with open_supervisor(Supervisor([ChildSpec("tasks", tasks)]), observers=[recorder]):
        task = await tasks.start(double, 21)
        assert (task.done, trio.current_time()) == (False, 0)
        assert tasks.children() == (task.name,)
        assert [await task.result(), await task.result()] == [42, 42]
        assert task.done
        assert trio.current_time() == 1
        assert tasks.children() == ()


async def test_a_task_that_raises_tells_its_asker_and_nobody_is_restarted(
    virtual_clock, recorder, caplog
):
    tasks = TaskSupervisor(max_children=10)
    async with open_supervisor(tasks, observers=[recorder]):
        for _ in range(20):
            task = await tasks.start(fails)
            with pytest.raises(LookupError, match="nothing there"):
                await task.result()
    assert "nothing there" in caplog.text


async def test_names_and_bounds(virtual_clock, recorder):
    tasks = TaskSupervisor(max_children=2)
    async with open_supervisor(tasks, observers=[recorder]):
        await tasks.start(double, 1, name="one")
        with pytest.raises(ChildExistsError):
            await tasks.start(double, 1, name="one")
        await tasks.start(double, 2)
        with pytest.raises(TooManyChildrenError):
            await tasks.start(double, 3)
        await trio.sleep(2)
        await tasks.start(double, 3)


async def test_a_task_that_is_stopped_has_no_result(virtual_clock, recorder):
    tasks = TaskSupervisor(max_children=2)
    async with open_supervisor(tasks, observers=[recorder]):
        task = await tasks.start(double, 1, 100)
        await task.stop()
        with pytest.raises(ChildDownError, match="stopped before"):
            await task.result()
        await task.stop()
        over = await tasks.start(double, 1, 0)
        assert await over.result() == 2
        await over.stop()
    assert trio.current_time() == 0


async def test_results_end_with_the_tree(virtual_clock, recorder):
    tasks = TaskSupervisor(max_children=2)
    found = []

    async def ask(task):
        with pytest.raises(ChildDownError):
            await task.result()
        found.append(task.done)

    async with trio.open_nursery() as nursery, open_supervisor(tasks, observers=[recorder]):
        nursery.start_soon(ask, await tasks.start(double, 1, 100))
        await trio.testing.wait_all_tasks_blocked()
    assert found == [True]
    with pytest.raises(SupervisorDownError):
        await tasks.start(double, 1)


async def test_ten_thousand_tasks_leave_nothing(virtual_clock):
    tasks = TaskSupervisor(max_children=10_000)
    async with open_supervisor(tasks, logger=None):
        results = [await tasks.start(double, number, 5.0) for number in range(10_000)]
        assert sum([await task.result() for task in results]) == 10_000 * 9_999
        del results
        assert tasks.children() == ()
        gc.collect()
        assert sum(isinstance(thing, Task) for thing in gc.get_objects()) <= 1


# ---------------------------------------------------------------------- registry


def registers(registry, *keys, **life):
    async def run(ctx):
        for key in keys:
            registry.register(key, ctx)
        ctx.ready()
        await ScriptedChild(*life.get("scripts", ()))(ctx)

    return run


async def test_a_child_is_found_by_its_keys_while_it_lives(virtual_clock, recorder):
    registry = Registry()
    tree = Supervisor(
        [ChildSpec("a", registers(registry, "x", 7)), ChildSpec("b", ScriptedChild())]
    )
    async with open_supervisor(tree, observers=[recorder]) as root:
        assert registry.find("x").path == registry.find(7).path == "root/a"
        assert list(registry) == ["x", 7]
        assert ("x" in registry, "y" in registry, len(registry)) == (True, False, 2)
        with pytest.raises(NoSuchChildError, match="'y'"):
            registry.find("y")
        await root.terminate_child("a")
        assert list(registry) == []
        await root.restart_child("a")
        assert registry.find("x").node().incarnation == 2
    assert len(registry) == 0


async def test_a_key_belongs_to_one(virtual_clock, recorder):
    registry = Registry()
    tree = Supervisor([ChildSpec("a", registers(registry, "x", "x"))])
    async with open_supervisor(tree, observers=[recorder]) as root:
        other = ChildSpec("b", registers(registry, "x"), restart=Restart.TEMPORARY)
        with pytest.raises(StartFailedError) as caught:
            await root.start_child(other)
        assert isinstance(caught.value.__cause__, KeyTakenError)
        assert registry.find("x").path == "root/a"


async def test_a_key_can_be_given_back(virtual_clock, recorder):
    registry = Registry()

    async def run(ctx):
        registry.register("x", ctx)
        ctx.ready()
        await trio.sleep(1)
        registry.unregister("x", ctx)
        registry.unregister("x", ctx)
        await trio.sleep_forever()

    async with open_supervisor(Supervisor([ChildSpec("a", run)]), observers=[recorder]):
        assert "x" in registry
        await trio.sleep(2)
        assert "x" not in registry


async def test_waiting_for_a_key(virtual_clock, recorder):
    registry = Registry()
    found = []

    async def waits():
        ref = await registry.wait("x")
        found.append((ref.path, trio.current_time()))

    late = registers(registry, "x")

    async def comes(ctx):
        if ctx.incarnation == 1:
            ctx.ready()
            await trio.sleep(3)
            raise OSError
        await late(ctx)

    tree = Supervisor([ChildSpec("a", comes)])
    async with (
        open_supervisor(tree, observers=[recorder]),
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(waits)
        nursery.start_soon(waits)
        await trio.sleep(5)
        await waits()
    assert found == [("root/a", 3), ("root/a", 3), ("root/a", 5)]


async def test_a_child_gives_a_reference_to_itself(virtual_clock, recorder):
    taken = []

    async def run(ctx):
        taken.append(ctx.ref)
        ctx.ready()
        taken.append(await ctx.mailbox.receive())
        await trio.sleep_forever()

    inner = DynamicSupervisor(max_children=1)
    async with open_supervisor(Supervisor([ChildSpec("in", inner)]), observers=[recorder]):
        await inner.start_child(ChildSpec("a", run))
        assert taken[0].path == "root/in/a"
        await taken[0].send("hello")
        await trio.sleep(1)
    assert taken[1] == "hello"


# ---------------------------------------------------------------------- partitions


async def test_a_key_is_always_in_the_same_partition(virtual_clock, recorder):
    parts = Partitions(lambda _index: DynamicSupervisor(max_children=100), 4)
    async with open_supervisor(Supervisor([ChildSpec("all", parts)]), observers=[recorder]) as root:
        for number in range(40):
            key = f"customer {number}"
            await parts.of(key).start_child(ChildSpec(key, ScriptedChild()))
        sizes = [len(part.children()) for part in parts.partitions]
        assert sum(sizes) == 40
        assert min(sizes) > 0
        assert parts.of("customer 7") is parts.of(b"customer 7")
        assert parts.of(7) is parts.partitions[3]
        index = parts.partitions.index(parts.of("customer 7"))
        assert root.find(f"root/all/{index}/customer 7").state is State.RUNNING


def test_it_is_the_same_in_every_process():
    program = """
        from supervisors import DynamicSupervisor, Partitions
        parts = Partitions(lambda _: DynamicSupervisor(max_children=1), 16)
        print([parts.partitions.index(parts.of(key)) for key in ("ana", "bob", "olá", b"x", -1)])
    """
    answers = {
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


async def test_a_storm_in_one_partition_leaves_the_others_alone(virtual_clock, recorder):
    parts = Partitions(lambda _index: DynamicSupervisor(max_children=9), 2)
    async with open_supervisor(parts, observers=[recorder]):
        calm = ScriptedChild()
        await parts.partitions[0].start_child(ChildSpec("calm", calm))
        await parts.partitions[1].start_child(
            ChildSpec("wild", ScriptedChild([ready, sleep(0.1), crash()]))
        )
        await trio.sleep(60)
        assert calm.launches == 1
        assert parts.child("1").node().restarts == 1
        assert parts.partitions[1].children() == ()


async def test_partitions_that_always_give_up_end_the_supervisor(virtual_clock, recorder):
    def make(_index):
        return Supervisor([ChildSpec("wild", ScriptedChild([ready, sleep(0.1), crash()]))])

    with pytest.raises(EscalationError):
        async with open_supervisor(
            Partitions(make, 2, intensity=Intensity(2, 60)), observers=[recorder]
        ):
            await trio.sleep_forever()
    with pytest.raises(ValueError, match="count"):
        Partitions(make, 0)


async def test_keys_that_come_and_go_leave_nothing_behind(virtual_clock):
    registry: Registry[int] = Registry()

    async def child(ctx):
        for key in range(1000):
            registry.register(key, ctx)
            registry.unregister(key, ctx)
        registry.register(7, ctx)
        assert len(ctx._endings) == 1
        ctx.ready()
        await trio.sleep_forever()

    async with open_supervisor(Supervisor([ChildSpec("a", child)])):
        assert list(registry) == [7]
    assert len(registry) == 0
