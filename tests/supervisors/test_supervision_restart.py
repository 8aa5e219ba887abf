"""Restart types, strategies, budget, backoff, parking and escalation, on the trio shell."""

# ruff: noqa: PT012  what is expected to raise is a whole tree
from __future__ import annotations

import random

import pytest
import trio
import trio.testing
from supervision_children import worker

from supervisors import (
    Backoff,
    ChildExited,
    ChildReady,
    ChildRestarting,
    ChildSpec,
    ChildStarting,
    ChildStateError,
    ChildStopping,
    Escalate,
    EscalationError,
    ExitKind,
    Intensity,
    Park,
    Restart,
    StartFailedError,
    State,
    StopError,
    Strategy,
    Supervisor,
    Why,
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


@pytest.mark.parametrize(
    ("restart", "script", "comes_back"),
    [
        (Restart.PERMANENT, [ready, sleep(1), crash()], True),
        (Restart.PERMANENT, [ready, sleep(1)], True),
        (Restart.TRANSIENT, [ready, sleep(1), crash()], True),
        (Restart.TRANSIENT, [ready, sleep(1)], False),
        (Restart.TEMPORARY, [ready, sleep(1), crash()], False),
        (Restart.TEMPORARY, [ready, sleep(1)], False),
    ],
)
async def test_restart_types(virtual_clock, recorder, restart, script, comes_back):
    child = ScriptedChild(script, [ready, forever])
    tree = Supervisor([ChildSpec("a", child, restart=restart)])
    async with open_supervisor(tree, observers=[recorder]) as root:
        await trio.sleep(2)
        assert child.launches == (2 if comes_back else 1)
        names = [node.name for node in root.tree().children]
        assert names == ([] if restart is Restart.TEMPORARY else ["a"])


async def test_one_for_one_restarts_only_the_child_that_ended(virtual_clock, recorder):
    children = [worker("a"), worker("b", [ready, sleep(1), crash()], [ready, forever]), worker("c")]
    async with open_supervisor(Supervisor(children), observers=[recorder]) as root:
        await trio.sleep(2)
        assert [node.incarnation for node in root.tree().children] == [1, 2, 1]


async def test_rest_for_one_restarts_the_suffix_in_order(virtual_clock, recorder):
    children = [
        worker("a"),
        worker("b", [ready, sleep(1), crash()], [sleep(2), ready, forever]),
        worker("c"),
        worker("d", restart=Restart.TEMPORARY),
        worker("e"),
    ]
    tree = Supervisor(children, strategy=Strategy.REST_FOR_ONE)
    async with open_supervisor(tree, observers=[recorder]) as root:
        await trio.sleep(5)
        assert [(n.name, n.incarnation) for n in root.tree().children] == [
            ("a", 1),
            ("b", 2),
            ("c", 2),
            ("e", 2),
        ]
        stops = [(e.path[-1], e.why) for e in recorder.of(ChildStopping)]
        assert stops == [("e", Why.GROUP), ("d", Why.GROUP), ("c", Why.GROUP)]
        restarts = [(e.path[-1], e.at) for e in recorder.of(ChildStarting) if e.at > 0]
        assert restarts == [("b", 1), ("c", 3), ("e", 3)]


async def test_one_for_all_restarts_everybody_in_order(virtual_clock, recorder):
    children = [worker("a"), worker("b", [ready, sleep(1), crash()], [ready, forever]), worker("c")]
    tree = Supervisor(children, strategy=Strategy.ONE_FOR_ALL)
    async with open_supervisor(tree, observers=[recorder]) as root:
        await trio.sleep(5)
        assert [n.incarnation for n in root.tree().children] == [2, 2, 2]
        assert [n.restarts for n in root.tree().children] == [0, 1, 0]
        assert [e.path[-1] for e in recorder.of(ChildStopping)] == ["c", "a"]
        assert [e.path[-1] for e in recorder.of(ChildStarting)] == list("abcabc")


async def test_a_group_restart_waits_for_the_backoff_of_its_cause(virtual_clock, recorder):
    children = [
        worker("a"),
        worker("b", [ready, sleep(1), crash()], [ready, forever], backoff=Backoff(10, 10, 1)),
        worker("c"),
    ]
    tree = Supervisor(children, strategy=Strategy.ONE_FOR_ALL)
    async with open_supervisor(tree, observers=[recorder], rng=FixedJitter()) as root:
        await recorder.wait_for(ChildRestarting)
        await recorder.wait_for(ChildExited, "root/a")
        assert [n.state for n in root.tree().children] == [
            State.WAITING,
            State.BACKOFF,
            State.WAITING,
        ]
        await recorder.wait_for(ChildStarting, "root/a", 2)
        assert trio.current_time() == 11


async def test_a_done_transient_child_comes_back_with_its_group(virtual_clock, recorder):
    children = [
        worker("job", [ready], restart=Restart.TRANSIENT),
        worker("b", [ready, sleep(1), crash()], [ready, forever]),
    ]
    tree = Supervisor(children, strategy=Strategy.ONE_FOR_ALL)
    async with open_supervisor(tree, observers=[recorder]) as root:
        await trio.sleep(2)
        assert root.find("job").node().incarnation == 2


async def test_the_budget_is_exceeded_by_one_restart_too_many(virtual_clock, recorder):
    child = ScriptedChild([ready, sleep(1), crash(ValueError("the cause"))])
    tree = Supervisor([ChildSpec("a", child)], intensity=Intensity(3, 100))
    with pytest.raises(EscalationError, match="more than 3 restarts in 100 s") as caught:
        async with open_supervisor(tree, observers=[recorder]):
            await trio.sleep_forever()
    assert child.launches == 4
    assert str(caught.value.__cause__) == "the cause"


async def test_restarts_that_are_far_apart_never_exceed_the_budget(virtual_clock, recorder):
    child = ScriptedChild([ready, sleep(5), crash()])
    tree = Supervisor([ChildSpec("a", child)], intensity=Intensity(1, 4.9))
    async with open_supervisor(tree, observers=[recorder]):
        await trio.sleep(101)
    assert child.launches == 21


async def test_failed_starts_use_the_budget_and_stops_by_the_supervisor_do_not(
    virtual_clock, recorder
):
    broken = ScriptedChild([crash()])
    tree = Supervisor([ChildSpec("a", broken)], intensity=Intensity(2, 10))
    with pytest.raises(EscalationError):
        async with open_supervisor(tree, observers=[recorder]):
            pytest.fail("the block must not be entered")
    assert broken.launches == 3
    children = [worker("a", [ready, sleep(1), crash()], [ready, forever]), worker("b"), worker("c")]
    tree = Supervisor(children, strategy=Strategy.ONE_FOR_ALL, intensity=Intensity(1, 10))
    async with open_supervisor(tree) as root:
        await trio.sleep(5)
        assert root.tree().state is State.RUNNING


async def test_a_child_with_a_backoff_uses_no_budget(virtual_clock, recorder):
    child = ScriptedChild([ready, crash()])
    spec = ChildSpec("a", child, backoff=Backoff(1, 2))
    tree = Supervisor([spec], intensity=Intensity(0, 300))
    async with open_supervisor(tree, observers=[recorder], rng=FixedJitter()):
        await trio.sleep(100)
    assert child.launches == 51  # at 0, 1, 3, 5 ...


async def test_delays_are_jittered_up_to_a_growing_bound(virtual_clock, recorder):
    spec = worker("a", [ready, crash()], backoff=Backoff(1, 8, 2, reset_after=50))
    tree = Supervisor([spec])
    async with open_supervisor(tree, observers=[recorder], rng=random.Random(7)):
        await recorder.wait_for(ChildRestarting, count=30)
    delays = [e.due - e.at for e in recorder.of(ChildRestarting)]
    bounds = [1, 2, 4] + [8] * 27
    assert all(0 <= delay <= bound for delay, bound in zip(delays, bounds, strict=True))
    assert max(delays) > 6
    assert min(delays[3:]) < 2


async def test_the_backoff_begins_anew_after_a_healthy_time(virtual_clock, recorder):
    rules = Backoff(1, 64, 4, reset_after=100)
    short, healthy = [ready, sleep(99), crash()], [ready, sleep(100), crash()]
    spec = worker("a", short, short, short, healthy, [ready, forever], backoff=rules)
    async with open_supervisor(Supervisor([spec]), observers=[recorder], rng=FixedJitter()):
        await recorder.wait_for(ChildRestarting, count=4)
    assert [e.due - e.at for e in recorder.of(ChildRestarting)] == [1, 4, 16, 1]


async def test_stopping_cuts_a_backoff_short(virtual_clock, recorder):
    children = [worker("a", [ready, crash()], backoff=Backoff(1000, 1000, 1))]
    async with open_supervisor(Supervisor(children), observers=[recorder], rng=FixedJitter()):
        await recorder.wait_for(ChildRestarting)
    assert trio.current_time() == 0


async def test_park_and_unpark(virtual_clock, recorder):
    child = ScriptedChild([ready, sleep(1), park("logged out", "logged_out")], [ready, forever])
    async with open_supervisor(
        Supervisor([ChildSpec("a", child)], intensity=Intensity(0, 100)), observers=[recorder]
    ) as root:
        with pytest.raises(ChildStateError):
            await root.unpark("a")
        await trio.sleep(1000)
        node = root.find("a").node()
        assert (node.state, node.last_exit.code, node.since) == (State.PARKED, "logged_out", 1)
        assert node.restarts == 0
        await root.unpark("root/a")
        assert root.find("a").state is State.RUNNING
        assert root.find("a").node().incarnation == 2
        assert root.find("a").node().last_exit.reason == "logged out"


async def test_unpark_that_parks_again_and_unpark_that_crashes(virtual_clock, recorder):
    child = ScriptedChild([park()], [park()], [crash()], [ready, forever])
    async with open_supervisor(Supervisor([ChildSpec("a", child)]), observers=[recorder]) as root:
        await root.unpark("a")
        assert root.find("a").state is State.PARKED
        with pytest.raises(StartFailedError):
            await root.unpark("a")
        await recorder.wait_for(ChildReady)
        assert root.find("a").node().restarts == 1


async def test_a_parked_sibling_is_not_taken_along(virtual_clock, recorder):
    children = [
        worker("a", [ready, sleep(1), crash()], [ready, forever]),
        worker("b", [park()]),
        worker("c"),
    ]
    tree = Supervisor(children, strategy=Strategy.ONE_FOR_ALL)
    async with open_supervisor(tree, observers=[recorder]) as root:
        await trio.sleep(2)
        assert [n.incarnation for n in root.tree().children] == [2, 1, 2]
        assert root.find("b").state is State.PARKED


async def test_escalate_ends_the_supervisor_at_once(virtual_clock, recorder):
    children = [worker("a"), worker("b", [ready, sleep(1), crash(Escalate("disk full", "disk"))])]
    with pytest.raises(EscalationError, match="disk full"):
        async with open_supervisor(Supervisor(children), observers=[recorder]):
            await trio.sleep_forever()
    assert recorder.of(ChildExited, "root/b")[0].exit.kind is ExitKind.ESCALATED
    assert trio.current_time() == 1


async def test_the_classifier_turns_crashes_into_verdicts(virtual_clock, recorder):
    def classify(error):
        if isinstance(error, PermissionError):
            return Park("forbidden", "forbidden")
        if isinstance(error, MemoryError):
            return Escalate("no memory", "memory")
        if isinstance(error, ZeroDivisionError):
            raise RuntimeError("the classifier is broken")  # noqa: TRY004
        return None

    def child(name, error, **options):
        script = [ready, sleep(1), crash(error)]
        return worker(name, script, [ready, forever], classify=classify, **options)

    children = [child("a", PermissionError()), child("b", ValueError()), child("c", 1 / 1 and None)]
    children[2] = child("c", ZeroDivisionError())
    async with open_supervisor(Supervisor(children), observers=[recorder]) as root:
        await trio.sleep(2)
        assert root.find("a").state is State.PARKED
        assert root.find("b").node().restarts == 1
        assert "the classifier is broken" in root.find("c").node().last_exit.reason
    with pytest.raises(EscalationError, match="no memory"):
        async with open_supervisor(Supervisor([child("d", MemoryError())])):
            await trio.sleep_forever()


async def test_verdicts_inside_exception_groups(virtual_clock, recorder):
    def raises(*errors):
        async def run(ctx):
            ctx.ready()
            async with trio.open_nursery() as nursery:
                for error in errors:
                    nursery.start_soon(crash(error), ctx)

        return run

    tree = Supervisor(
        [
            ChildSpec("park", raises(Park("x", "parked"))),
            ChildSpec("both", raises(Park("x"), ValueError("a real crash"))),
        ],
        intensity=Intensity(2, 10),
    )
    with pytest.raises(EscalationError, match="a real crash"):
        async with open_supervisor(tree, observers=[recorder]):
            await trio.sleep_forever()
    assert recorder.of(ChildExited, "root/park")[0].exit.kind is ExitKind.PARKED


async def test_a_group_of_cancelled_and_crash_is_the_crash(virtual_clock, recorder):
    async def run(ctx):
        ctx.ready()
        try:
            await trio.sleep_forever()
        except trio.Cancelled as cancelled:
            raise BaseExceptionGroup("mixed", [cancelled, ValueError("while stopping")]) from None

    with pytest.raises(StopError):
        async with open_supervisor(Supervisor([ChildSpec("a", run)]), observers=[recorder]):
            pass
    record = recorder.of(ChildExited)[0]
    assert record.exit.kind is ExitKind.CRASHED
    assert record.exit.reason == "ValueError: while stopping"
    assert isinstance(record.error, ExceptionGroup)


async def test_a_cancelled_that_nobody_asked_for_is_a_crash(virtual_clock, recorder):
    stolen = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            stolen.append(error)

    children = [worker("a", [ready, crash(stolen[0])], [ready, forever])]
    async with open_supervisor(Supervisor(children), observers=[recorder]) as root:
        await recorder.wait_for(ChildRestarting)
        assert "escaped" in root.find("a").node().last_exit.reason


async def test_a_child_that_stops_slowly_does_not_hold_its_siblings_restart(
    virtual_clock, recorder
):
    slow = ScriptedChild([sleep(20), ready, forever])
    quick = worker("quick", [ready, sleep(1), crash()], [ready, forever])
    tree = Supervisor([quick])
    async with open_supervisor(tree, observers=[recorder]) as root, trio.open_nursery() as nursery:
        nursery.start_soon(root.start_child, ChildSpec("slow", slow))
        await recorder.wait_for(ChildReady, "root/quick", 2)
        assert trio.current_time() == 1
        await recorder.wait_for(ChildReady, "root/slow")


async def test_a_child_that_outlives_its_stop_deadline_brings_the_tree_down(
    virtual_clock, recorder
):
    children = [worker("a"), worker("b", [ready, stubborn(50)], stop_deadline=5), worker("c")]
    with pytest.raises(EscalationError, match="b did not end within 5 s"):
        async with open_supervisor(Supervisor(children), observers=[recorder]) as root:
            await trio.sleep(1)
            await root.terminate_child("b")
    assert recorder.story("root/b")[-3:] == ["ChildAbandoned", "ChildExited", "ChildStopped"]
    assert recorder.unfinished() == []
    assert trio.current_time() == 50


def hides_its_class():
    class HidesItsClassError(Exception):  # in here, for pytest looks at what stands outside
        @property
        def __class__(self):
            raise ValueError("no class for you")

    return HidesItsClassError()


def cannot_be_split():
    class OnePieceError(ExceptionGroup):
        def split(self, _condition):
            raise ValueError("one piece")

    return OnePieceError("g", [ValueError()])


@pytest.mark.parametrize("make", [hides_its_class, cannot_be_split])
async def test_an_error_that_does_not_let_itself_be_looked_at_is_a_crash(
    virtual_clock, recorder, make
):
    async def run(ctx):
        ctx.ready()
        await trio.sleep(1)
        if ctx.incarnation == 1:
            raise make()
        await trio.sleep_forever()

    tree = Supervisor([ChildSpec("a", run)])
    async with open_supervisor(tree, observers=[recorder]):
        await trio.sleep(60)
        assert tree.child("a").node().incarnation == 2
    assert recorder.of(ChildExited)[0].exit.kind is ExitKind.CRASHED
