"""Start, stop, commands: what a supervisor with a fixed order does."""

from __future__ import annotations

import pytest
import trio
from supervision_children import slow_to_stop, worker

from supervisors import (
    AutoShutdown,
    Backoff,
    ChildExistsError,
    ChildReady,
    ChildRestarting,
    ChildSpec,
    ChildStarting,
    ChildStateError,
    ChildStopped,
    ChildStopping,
    EscalationError,
    ExitKind,
    Intensity,
    NoSuchChildError,
    Restart,
    StartFailedError,
    State,
    Strategy,
    Supervisor,
    SupervisorDownError,
    open_supervisor,
)
from supervisors.testing import FixedJitter, ScriptedChild, crash, forever, park, ready, sleep


async def test_no_children(virtual_clock, recorder):
    async with open_supervisor(Supervisor([]), observers=[recorder]) as root:
        assert root.tree().children == ()
        assert root.tree().state is State.RUNNING


async def test_children_start_in_order_each_gated_on_ready(virtual_clock, recorder):
    children = [worker(name, [sleep(2), ready, forever]) for name in "abc"]
    async with open_supervisor(Supervisor(children), observers=[recorder]):
        assert [(e.path, e.at) for e in recorder.of(ChildStarting)] == [
            ("root/a", 0),
            ("root/b", 2),
            ("root/c", 4),
        ]
        assert [(e.path, e.at, e.took) for e in recorder.of(ChildReady)][-1] == ("root/c", 6, 2)
        assert trio.current_time() == 6


async def test_children_stop_in_reverse_order_one_at_a_time(virtual_clock, recorder):
    children = [ChildSpec(name, slow_to_stop(3)) for name in "abc"]
    async with open_supervisor(Supervisor(children), observers=[recorder]):
        pass
    assert [(e.path[-1], e.at) for e in recorder.of(ChildStopping)] == [
        ("c", 0),
        ("b", 3),
        ("a", 6),
    ]
    assert [(e.path[-1], e.at) for e in recorder.of(ChildStopped)] == [("c", 3), ("b", 6), ("a", 9)]


async def test_child_life_cycle(virtual_clock, recorder):
    root_supervisor = Supervisor([])
    async with open_supervisor(root_supervisor, observers=[recorder]) as root:
        ref = await root.start_child(worker("a"))
        assert ref.state is State.RUNNING
        assert root_supervisor.children() == ("a",)
        with pytest.raises(ChildStateError):
            await root.delete_child("a")
        await root.terminate_child("a")
        assert ref.state is State.STOPPED
        await root.restart_child("a")
        assert ref.state is State.RUNNING
        assert ref.node().incarnation == 2
        await root.restart_child("a")
        assert (ref.state, ref.node().incarnation) == (State.RUNNING, 3)
        await root.terminate_child("a")
        await root.delete_child("a")
        assert root.tree().children == ()
        with pytest.raises(NoSuchChildError):
            await root.terminate_child("a")


async def test_start_child_rejects_a_taken_name(virtual_clock, recorder):
    async with open_supervisor(Supervisor([worker("a")]), observers=[recorder]) as root:
        with pytest.raises(ChildExistsError):
            await root.start_child(worker("a"))


async def test_start_child_that_fails_is_not_kept(virtual_clock, recorder):
    async with open_supervisor(Supervisor([]), observers=[recorder]) as root:
        with pytest.raises(StartFailedError) as caught:
            await root.start_child(
                worker("a", [crash(ValueError("no"))], restart=Restart.PERMANENT)
            )
        assert isinstance(caught.value.__cause__, ValueError)
        assert root.tree().children == ()


async def test_start_child_that_returns_before_it_is_ready(virtual_clock, recorder):
    async with open_supervisor(Supervisor([]), observers=[recorder]) as root:
        await root.start_child(worker("job", [sleep(1)], restart=Restart.TRANSIENT))
        assert root.find("job").state is State.DONE
        await root.start_child(worker("once", [sleep(1)], restart=Restart.TEMPORARY))
        assert [node.name for node in root.tree().children] == ["job"]
        with pytest.raises(StartFailedError):
            await root.start_child(worker("always", [sleep(1)], restart=Restart.PERMANENT))


async def test_start_child_that_is_never_ready(virtual_clock, recorder):
    async with open_supervisor(Supervisor([]), observers=[recorder]) as root:
        with pytest.raises(StartFailedError, match="not ready"):
            await root.start_child(worker("a", [forever], ready_deadline=7))
        assert trio.current_time() == 7


async def test_restart_child_that_fails_is_at_rest_again(virtual_clock, recorder):
    async with open_supervisor(
        Supervisor([worker("a", [ready, forever], [crash()], [ready, forever])]),
        observers=[recorder],
    ) as root:
        await root.terminate_child("a")
        with pytest.raises(StartFailedError):
            await root.restart_child("a")
        assert root.find("a").state is State.STOPPED
        await root.restart_child("a")
        assert root.find("a").node().incarnation == 3


async def test_terminated_subtree_stops_in_reverse_and_starts_again_in_order(
    virtual_clock, recorder
):
    subtree = Supervisor([worker("x"), worker("y")])
    tree = Supervisor([worker("a"), ChildSpec("sub", subtree), worker("z")])
    async with open_supervisor(tree, observers=[recorder]) as root:
        await root.terminate_child("sub")
        assert [e.path for e in recorder.of(ChildStopped)] == [
            "root/sub/y",
            "root/sub/x",
            "root/sub",
        ]
        assert root.find("z").state is State.RUNNING
        assert not subtree.is_running
        with pytest.raises(SupervisorDownError):
            await subtree.terminate_child("x")
        before = len(recorder.of(ChildReady))
        await root.restart_child("sub")
        again = [e.path for e in recorder.of(ChildReady)][before:]
        assert again == ["root/sub/x", "root/sub/y", "root/sub"]


async def test_a_terminated_child_stays_at_rest_when_its_siblings_restart(virtual_clock, recorder):
    tree = Supervisor(
        [worker("a", [ready, sleep(5), crash()], [ready, forever]), worker("b"), worker("c")],
        strategy=Strategy.ONE_FOR_ALL,
    )
    async with open_supervisor(tree, observers=[recorder]) as root:
        await root.terminate_child("b")
        await trio.sleep(10)
        states = {node.name: node.state for node in root.tree().children}
        assert states == {"a": State.RUNNING, "b": State.STOPPED, "c": State.RUNNING}


async def test_terminate_cuts_a_backoff_short(virtual_clock, recorder):
    children = [worker("a", [ready, crash()], backoff=Backoff(1000, 1000, 1))]
    tree = Supervisor(children)
    async with open_supervisor(tree, observers=[recorder], rng=FixedJitter()) as root:
        await recorder.wait_for(ChildRestarting)
        assert root.find("a").state is State.BACKOFF
        assert root.find("a").node().next_restart_at == 1000
        await root.terminate_child("a")
        assert root.find("a").state is State.STOPPED
        assert root.find("a").node().next_restart_at is None


async def test_terminating_a_child_that_holds_the_start_up_lets_the_next_one_go(
    virtual_clock, recorder
):
    first = ScriptedChild([crash()])
    inner = Supervisor(
        [ChildSpec("a", first, backoff=Backoff(1000, 1000, 1)), worker("b")],
    )
    tree = Supervisor([])
    async with (
        open_supervisor(tree, observers=[recorder], rng=FixedJitter()) as root,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(root.start_child, ChildSpec("inner", inner))
        await recorder.wait_for(ChildRestarting, "root/inner/a")
        assert root.find("root/inner/b").state is State.WAITING
        await root.terminate_child("root/inner/a")
        await recorder.wait_for(ChildReady, "root/inner")
        assert root.find("root/inner/b").state is State.RUNNING


async def test_an_initial_child_that_fails_is_retried_and_those_after_it_wait(
    virtual_clock, recorder
):
    children = [worker("a", [crash()], [crash()], [ready, forever]), worker("b")]
    async with open_supervisor(Supervisor(children), observers=[recorder]) as root:
        assert recorder.story("root/b") == ["ChildStarting", "ChildReady"]
        assert root.find("a").node().restarts == 2
        first_b = recorder.events.index(recorder.of(ChildStarting, "root/b")[0])
        assert recorder.events.index(recorder.of(ChildReady, "root/a")[0]) < first_b


async def test_a_start_that_never_succeeds_comes_out_of_open_supervisor(virtual_clock, recorder):
    children = [worker("a"), worker("b", [crash(ValueError("broken"))])]
    with pytest.raises(EscalationError, match="broken") as caught:
        async with open_supervisor(Supervisor(children), observers=[recorder]):
            pytest.fail("the block must not be entered")
    assert isinstance(caught.value.__cause__, ValueError)
    assert recorder.unfinished() == []


async def test_a_parked_child_counts_as_started(virtual_clock, recorder):
    children = [worker("a", [park("who are you?", "logged_out")]), worker("b")]
    async with open_supervisor(Supervisor(children), observers=[recorder]) as root:
        node = root.find("a").node()
        assert node.state is State.PARKED
        assert (node.last_exit.kind, node.last_exit.reason, node.last_exit.code) == (
            ExitKind.PARKED,
            "who are you?",
            "logged_out",
        )
        assert root.find("b").state is State.RUNNING


async def test_auto_shutdown_on_any_significant_child(virtual_clock, recorder):
    children = [
        worker("a"),
        worker("b", [ready, sleep(3)], restart=Restart.TRANSIENT, significant=True),
        worker("c"),
    ]
    async with open_supervisor(
        Supervisor(children, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT), observers=[recorder]
    ):
        await trio.sleep_forever()
    assert trio.current_time() == 3
    assert [e.path[-1] for e in recorder.of(ChildStopping)] == ["c", "a"]


async def test_auto_shutdown_on_all_significant_children(virtual_clock, recorder):
    children = [
        worker("a", [ready, sleep(3)], restart=Restart.TRANSIENT, significant=True),
        worker("b", [ready, sleep(8)], restart=Restart.TEMPORARY, significant=True),
        worker("c"),
    ]
    async with open_supervisor(
        Supervisor(children, auto_shutdown=AutoShutdown.ALL_SIGNIFICANT), observers=[recorder]
    ):
        await trio.sleep_forever()
    assert trio.current_time() == 8


async def test_a_supervisor_that_shut_down_by_itself_has_exited_normally(virtual_clock, recorder):
    inner = Supervisor(
        [worker("w", [ready, sleep(1)], restart=Restart.TRANSIENT, significant=True)],
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
    )
    tree = Supervisor([ChildSpec("inner", inner, restart=Restart.TRANSIENT)])
    async with open_supervisor(tree, observers=[recorder]) as root:
        await trio.sleep(2)
        assert root.find("inner").state is State.DONE
        assert root.find("inner").node().last_exit.kind is ExitKind.NORMAL


async def test_budgets_multiply_across_levels(virtual_clock, recorder):
    leaf = ScriptedChild([ready, crash()])
    inner = Supervisor([ChildSpec("leaf", leaf)], intensity=Intensity(3, 100))
    tree = Supervisor([ChildSpec("inner", inner)], intensity=Intensity(3, 100))
    with pytest.raises(EscalationError):
        async with open_supervisor(tree, observers=[recorder]):
            await trio.sleep_forever()
    assert leaf.launches == 16
    assert leaf.most_live == 1


async def test_commands_given_to_a_supervisor_that_does_not_run(virtual_clock):
    idle = Supervisor([])
    with pytest.raises(SupervisorDownError):
        await idle.start_child(worker("a"))
    with pytest.raises(SupervisorDownError):
        idle.tree()
    assert not idle.is_running


async def test_one_supervisor_object_runs_at_one_place(virtual_clock, recorder):
    shared = Supervisor([])
    tree = Supervisor([ChildSpec("a", shared), ChildSpec("b", shared)], intensity=Intensity(0, 100))
    with pytest.raises(EscalationError, match="running already"):
        async with open_supervisor(tree, observers=[recorder]):
            pytest.fail("the block must not be entered")


async def test_a_cancelled_caller_takes_its_command_not_back(virtual_clock, recorder):
    async with open_supervisor(Supervisor([]), observers=[recorder]) as root:
        with trio.move_on_after(1) as scope:
            await root.start_child(worker("a", [sleep(5), ready, forever]))
        assert scope.cancelled_caught
        await recorder.wait_for(ChildReady, "root/a")
        assert trio.current_time() == 5


async def test_a_child_may_terminate_itself_and_its_parent(virtual_clock, recorder):
    inner = Supervisor([])

    async def suicidal(ctx):
        ctx.ready()
        await trio.sleep(1)
        await inner.terminate_child("a")

    async def parricide(ctx):
        ctx.ready()
        await trio.sleep(2)
        await root.terminate_child("inner")

    async with open_supervisor(
        Supervisor([ChildSpec("inner", inner)]), observers=[recorder]
    ) as root:
        await inner.start_child(ChildSpec("a", suicidal))
        await inner.start_child(ChildSpec("b", parricide))
        await recorder.wait_for(ChildStopped, "root/inner")
        assert recorder.story("root/inner/a")[-1] == "ChildStopped"
