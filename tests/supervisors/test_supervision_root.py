"""``open_supervisor``: what comes out of the block, and the bounded stop."""

# ruff: noqa: PT012  what is expected to raise is a whole tree
from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest
import trio
import trio.testing
from supervision_children import slow_to_stop, worker

from supervisors import (
    EXIT_STOP_OVERRUN,
    ChildExited,
    ChildReady,
    ChildSpec,
    ChildStopped,
    ChildStopping,
    DynamicSupervisor,
    EscalationError,
    ExitKind,
    Intensity,
    NoSuchChildError,
    NotStoppedError,
    State,
    StopError,
    Supervisor,
    SupervisorReady,
    SupervisorStopped,
    SupervisorStopping,
    log_events,
    open_supervisor,
)
from supervisors.testing import crash, forever, park, ready, sleep, stubborn


async def test_leaving_the_block_stops_the_tree_and_keeps_the_error(virtual_clock, recorder):
    with pytest.raises(KeyError, match="mine"):
        async with open_supervisor(Supervisor([worker("a"), worker("b")]), observers=[recorder]):
            raise KeyError("mine")
    assert [e.path for e in recorder.of(ChildStopped)] == ["root/b", "root/a"]


async def test_cancelling_from_outside_stops_the_tree_in_order(virtual_clock, recorder):
    children = [worker("a", [ready, stubborn(5)]), worker("b", [ready, stubborn(2)])]
    with trio.move_on_after(1) as scope:
        async with open_supervisor(Supervisor(children), observers=[recorder]):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert [(e.path, e.at) for e in recorder.of(ChildStopping)] == [("root/b", 1), ("root/a", 2)]
    assert trio.current_time() == 5


async def test_cancelling_during_the_start_stops_what_has_started(virtual_clock, recorder):
    children = [worker("a"), worker("b", [forever]), worker("c")]
    with trio.move_on_after(1) as scope:
        async with open_supervisor(Supervisor(children), observers=[recorder]):
            pytest.fail("the block must not be entered")
    assert scope.cancelled_caught
    assert [e.path for e in recorder.of(ChildStopped)] == ["root/c", "root/b", "root/a"]
    assert recorder.story("root/c") == ["ChildStopped"]


async def test_when_the_supervisor_gives_up_the_block_is_cancelled(virtual_clock, recorder):
    was_cancelled = False
    child = worker("a", [ready, sleep(1), crash(ValueError("why"))])
    with pytest.raises(EscalationError) as caught:
        async with open_supervisor(Supervisor([child]), observers=[recorder], name="top"):
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                was_cancelled = True
                raise
    assert was_cancelled
    assert caught.value.path == "top"
    assert recorder.of(SupervisorStopping, "top")[0].escalated


async def test_error_of_the_block_and_of_the_supervisor_come_out_together(virtual_clock, recorder):
    with pytest.raises(ExceptionGroup) as caught:
        async with open_supervisor(
            Supervisor([worker("a", [ready, sleep(1), crash()])], intensity=Intensity(0, 1)),
            observers=[recorder],
        ):
            try:
                await trio.sleep_forever()
            finally:
                raise KeyError("in the block")
    assert {type(error) for error in caught.value.exceptions} == {KeyError, EscalationError}


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit])
async def test_fatal_exceptions_stop_in_order_and_pass_through(virtual_clock, recorder, fatal):
    inner = Supervisor([worker("x"), worker("y", [ready, sleep(1), crash(fatal())])])
    tree = Supervisor([worker("a"), ChildSpec("inner", inner), worker("z")])
    with pytest.raises(fatal):
        async with open_supervisor(tree, observers=[recorder]):
            await trio.sleep_forever()
    assert [e.path for e in recorder.of(ChildStopped)] == [
        "root/inner/y",
        "root/inner/x",
        "root/inner",
        "root/z",
        "root/a",
    ]


async def test_the_tree_is_a_frozen_picture(virtual_clock, recorder):
    pool = DynamicSupervisor(max_children=4)
    tree = Supervisor([worker("a"), ChildSpec("pool", pool)])
    async with open_supervisor(tree, observers=[recorder]) as root:
        await pool.start_child(worker("x", [park("why", "code")]))
        await trio.sleep(5)
        picture = root.tree()
        await root.terminate_child("a")
    paths = [node.path for node in picture.walk()]
    assert paths == ["root", "root/a", "root/pool", "root/pool/x"]
    assert picture.find("root/a").state is State.RUNNING
    assert picture.find("root/pool/x").last_exit.code == "code"
    assert picture.find("root/pool").kind == "supervisor"
    assert picture.find("root/a").since == 0
    age = picture.find("root/a").since_utc - picture.find("root/pool/x").since_utc
    assert abs(age.total_seconds()) < 0.1
    assert picture.find("root/nobody") is None
    with pytest.raises(AttributeError):
        picture.state = State.DONE


async def test_find_by_path(virtual_clock, recorder):
    inner = Supervisor([worker("x")])
    async with open_supervisor(
        Supervisor([ChildSpec("inner", inner), worker("a")]), observers=[recorder]
    ) as root:
        assert root.find("root/inner/x").path == "root/inner/x"
        assert root.child("a").path == root.find("a").path == "root/a"
        for path in ("root", "root/b", "other/a", "root/a/x", "root/inner/y", "", "root//a"):
            with pytest.raises(NoSuchChildError):
                root.find(path)


async def test_observers(virtual_clock, recorder, caplog):
    seen = []

    def broken(_event):
        raise RuntimeError("a broken observer")

    async with open_supervisor(Supervisor([worker("a")]), observers=[broken, recorder]) as root:
        unsubscribe = root.subscribe(seen.append)
        await root.terminate_child("a")
        unsubscribe()
        await root.restart_child("a")
    assert [type(e).__name__ for e in seen] == ["ChildStopping", "ChildExited", "ChildStopped"]
    assert "a broken observer" in caplog.text
    assert len(recorder.of(ChildReady)) == 2


async def test_an_observer_may_give_commands(virtual_clock, recorder):
    async with (
        open_supervisor(
            Supervisor([worker("a"), worker("b", [ready, sleep(1), park()])]), observers=[recorder]
        ) as root,
        trio.open_nursery() as nursery,
    ):

        def on_event(event):
            if type(event).__name__ == "ChildParked":
                nursery.start_soon(root.terminate_child, "a")

        root.subscribe(on_event)
        await recorder.wait_for(ChildStopped, "root/a")


async def test_events_of_the_supervisor_itself(virtual_clock, recorder):
    async with open_supervisor(Supervisor([worker("a")]), observers=[recorder]):
        assert [e.path for e in recorder.of(SupervisorReady)] == ["root"]
    assert recorder.of(SupervisorStopping)[0].reason == "told to stop"
    assert type(recorder.events[-1]) is SupervisorStopped


async def test_logs_derive_from_events(virtual_clock, recorder, caplog):
    import logging

    caplog.set_level(logging.DEBUG, "any.name")
    observer = log_events(logging.getLogger("any.name"))
    children = [
        worker("a", [ready, crash(ValueError("boom"))], [ready, forever]),
        worker("b", [park("logged out")]),
        worker("c", [forever], [ready, forever], ready_deadline=1),
    ]
    async with open_supervisor(Supervisor(children), observers=[observer, recorder]):
        await trio.sleep(2)
    levels = {(record.levelname, record.message.split()[1]) for record in caplog.records}
    assert ("ERROR", "ChildExited") in levels
    assert ("INFO", "ChildReady") in levels
    assert ("WARNING", "ChildParked") in levels
    assert "ValueError: boom" in caplog.text
    assert "Traceback" in caplog.text
    assert "reason=logged out" in caplog.text
    assert "in forever" in caplog.text


async def test_context_variables_do_not_leak_between_children(virtual_clock, recorder):
    import contextvars

    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    async def setter(ctx):
        variable.set("by the first child")
        ctx.ready()
        await trio.sleep_forever()

    async def getter(ctx):
        seen.append(variable.get())
        ctx.ready()
        await trio.sleep_forever()

    variable.set("by the program")
    async with open_supervisor(
        Supervisor([ChildSpec("a", setter), ChildSpec("b", getter)]), observers=[recorder]
    ):
        assert seen == ["by the program"]


async def test_a_stop_beyond_its_limit_is_told_and_raised(virtual_clock, recorder, caplog):
    child = worker("a", [ready, stubborn(1000)], stop_deadline=5)
    with pytest.raises(EscalationError, match="a did not end") as caught:
        async with open_supervisor(
            Supervisor([worker("z"), child]), observers=[recorder], stop_limit=60
        ):
            pass
    assert trio.current_time() == 1000
    (report,) = [r for r in caplog.records if "did not stop in time" in r.getMessage()]
    assert report.levelname == "CRITICAL"
    assert "root/a" in report.getMessage()
    assert "in stubborn" in report.getMessage() or "in step" in report.getMessage()
    assert isinstance(caught.value.__cause__, NotStoppedError)
    assert caught.value.__cause__.path == "root/a"
    assert recorder.of(ChildStopped, "root/z")[0].at == 5


async def test_the_first_cause_is_told_to_whoever_ends_the_process(virtual_clock, recorder):
    ends = []
    child = worker("a", [ready, stubborn(1000)], stop_deadline=5)
    with pytest.raises(ExceptionGroup):
        async with open_supervisor(
            Supervisor([child]),
            observers=[recorder],
            stop_limit=60,
            overrun=lambda stuck, cause: ends.append((stuck, cause, trio.current_time())),
        ):
            raise KeyError("why it all ends")
    ((stuck, cause, at),) = ends
    assert isinstance(stuck, NotStoppedError)
    assert isinstance(cause, KeyError)
    assert at == 6  # its own deadline, and a second after everybody else had ended


async def test_one_that_is_abandoned_alone_is_told_soon(virtual_clock, recorder):
    told = []
    tree = Supervisor([worker("a", [ready, stubborn(1000)])])
    with pytest.raises(EscalationError):
        async with open_supervisor(
            tree, observers=[recorder], overrun=lambda *_: told.append(trio.current_time())
        ) as root:
            await root.terminate_child("a")
    assert told == [6]


async def test_the_default_limit_is_what_the_deadlines_allow(virtual_clock, recorder, caplog):
    tree = Supervisor([ChildSpec(f"c{i}", slow_to_stop(4)) for i in range(20)])
    async with open_supervisor(tree, observers=[recorder]):
        pass
    assert trio.current_time() == 80
    assert not [r for r in caplog.records if r.levelname == "CRITICAL"]


async def test_the_time_of_the_block_is_not_the_trees(virtual_clock, recorder, caplog):
    child = worker("a", [ready, sleep(1), crash()])
    with pytest.raises(EscalationError):
        async with open_supervisor(
            Supervisor([child], intensity=Intensity(0, 1)), observers=[recorder], stop_limit=60
        ):
            with trio.CancelScope(shield=True):
                await trio.sleep(500)
    assert not [r for r in caplog.records if r.levelname == "CRITICAL"]


async def test_a_limit_shorter_than_the_deadlines_is_refused():
    tree = Supervisor([worker("a", stop_deadline=10), worker("b", drain_deadline=7)])
    assert tree.stop_needs == 10 + 7 + 5
    open_supervisor(tree, stop_limit=22)
    with pytest.raises(ValueError, match="22 s"):
        open_supervisor(tree, stop_limit=21.9)


async def test_an_observer_that_raises_what_is_no_exception_ends_the_tree(virtual_clock, recorder):
    class Outcome(BaseException):
        pass

    def observe(event):
        if isinstance(event, ChildReady):
            raise Outcome

    with pytest.raises(Outcome):
        async with open_supervisor(
            Supervisor([worker("a"), worker("b")]), observers=[observe, recorder]
        ):
            await trio.sleep_forever()
    assert recorder.unfinished() == []
    assert isinstance(recorder.events[-1], SupervisorStopped)


async def test_crashes_are_logged_by_default(virtual_clock, caplog):
    child = worker("a", [ready, crash(ValueError("boom"))], [ready, forever])
    async with open_supervisor(Supervisor([child])):
        await trio.sleep(1)
    assert "ValueError: boom" in caplog.text
    caplog.clear()
    child = worker("a", [ready, crash(ValueError("boom"))], [ready, forever])
    async with open_supervisor(Supervisor([child]), logger=None):
        await trio.sleep(1)
    assert caplog.text == ""


def test_a_hard_exit_flushes_and_tells_stacks_and_cause():
    program = """
        import sys, trio
        from supervisors import ChildSpec, Supervisor, hard_exit, open_supervisor

        async def deaf(ctx):
            ctx.ready()
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()

        async def main():
            tree = Supervisor([ChildSpec("deaf", deaf, stop_deadline=0.05)])
            async with open_supervisor(tree, stop_limit=0.2, overrun=hard_exit):
                print("an important line", end="")
                raise ValueError("the reason why it ends")

        trio.run(main)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == EXIT_STOP_OVERRUN == 70
    assert done.stdout == "an important line"
    for part in ("root/deaf", "in deaf", "the reason why it ends", "most recent call first"):
        assert part in done.stderr


def test_ctrl_c_stops_the_tree_in_order():
    program = """
        import trio
        from supervisors import ChildSpec, Supervisor, open_supervisor

        def child(name):
            async def run(ctx):
                ctx.ready()
                try:
                    await trio.sleep_forever()
                finally:
                    print(name, "stops", flush=True)
            return ChildSpec(name, run)

        async def main():
            async with open_supervisor(Supervisor([child("a"), child("b")])):
                print("up", flush=True)
                await trio.sleep_forever()

        try:
            trio.run(main)
        except KeyboardInterrupt:
            print("interrupted")
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[0].split("\n")[:3] == [
            "b stops",
            "a stops",
            "interrupted",
        ]


async def test_crashes_while_stopping_come_out(virtual_clock, recorder):
    async def run(ctx):
        ctx.ready()
        try:
            await trio.sleep_forever()
        finally:
            raise OSError(f"flush of {ctx.name} failed")

    tree = Supervisor([ChildSpec("inner", Supervisor([ChildSpec("a", run)])), ChildSpec("b", run)])
    with pytest.raises(StopError) as caught:
        async with open_supervisor(tree, observers=[recorder]):
            pass
    assert [str(e) for e in caught.value.exceptions] == ["flush of b failed", "flush of a failed"]
    record = recorder.of(ChildExited, "root/b")[0]
    assert (record.exit.kind, record.exit.reason) == (
        ExitKind.CRASHED,
        "OSError: flush of b failed",
    )


def test_bad_arguments():
    with pytest.raises(ValueError, match="child name"):
        open_supervisor(Supervisor([]), name="a/b")
    with pytest.raises(ValueError, match="stop_limit"):
        open_supervisor(Supervisor([]), stop_limit=0)
