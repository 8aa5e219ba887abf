"""Mailboxes, calls and references."""

# ruff: noqa: PT012, SIM117  what raises is a whole tree; which block is the inner one matters
from __future__ import annotations

import pytest
import trio
import trio.testing

from supervisors import (
    Backoff,
    Call,
    ChildDownError,
    ChildReady,
    ChildRestarting,
    ChildSpec,
    ChildStarting,
    DynamicSupervisor,
    EscalationError,
    MailboxGoneError,
    NoSuchChildError,
    Restart,
    StaleIncarnationError,
    State,
    Supervisor,
    open_supervisor,
)
from supervisors.testing import FixedJitter, ScriptedChild, forever, ready, sleep


class Echo:
    """Answers calls; crashes, hangs or fails when told to."""

    def __init__(self):
        self.got = []

    async def __call__(self, ctx):
        ctx.ready()
        async for message in ctx.mailbox:
            text = message.message if isinstance(message, Call) else message
            self.got.append((ctx.incarnation, text))
            if text == "slow crash":
                await trio.sleep(1)
            if text in ("crash", "slow crash"):
                raise RuntimeError("as you wish")
            if text == "hang":
                await trio.sleep_forever()
            if isinstance(message, Call) and text == "fail":
                message.fail(KeyError("not here"))
            elif isinstance(message, Call):
                message.reply(f"echo {text}")


def only(run, **options):
    return Supervisor([ChildSpec("a", run, **options)])


async def test_messages_arrive_in_order(virtual_clock, recorder):
    echo = Echo()
    async with open_supervisor(only(echo), observers=[recorder]) as root:
        ref = root.child("a")
        for number in range(10):
            await ref.send(number)
        assert await ref.call("last") == "echo last"
    assert [text for _, text in echo.got] == [*range(10), "last"]


async def test_a_mailbox_is_bounded(virtual_clock, recorder):
    child = ScriptedChild([ready, forever])
    async with open_supervisor(only(child, mailbox=2), observers=[recorder]) as root:
        ref = root.child("a")
        ref.send_nowait(1)
        ref.send_nowait(2)
        with pytest.raises(trio.WouldBlock):
            ref.send_nowait(3)
        with trio.move_on_after(1) as scope:
            await ref.send(3)
        assert scope.cancelled_caught
        statistics = ref.node().mailbox
        assert (statistics.waiting, statistics.bound, statistics.senders_waiting) == (2, 2, 0)


async def test_messages_survive_a_restart(virtual_clock, recorder):
    echo = Echo()
    async with open_supervisor(only(echo), observers=[recorder]) as root:
        ref = root.child("a")
        for text in ("one", "crash", "two", "three"):
            ref.send_nowait(text)
        await recorder.wait_for(ChildReady, count=2)
        assert await ref.call("four") == "echo four"
    assert echo.got == [(1, "one"), (1, "crash"), (2, "two"), (2, "three"), (2, "four")]


async def test_messages_wait_while_the_child_is_down(virtual_clock, recorder):
    echo = Echo()
    async with open_supervisor(
        only(echo, backoff=Backoff(10, 10, 1)), observers=[recorder], rng=FixedJitter()
    ) as root:
        ref = root.child("a")
        await ref.send("crash")
        await recorder.wait_for(ChildRestarting)
        assert ref.state is State.BACKOFF
        await ref.send("later")
        await recorder.wait_for(ChildReady, count=2)
        await ref.call("sync")
    assert (2, "later") in echo.got


async def test_a_call_fails_at_once_when_the_child_dies(virtual_clock, recorder):
    async with open_supervisor(
        only(Echo(), backoff=Backoff(100, 100, 1)), observers=[recorder], rng=FixedJitter()
    ) as root:
        ref = root.child("a")
        with pytest.raises(ChildDownError, match="as you wish"):
            await ref.call("crash")
        assert trio.current_time() == 0
        with pytest.raises(ChildDownError, match="backoff"):
            await ref.call("anything")


async def test_a_queued_call_fails_with_the_incarnation_and_is_not_seen_by_the_next(
    virtual_clock, recorder
):
    echo = Echo()
    async with open_supervisor(only(echo), observers=[recorder]) as root:
        ref = root.child("a")
        async with trio.open_nursery() as nursery:

            async def doomed(text):
                with pytest.raises(ChildDownError):
                    await ref.call(text)

            nursery.start_soon(doomed, "slow crash")
            await trio.sleep(0.5)
            nursery.start_soon(doomed, "queued")
        assert await ref.call("after") == "echo after"
    assert "queued" not in [text for incarnation, text in echo.got if incarnation == 2]


async def test_a_call_that_waits_for_room_fails_when_the_child_dies(virtual_clock, recorder):
    child = ScriptedChild([ready, sleep(3)])
    tree = only(child, mailbox=1, restart=Restart.TRANSIENT)
    async with open_supervisor(tree, observers=[recorder]) as root:
        ref = root.child("a")
        ref.send_nowait("fills the mailbox")
        with pytest.raises(ChildDownError):
            await ref.call("x")
        assert trio.current_time() == 3
        assert ref.node().mailbox.senders_waiting == 0


async def test_a_call_can_be_given_a_deadline(virtual_clock, recorder):
    echo = Echo()
    async with open_supervisor(only(echo), observers=[recorder]) as root:
        ref = root.child("a")
        with trio.move_on_after(2) as scope:
            await ref.call("hang")
        assert scope.cancelled_caught
        with trio.move_on_after(2):
            await ref.call("nobody waits for this one")
        await root.terminate_child("a")
        await root.restart_child("a")
        await ref.call("fresh")
    assert echo.got == [(1, "hang"), (2, "fresh")]


async def test_a_call_raises_what_the_child_fails_with(virtual_clock, recorder):
    async with open_supervisor(only(Echo()), observers=[recorder]) as root:
        with pytest.raises(KeyError, match="not here"):
            await root.child("a").call("fail")


async def test_a_second_answer_has_no_effect(virtual_clock, recorder):
    async def twice(ctx):
        ctx.ready()
        async for call in ctx.mailbox:
            call.reply(1)
            call.reply(2)
            call.fail(RuntimeError("late"))

    async with open_supervisor(only(twice), observers=[recorder]) as root:
        assert await root.child("a").call("x") == 1


async def test_a_stale_incarnation_cannot_act(virtual_clock, recorder):
    contexts = []
    failures = []

    async def child(ctx):
        contexts.append(ctx)
        ctx.mailbox.receive_nowait  # noqa: B018  makes the inbox
        ctx.ready()
        await trio.sleep(1)

    async def leftover():
        with pytest.raises(StaleIncarnationError):
            await contexts[0].mailbox.receive()
        failures.append("receive")

    async with (
        open_supervisor(only(child), observers=[recorder]) as root,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(leftover)
        await recorder.wait_for(ChildReady, count=2)
        await trio.testing.wait_all_tasks_blocked()
        assert failures == ["receive"]
        for act in (contexts[0].ready, contexts[0].beat, contexts[0].mailbox.receive_nowait):
            with pytest.raises(StaleIncarnationError):
                act()
        with pytest.raises(StaleIncarnationError):
            await contexts[0].mailbox.receive()
        await root.child("a").send("for the living")
        assert contexts[1].mailbox.receive_nowait() == "for the living"


async def test_a_removed_child_has_no_mailbox(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=3)
    async with open_supervisor(pool, observers=[recorder]):
        ref = await pool.start_child(ChildSpec("a", ScriptedChild(), mailbox=0))
        async with trio.open_nursery() as nursery:

            async def sender():
                with pytest.raises((MailboxGoneError, NoSuchChildError)):
                    await ref.send("x")

            nursery.start_soon(sender)
            await trio.testing.wait_all_tasks_blocked()
            await pool.terminate_child("a")
            await pool.delete_child("a")
        with pytest.raises(NoSuchChildError):
            ref.send_nowait("y")
        with pytest.raises(NoSuchChildError):
            await ref.call("y")


async def test_a_reference_finds_a_child_that_was_added_again(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=3)
    async with open_supervisor(pool, observers=[recorder]):
        ref = pool.child("a")
        with pytest.raises(NoSuchChildError):
            await ref.send("too early")
        await pool.start_child(ChildSpec("a", ScriptedChild()))
        await ref.send("first")
        await pool.terminate_child("a")
        await pool.delete_child("a")
        echo = Echo()
        await pool.start_child(ChildSpec("a", echo))
        await ref.send("second")
        assert await ref.call("third") == "echo third"
    assert [text for _, text in echo.got] == ["second", "third"]


async def test_calls_end_when_the_tree_stops(virtual_clock, recorder):
    outcome = []
    async with trio.open_nursery() as nursery:
        async with open_supervisor(only(Echo()), observers=[recorder]) as root:

            async def caller():
                with pytest.raises(ChildDownError):
                    await root.child("a").call("hang")
                outcome.append("told")

            nursery.start_soon(caller)
            await trio.testing.wait_all_tasks_blocked()
    assert outcome == ["told"]


async def test_a_call_to_a_starting_child_is_answered_when_it_gets_to_it(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=3)

    async def slow(ctx):
        await trio.sleep(5)
        ctx.ready()
        async for call in ctx.mailbox:
            call.reply(trio.current_time())

    async with open_supervisor(pool, observers=[recorder]), trio.open_nursery() as nursery:
        nursery.start_soon(pool.start_child, ChildSpec("a", slow))
        await recorder.wait_for(ChildStarting)
        assert await pool.child("a").call("when?") == 5


async def test_a_call_to_a_child_that_does_not_end_is_not_left_waiting(virtual_clock, recorder):
    async def deaf(ctx):
        ctx.ready()
        with trio.CancelScope(shield=True):
            await trio.sleep(20)

    with pytest.raises(EscalationError):
        async with (
            open_supervisor(only(deaf, stop_deadline=3), observers=[recorder]) as root,
            trio.open_nursery() as nursery,
        ):

            async def caller():
                with trio.CancelScope(shield=True), pytest.raises(ChildDownError):
                    await root.child("a").call("hello?")
                assert trio.current_time() == 4

            nursery.start_soon(caller)
            await trio.sleep(1)
            await root.terminate_child("a")


async def test_to_wait_in_the_own_mailbox_is_no_hang(virtual_clock, recorder):
    async def run(ctx):
        ctx.ready()
        async for message in ctx.mailbox:
            await trio.sleep(message)

    tree = Supervisor([ChildSpec("a", run, liveness=60)])
    async with open_supervisor(tree, observers=[recorder]):
        ref = tree.child("a")
        await trio.sleep(3600)
        assert ref.node().incarnation == 1
        await ref.send(59)
        await trio.sleep(3600)
        assert ref.node().incarnation == 1
        await ref.send(61)
        await trio.sleep(3600)
        assert ref.node().incarnation == 2
        assert ref.node().last_exit.code == "hung"


async def test_what_is_marked_as_idle_is_no_hang(virtual_clock, recorder):
    async def run(ctx):
        ctx.ready()
        with ctx.idle():
            await trio.sleep(3600)
        await trio.sleep(61)

    tree = Supervisor([ChildSpec("a", run, liveness=60)])
    async with open_supervisor(tree, observers=[recorder]):
        ref = tree.child("a")
        await trio.sleep(3659)
        assert ref.node().incarnation == 1
        await trio.sleep(2)
        assert ref.node().incarnation == 2


async def test_where_it_hangs_shows_the_users_frames(virtual_clock, recorder):
    async def client_library(depth):
        if depth:
            await client_library(depth - 1)
        else:
            await trio.sleep_forever()

    async def my_business_code(ctx):
        ctx.ready()
        await client_library(50)

    tree = Supervisor([ChildSpec("a", my_business_code, liveness=5)])
    async with open_supervisor(tree, observers=[recorder]):
        exit_ = await tree.child("a").wait_exit()
    assert any("my_business_code" in line for line in exit_.where)
    assert any("more" in line for line in exit_.where)
    assert not any("/trio/" in line for line in exit_.where)


async def test_an_answer_may_be_nothing(virtual_clock, recorder):
    async def run(ctx):
        ctx.ready()
        async for call in ctx.mailbox:
            call.reply()

    tree = Supervisor([ChildSpec("a", run)])
    async with open_supervisor(tree, observers=[recorder]):
        assert await tree.child("a").call("do it") is None
