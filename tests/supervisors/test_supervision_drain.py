"""The graceful stop: told first, cancelled later; what becomes of a mailbox."""

from __future__ import annotations

import pytest
import trio
from supervision_children import slow_to_stop

from supervisors import (
    Backoff,
    ChildDownError,
    ChildDraining,
    ChildExited,
    ChildReady,
    ChildRestarting,
    ChildSpec,
    ChildStopped,
    ChildStopping,
    ChildStuck,
    Done,
    ExitKind,
    MailboxGoneError,
    MessagesDropped,
    NotStoppedError,
    Restart,
    State,
    Strategy,
    Stuck,
    Supervisor,
    Why,
    open_supervisor,
)
from supervisors.testing import ScriptedChild, crash, forever, ready, sleep


class Handler:
    """Takes ``seconds`` for each message; keeps what it has finished and begun."""

    def __init__(self, seconds=1.0):
        self.seconds = seconds
        self.done = []
        self.begun = []

    async def __call__(self, ctx):
        ctx.ready()
        async for message in ctx.mailbox:
            self.begun.append(message)
            await trio.sleep(self.seconds)
            self.done.append(message)


async def fill(ref, *messages):
    for message in messages:
        await ref.send(message)


async def test_what_is_in_hand_is_finished_and_what_waits_is_dropped_with_a_count(
    virtual_clock, recorder
):
    handler = Handler()
    tree = Supervisor([ChildSpec("w", handler, drain_deadline=10)])
    async with open_supervisor(tree, observers=[recorder]):
        await fill(tree.child("w"), 1, 2, 3)
        await trio.sleep(0.5)
    assert handler.done == [1]
    assert [(e.why, e.at) for e in recorder.of(ChildDraining)] == [(Why.SHUTDOWN, 0.5)]
    assert recorder.of(ChildStopping) == []
    assert [(e.exit.kind, e.at) for e in recorder.of(ChildExited)] == [(ExitKind.STOPPED, 1)]
    assert [(e.path, e.count) for e in recorder.of(MessagesDropped)] == [("root/w", 2)]


async def test_a_mailbox_is_drained_when_that_is_its_policy(virtual_clock, recorder):
    handler = Handler()
    tree = Supervisor([ChildSpec("w", handler, drain_deadline=10, drain_mailbox=True)])
    async with open_supervisor(tree, observers=[recorder]):
        await fill(tree.child("w"), 1, 2, 3)
    assert handler.done == [1, 2, 3]
    assert recorder.of(MessagesDropped) == []
    assert trio.current_time() == 3


async def test_a_drain_that_takes_too_long_is_cut_short(virtual_clock, recorder):
    handler = Handler()
    tree = Supervisor([ChildSpec("w", handler, drain_deadline=2.5, drain_mailbox=True)])
    async with open_supervisor(tree, observers=[recorder]):
        await fill(tree.child("w"), 1, 2, 3, 4)
    assert (handler.done, handler.begun) == ([1, 2], [1, 2, 3])
    assert [(e.why, e.at) for e in recorder.of(ChildStopping)] == [(Why.SHUTDOWN, 2.5)]
    assert [e.count for e in recorder.of(MessagesDropped)] == [1]


async def test_without_a_drain_deadline_it_is_cancelled_at_once(virtual_clock, recorder):
    handler = Handler()
    tree = Supervisor([ChildSpec("w", handler)])
    async with open_supervisor(tree, observers=[recorder]):
        await fill(tree.child("w"), 1, 2)
        await trio.sleep(0.5)
    assert (handler.begun, handler.done) == ([1], [])
    assert recorder.of(ChildDraining) == []
    assert [e.count for e in recorder.of(MessagesDropped)] == [1]


async def test_a_child_is_told_that_it_shall_stop(virtual_clock, recorder):
    told = []

    async def run(ctx):
        ctx.ready()
        assert not ctx.stopping.is_set()
        await ctx.stopping.wait()
        told.append(trio.current_time())
        await trio.sleep(2)

    tree = Supervisor([ChildSpec("a", run, drain_deadline=5)])
    async with open_supervisor(tree, observers=[recorder]):
        await trio.sleep(1)
    assert told == [1]
    assert recorder.of(ChildStopped)[0].at == 3


async def test_stopping_is_told_with_a_cancellation_too(virtual_clock, recorder):
    seen = []

    async def run(ctx):
        ctx.ready()
        try:
            await trio.sleep_forever()
        finally:
            seen.append(ctx.stopping.is_set())

    async def asks_early(ctx):
        assert not ctx.stopping.is_set()
        await run(ctx)

    tree = Supervisor([ChildSpec("a", run), ChildSpec("b", asks_early)])
    async with open_supervisor(tree, observers=[recorder]):
        pass
    assert seen == [True, True]


async def test_a_child_that_is_not_ready_is_not_drained(virtual_clock, recorder):
    tree = Supervisor([ChildSpec("a", ScriptedChild([forever]), drain_deadline=5)])
    with trio.move_on_after(1):
        async with open_supervisor(tree, observers=[recorder]):
            pytest.fail("the block must not be entered")
    assert recorder.of(ChildDraining) == []
    assert trio.current_time() == 1


async def test_messages_outlast_a_siblings_restart(virtual_clock, recorder):
    handler = Handler()
    children = [
        ChildSpec("a", ScriptedChild([ready, sleep(1.5), crash()], [ready, forever])),
        ChildSpec("w", handler, drain_deadline=5),
    ]
    tree = Supervisor(children, strategy=Strategy.REST_FOR_ONE)
    async with open_supervisor(tree, observers=[recorder]):
        await fill(tree.child("w"), 1, 2, 3)
        await trio.sleep(1.7)
        assert tree.child("w").state is State.DRAINING
        await tree.child("w").send(4)  # it comes back
        await trio.sleep(10)
    assert handler.done == [1, 2, 3, 4]
    assert recorder.of(MessagesDropped) == []


async def test_a_message_to_what_is_being_stopped_is_refused(virtual_clock, recorder):
    handler = Handler(3)
    tree = Supervisor([ChildSpec("w", handler, drain_deadline=5)])
    async with open_supervisor(tree, observers=[recorder]) as root, trio.open_nursery() as nursery:
        ref = tree.child("w")
        await ref.send(1)
        await trio.sleep(1)
        nursery.start_soon(root.terminate_child, "w")
        await recorder.wait_for(ChildDraining)
        for send in (ref.send, ref.call):
            with pytest.raises(ChildDownError, match="draining"):
                await send(2)
        with pytest.raises(ChildDownError):
            ref.send_nowait(2)
        await recorder.wait_for(ChildStopped)
        with pytest.raises(ChildDownError, match="stopped"):
            await ref.send(3)
        await root.delete_child("w")
        with pytest.raises((MailboxGoneError, LookupError)):
            await ref.send(4)
    assert handler.done == [1]


async def test_a_message_waits_for_a_child_in_its_backoff(virtual_clock, recorder):
    handler = Handler()
    life = iter([ScriptedChild([ready, crash()]), handler])

    async def run(ctx):
        await next(life)(ctx)

    tree = Supervisor([ChildSpec("w", run, backoff=Backoff(5, 5, 1))])
    async with open_supervisor(tree, observers=[recorder]):
        await recorder.wait_for(ChildRestarting)
        await tree.child("w").send("kept")
        await trio.sleep(10)
    assert handler.done == ["kept"]


async def test_a_hung_child_is_not_drained(virtual_clock, recorder):
    tree = Supervisor(
        [ChildSpec("a", ScriptedChild([ready, forever]), liveness=2, drain_deadline=5)]
    )
    async with open_supervisor(tree, observers=[recorder]):
        await recorder.wait_for(ChildReady, count=2)
    assert next(e.why for e in recorder.of(ChildStopping)) is Why.HUNG
    assert [e.why for e in recorder.of(ChildDraining)] == [Why.SHUTDOWN]


async def test_a_restart_by_command_drains_too(virtual_clock, recorder):
    handler = Handler()
    tree = Supervisor([ChildSpec("w", handler, drain_deadline=5)])
    async with open_supervisor(tree, observers=[recorder]) as root:
        await fill(tree.child("w"), 1, 2)
        await trio.sleep(0.5)
        await root.restart_child("w")
        assert handler.done == [1]
        assert tree.child("w").node().incarnation == 2
        await trio.sleep(1)
    assert handler.done == [1, 2]
    assert recorder.of(ChildRestarting) == []


async def test_done_ends_a_child_for_good_whatever_its_restart_type(virtual_clock, recorder):
    async def run(ctx):
        ctx.ready()
        await trio.sleep(1)
        raise Done("nothing left to do")

    tree = Supervisor([ChildSpec("a", run), ChildSpec("b", run, restart=Restart.TEMPORARY)])
    async with open_supervisor(tree, observers=[recorder]):
        await trio.sleep(5)
        assert tree.child("a").state is State.DONE
        assert tree.children() == ("a",)
        exit_ = tree.child("a").node().last_exit
        assert (exit_.kind, exit_.reason) == (ExitKind.DONE, "nothing left to do")


async def test_one_child_that_does_not_end_need_not_be_the_end_of_all(virtual_clock, recorder):
    async def in_a_thread(ctx):
        ctx.ready()
        with trio.CancelScope(shield=True):
            await trio.sleep(60)

    tree = Supervisor(
        [ChildSpec("a", in_a_thread, stuck=Stuck.WAIT), ChildSpec("b", ScriptedChild())]
    )
    async with open_supervisor(tree, observers=[recorder]) as root:
        with pytest.raises(NotStoppedError, match="root/a"):
            await root.terminate_child("a")
        assert trio.current_time() == 5
        assert (tree.child("a").state, tree.child("b").state) == (State.STOPPING, State.RUNNING)
        (stuck,) = recorder.of(ChildStuck)
        assert any("in_a_thread" in line for line in stuck.where)
        await recorder.wait_for(ChildStopped, "root/a")
        assert trio.current_time() == 60


async def test_what_runs_a_supervisor_inside_waits_for_its_children_too(virtual_clock, recorder):
    async def slow_start(ctx):
        await trio.sleep(29)
        await slow_to_stop(4)(ctx)

    inner = Supervisor([ChildSpec("x", slow_start), ChildSpec("y", slow_start)])

    async def with_resource(ctx):
        await inner(ctx)

    tree = Supervisor([ChildSpec("db", with_resource)])
    async with open_supervisor(tree, observers=[recorder]) as root:
        assert trio.current_time() == 58  # its children have their own deadlines
        assert [n.path for n in root.tree().walk()][1:] == ["root/db", "root/db/x", "root/db/y"]
        assert root.tree().find("root/db").kind == "supervisor"
        assert root.find("root/db/x").state is State.RUNNING
        await root.restart_child("root/db/y")
        stop_begins = trio.current_time()
    assert trio.current_time() == stop_begins + 8
    assert not tree.is_running
    assert [e.path for e in recorder.of(ChildStopped)] == ["root/db/y", "root/db/x", "root/db"]
