"""Commands and waits beyond start and stop; each of them ends, whatever becomes of the child."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from supervision_children import worker

from supervisors import (
    Backoff,
    CallCycleError,
    ChildDownError,
    ChildRestarting,
    ChildSpec,
    ChildStateError,
    DynamicSupervisor,
    EscalationError,
    ExitKind,
    NoSuchChildError,
    Restart,
    StartFailedError,
    State,
    Strategy,
    SupervisionError,
    Supervisor,
    SupervisorDownError,
    open_supervisor,
)
from supervisors.testing import (
    FixedJitter,
    crash,
    forever,
    park,
    ready,
    sleep,
    stubborn,
)

LONG = Backoff(50, 50, 1)


class Asked:
    """Runs a command in a task of its own and keeps how it ended."""

    def __init__(self, nursery, function, *args):
        self.over = trio.Event()
        self.answer = None
        nursery.start_soon(self._ask, function, *args)

    async def _ask(self, function, *args):
        try:
            self.answer = await function(*args)
        except SupervisionError as error:
            self.answer = error
        self.over.set()

    async def end(self):
        with trio.fail_after(3600):
            await self.over.wait()
        return self.answer


async def test_a_start_taken_along_by_a_siblings_restart_is_told_so(virtual_clock, recorder):
    tree = Supervisor(
        [worker("a", [ready, sleep(1), crash()], [ready, forever])], strategy=Strategy.ONE_FOR_ALL
    )
    async with (
        open_supervisor(tree, observers=[recorder]),
        trio.open_nursery() as nursery,
    ):
        slow = worker("t", [sleep(10), ready, forever], restart=Restart.TEMPORARY)
        assert isinstance(await Asked(nursery, tree.start_child, slow).end(), StartFailedError)
        assert tree.children() == ("a",)


@pytest.mark.parametrize("state", [State.WAITING, State.BACKOFF])
async def test_who_waits_for_the_start_of_what_is_terminated_is_told(
    virtual_clock, recorder, state
):
    tree = Supervisor(
        [
            worker("a", [ready, sleep(1), crash()], [ready, forever], backoff=LONG),
            worker("p", [park()], [ready, crash()], backoff=LONG),
        ],
        strategy=Strategy.ONE_FOR_ALL if state is State.WAITING else Strategy.ONE_FOR_ONE,
    )
    async with (
        open_supervisor(tree, observers=[recorder], rng=FixedJitter()),
        trio.open_nursery() as nursery,
    ):
        if state is State.WAITING:
            name, asked = "b", Asked(nursery, tree.start_child, worker("b", [sleep(9), ready]))
        else:
            name, asked = "a", None
        await recorder.wait_for(ChildRestarting)
        await trio.sleep(1)
        assert tree.child(name).state is state
        waits = Asked(nursery, tree.child(name).wait_ready)
        await trio.testing.wait_all_tasks_blocked()
        await tree.terminate_child(name)
        if asked is not None:
            assert isinstance(await asked.end(), StartFailedError)
        assert isinstance(await waits.end(), ChildDownError)


async def test_get_or_start(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=3)
    slow = worker("a", [sleep(2), ready, forever])
    async with open_supervisor(pool, observers=[recorder]) as root, trio.open_nursery() as nursery:
        both = [Asked(nursery, pool.get_or_start, slow) for _ in range(2)]
        refs = [await asked.end() for asked in both]
        assert {ref.path for ref in refs} == {"root/a"}
        assert trio.current_time() == 2
        assert slow.run.launches == 1
        await pool.get_or_start(slow)
        assert trio.current_time() == 2
        await root.terminate_child("a")
        assert (await pool.get_or_start(slow)).state is State.RUNNING
        assert slow.run.launches == 2
        with pytest.raises(StartFailedError):
            await pool.get_or_start(worker("b", [crash()]))
        assert pool.children() == ("a",)


async def test_get_or_start_of_what_is_being_stopped(virtual_clock, recorder):
    async def slow(ctx):
        ctx.ready()
        with trio.CancelScope(shield=True):
            await trio.sleep(3)

    pool = DynamicSupervisor(max_children=3)
    async with open_supervisor(pool, observers=[recorder]) as root, trio.open_nursery() as nursery:
        await pool.start_child(ChildSpec("a", slow))
        stop = Asked(nursery, root.terminate_child, "a")
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(ChildStateError, match="stopping"):
            await pool.get_or_start(ChildSpec("a", slow))
        assert await stop.end() is None


async def test_restart_of_a_running_child(virtual_clock, recorder):
    tree = Supervisor([worker("a"), worker("b", [ready, forever], [crash()])])
    async with open_supervisor(tree, observers=[recorder]) as root:
        await root.restart_child("a")
        node = tree.child("a").node()
        assert (node.state, node.incarnation, node.restarts) == (State.RUNNING, 2, 0)
        with pytest.raises(StartFailedError):
            await root.restart_child("b")
        assert tree.child("b").state is State.STOPPED
        assert recorder.of(ChildRestarting) == []


async def test_a_restart_that_is_overtaken_by_a_stop(virtual_clock, recorder):
    tree = Supervisor([worker("a", [ready, stubborn(3)])])
    async with open_supervisor(tree, observers=[recorder]) as root, trio.open_nursery() as nursery:
        restart = Asked(nursery, root.restart_child, "a")
        await trio.testing.wait_all_tasks_blocked()
        await root.terminate_child("a")
        assert isinstance(await restart.end(), StartFailedError)
        assert tree.child("a").state is State.STOPPED


async def test_retry_now_ends_a_backoff(virtual_clock, recorder):
    tree = Supervisor([worker("a", [ready, crash()], [ready, forever], backoff=LONG), worker("b")])
    async with open_supervisor(tree, observers=[recorder], rng=FixedJitter()) as root:
        await recorder.wait_for(ChildRestarting)
        await root.retry_now("a")
        assert (tree.child("a").state, trio.current_time()) == (State.RUNNING, 0)
        with pytest.raises(ChildStateError, match="not in backoff"):
            await root.retry_now("a")


async def test_retry_now_of_one_that_fails_again(virtual_clock, recorder):
    tree = Supervisor([worker("a", [ready, crash()], [crash()], [ready, forever], backoff=LONG)])
    async with open_supervisor(tree, observers=[recorder], rng=FixedJitter()) as root:
        await recorder.wait_for(ChildRestarting)
        with pytest.raises(StartFailedError):
            await root.retry_now("a")
        assert tree.child("a").state is State.BACKOFF


async def test_retry_now_of_a_group(virtual_clock, recorder):
    tree = Supervisor(
        [worker("a"), worker("b", [ready, sleep(1), crash()], [ready, forever], backoff=LONG)],
        strategy=Strategy.ONE_FOR_ALL,
    )
    async with open_supervisor(tree, observers=[recorder], rng=FixedJitter()) as root:
        await recorder.wait_for(ChildRestarting)
        await trio.sleep(1)
        assert [c.state for c in root.tree().children] == [State.WAITING, State.BACKOFF]
        await root.retry_now("b")
        assert [c.state for c in root.tree().children] == [State.RUNNING, State.RUNNING]
        assert trio.current_time() == 2


async def test_wait_ready(virtual_clock, recorder):
    tree = Supervisor(
        [worker("a", [ready, crash()], [sleep(1), crash()], [ready, forever], backoff=LONG)]
    )
    async with open_supervisor(tree, observers=[recorder], rng=FixedJitter()) as root:
        await recorder.wait_for(ChildRestarting)
        ref = root.child("a")
        await ref.wait_ready()
        assert (ref.state, trio.current_time()) == (State.RUNNING, 101)
        await ref.wait_ready()
        await root.terminate_child("a")
        with pytest.raises(ChildDownError, match="stopped"):
            await ref.wait_ready()
        with pytest.raises(NoSuchChildError):
            await root.child("nobody").wait_ready()


async def test_wait_exit(virtual_clock, recorder):
    tree = Supervisor(
        [worker("a", [ready, sleep(1), crash(ValueError("x"))], [ready, forever], backoff=LONG)]
    )
    async with open_supervisor(tree, observers=[recorder], rng=FixedJitter()) as root:
        ref = root.child("a")
        assert (await ref.wait_exit()).reason == "ValueError: x"
        assert trio.current_time() == 1
        async with trio.open_nursery() as nursery:
            asked = Asked(nursery, ref.wait_exit)  # of the next incarnation
            await ref.wait_ready()
            assert not asked.over.is_set()
            await root.terminate_child("a")
            assert (await asked.end()).kind is ExitKind.STOPPED
        assert (await ref.wait_exit()).kind is ExitKind.STOPPED


async def test_every_wait_ends_with_the_tree(virtual_clock, recorder):
    tree = Supervisor(
        [
            worker("a", [ready, crash()], backoff=LONG),
            worker("b", [park()]),
            worker("c"),
        ]
    )
    async with trio.open_nursery() as nursery:
        async with open_supervisor(tree, observers=[recorder], rng=FixedJitter()) as root:
            await recorder.wait_for(ChildRestarting)
            waits = [
                Asked(nursery, root.child("a").wait_ready),
                Asked(nursery, root.child("c").wait_exit),
                Asked(nursery, root.child("a").wait_exit),
                Asked(nursery, tree.start_child, worker("d", [sleep(100), ready])),
            ]
            await trio.testing.wait_all_tasks_blocked()
        answers = [await asked.end() for asked in waits]
    assert isinstance(answers[0], SupervisorDownError)
    assert answers[1].kind is ExitKind.STOPPED
    assert answers[2].kind is ExitKind.CRASHED  # its last one: there will be no other
    assert isinstance(answers[3], StartFailedError)


async def test_monitors_see_every_end(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=2)
    seen = []
    async with open_supervisor(pool, observers=[recorder]) as root, trio.open_nursery() as nursery:
        ref = await pool.start_child(
            worker("a", [ready, sleep(1), crash(ValueError("x"))], [ready, forever])
        )

        async def watch():
            with ref.monitor() as exits:
                seen.extend([exit_.kind async for exit_ in exits])

        nursery.start_soon(watch)
        await trio.sleep(2)
        await root.restart_child("a")
        await root.terminate_child("a")
        await root.delete_child("a")
    assert seen == [ExitKind.CRASHED, ExitKind.STOPPED, ExitKind.STOPPED]


async def test_a_call_to_oneself_is_told_at_once(virtual_clock, recorder):
    found = []

    async def run(ctx):
        ctx.ready()
        async for call in ctx.mailbox:
            try:
                await tree.child("a").call("again")
            except CallCycleError as error:
                found.append(str(error))
            call.reply("done")

    tree = Supervisor([ChildSpec("a", run)])
    async with open_supervisor(tree, observers=[recorder]):
        assert await tree.child("a").call("once") == "done"
    assert "root/a would wait for itself" in found[0]


async def test_a_circle_of_calls_is_told_at_once(virtual_clock, recorder):
    def asks(other):
        async def run(ctx):
            ctx.ready()
            async for call in ctx.mailbox:
                try:
                    call.reply(await tree.child(other).call(call.message))
                except CallCycleError as error:
                    call.fail(error)

        return run

    names = "abc"
    tree = Supervisor([ChildSpec(n, asks(names[(i + 1) % 3])) for i, n in enumerate(names)])
    async with open_supervisor(tree, observers=[recorder]):
        with trio.fail_after(1), pytest.raises(CallCycleError):
            await tree.child("a").call("x")


async def test_a_child_with_another_reader_may_call_itself(virtual_clock, recorder):
    async def reads(mailbox):
        async for call in mailbox:
            call.reply(call.message + 1)

    async def run(ctx):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reads, ctx.mailbox)
            ctx.ready()
            assert await tree.child("a").call(1) == 2
            found.append(await tree.child("a").call(2))

    found = []
    tree = Supervisor([ChildSpec("a", run)])
    async with open_supervisor(tree, observers=[recorder]):
        await trio.sleep(1)
    assert found == [3]


async def test_calls_whose_callers_have_gone_take_no_room(virtual_clock, recorder):
    async def deaf(ctx):
        ctx.ready()
        await trio.sleep(1000)

    tree = Supervisor([ChildSpec("a", deaf, mailbox=10)])
    async with open_supervisor(tree, observers=[recorder]):
        ref = tree.child("a")

        async def impatient():
            with trio.move_on_after(1):
                await ref.call("x")

        async with trio.open_nursery() as nursery:
            for _ in range(15):
                nursery.start_soon(impatient)
        assert ref.node().mailbox == (0, 10, 0)
        for message in range(10):
            ref.send_nowait(message)
        with pytest.raises(trio.WouldBlock):
            ref.send_nowait("one too many")


async def test_a_forgotten_ready_ends_in_an_error(virtual_clock, recorder):
    tree = Supervisor([worker("a", [forever])])
    with pytest.raises(EscalationError, match="not ready within its deadline"):
        async with open_supervisor(tree, observers=[recorder]):
            pytest.fail("the block must not be entered")
    assert trio.current_time() == 120


async def test_a_hang_at_every_liveness_deadline_uses_the_budget_up(virtual_clock, recorder):
    tree = Supervisor([worker("a", [ready, forever], liveness=60)])
    with pytest.raises(EscalationError, match="no beat within its deadline"):
        async with open_supervisor(tree, observers=[recorder]):
            await trio.sleep_forever()


async def test_thousands_of_commands_at_once_are_all_answered(virtual_clock):
    pool = DynamicSupervisor(max_children=3000)
    spec = [worker(str(number), [ready, forever]) for number in range(3000)]
    async with open_supervisor(pool):
        async with trio.open_nursery() as nursery:
            for child in spec:
                nursery.start_soon(pool.start_child, child)
        assert len(pool.children()) == 3000
        async with trio.open_nursery() as nursery:
            for child in spec:
                nursery.start_soon(pool.terminate_child, child.name)
        assert {node.state for node in pool.tree()} == {State.STOPPED}
