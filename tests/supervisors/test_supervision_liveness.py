"""Beats, where a child hangs, the pulse and systemd's watchdog."""

from __future__ import annotations

import os
import socket
import time

import pytest
import trio
import trio.testing
from supervision_children import worker

from supervisors import (
    ChildExited,
    ChildReady,
    ChildSpec,
    ChildStarting,
    ChildStopping,
    DynamicSupervisor,
    EscalationError,
    ExitKind,
    LivenessError,
    NotReadyError,
    Park,
    Pulse,
    State,
    Supervisor,
    open_supervisor,
)
from supervisors._trio.systemd import Notifier
from supervisors.testing import beat, beating, forever, ready, sleep, stubborn


async def the_place_where_it_hangs():
    await trio.sleep_forever()


async def test_a_missed_beat_is_a_crash_that_says_where_it_hangs(virtual_clock, recorder):
    async def hangs(ctx):
        ctx.ready()
        await trio.sleep(4)
        ctx.beat()
        if ctx.incarnation > 1:
            while True:
                ctx.beat()
                await trio.sleep(1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(the_place_where_it_hangs)

    tree = Supervisor([ChildSpec("a", hangs, liveness=5)])
    async with open_supervisor(tree, observers=[recorder]) as root:
        record = await recorder.wait_for(ChildExited)
        assert trio.current_time() == 9
        assert record.exit.kind is ExitKind.CRASHED
        assert record.exit.code == "hung"
        assert isinstance(record.error, LivenessError)
        assert any("the_place_where_it_hangs" in line for line in record.exit.where)
        await trio.sleep(100)
        assert root.find("a").node().restarts == 1


async def test_beats_keep_a_child_alive(virtual_clock, recorder):
    child = worker("a", [ready, beating(3, 600), forever], liveness=4)
    async with open_supervisor(Supervisor([child]), observers=[recorder]):
        await trio.sleep(590)
    assert [e.exit.kind for e in recorder.of(ChildExited)] == [ExitKind.STOPPED]


async def test_liveness_is_watched_only_once_ready(virtual_clock, recorder):
    child = worker("a", [sleep(20), ready, beat, forever], liveness=5)
    async with open_supervisor(Supervisor([child]), observers=[recorder]):
        assert trio.current_time() == 20
        record = await recorder.wait_for(ChildExited)
        assert record.at == 25


async def test_a_missed_readiness_says_where_it_waits(virtual_clock, recorder):
    async def waits(ctx):
        if ctx.incarnation == 1:
            await the_place_where_it_hangs()
        ctx.ready()
        await trio.sleep_forever()

    tree = Supervisor([ChildSpec("a", waits, ready_deadline=3)])
    async with open_supervisor(tree, observers=[recorder]):
        record = recorder.of(ChildExited)[0]
    assert (record.at, record.exit.code) == (3, "not_ready")
    assert isinstance(record.error, NotReadyError)
    assert any("the_place_where_it_hangs" in line for line in record.exit.where)


async def test_what_a_hung_child_raises_when_cancelled_is_kept(virtual_clock, recorder):
    async def run(ctx):
        ctx.ready()
        try:
            await trio.sleep_forever()
        finally:
            if ctx.incarnation == 1:
                raise OSError("socket is gone")

    async def parks(ctx):
        ctx.ready()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            raise Park("asked to log in again") from None

    tree = Supervisor(
        [ChildSpec("a", run, liveness=3), ChildSpec("b", parks, liveness=3)],
    )
    async with open_supervisor(tree, observers=[recorder]) as root:
        await trio.sleep(4)
        record = recorder.of(ChildExited, "root/a")[0]
        assert record.exit.code == "hung"
        assert "socket is gone" in record.exit.reason
        assert isinstance(record.error, OSError)
        assert root.find("b").state is State.PARKED


async def test_a_hung_child_that_does_not_end_is_abandoned(virtual_clock, recorder):
    child = worker("a", [ready, stubborn(20)], liveness=3, stop_deadline=5)
    with pytest.raises(EscalationError, match="did not end"):
        async with open_supervisor(Supervisor([worker("z"), child]), observers=[recorder]):
            await trio.sleep_forever()
    assert recorder.story("root/a")[2:] == [
        "ChildStopping",
        "ChildAbandoned",
        "ChildExited",
        "ChildStopped",
    ]
    assert recorder.story("root/z")[-1] == "ChildStopped"


async def test_the_pulse_sees_a_hung_child(virtual_clock, recorder):
    pulse = Pulse()
    child = worker("a", [ready, stubborn(6), forever], [ready, beating(1, 50)], liveness=3)
    tree = Supervisor([ChildSpec("pulse", pulse), child])
    assert not pulse.live().ok
    async with open_supervisor(tree, observers=[recorder]):
        assert pulse.live().ok
        await trio.sleep(3.5)
        assert pulse.live().hung == ("root/a",)
        assert not pulse.live().ok
        await recorder.wait_for(ChildReady, "root/a", 2)
        assert pulse.live().ok
    assert not pulse.live().ok


async def test_the_pulse_sees_a_blocked_loop():
    told = []
    pulse = Pulse(interval=0.01, max_lag=0.5, measured=told.append)

    async def wait_ok():
        with trio.fail_after(60):
            while not pulse.live().ok:  # noqa: ASYNC110  this is what a prober does
                await trio.sleep(0.005)

    async with open_supervisor(Supervisor([ChildSpec("pulse", pulse)])):
        await wait_ok()
        time.sleep(0.6)  # noqa: ASYNC251  this is the fault
        assert not pulse.live().ok
        assert pulse.live().lag > 0.5
        await wait_ok()
        assert max(told) > 0.5 > min(told)


async def some_turns():
    """What needs the loop more than once, as an answer from a thread or a socket does."""
    for _ in range(5):
        await trio.lowlevel.checkpoint()


async def test_a_blocked_loop_is_no_fault_of_the_children(virtual_clock, recorder):
    """Nobody could become ready, beat or end meanwhile: so nobody is restarted or abandoned."""

    async def slow(ctx):
        await trio.sleep(4)
        await some_turns()
        ctx.ready()
        try:
            while True:
                await trio.sleep(1)
                await some_turns()
                ctx.beat()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(4)
                await some_turns()

    spec = ChildSpec("a", slow, ready_deadline=5, liveness=5, stop_deadline=5)
    pool = DynamicSupervisor(max_children=1)
    async with open_supervisor(pool, observers=[recorder]), trio.open_nursery() as nursery:
        nursery.start_soon(pool.start_child, spec)
        await recorder.wait_for(ChildStarting)
        virtual_clock.jump(60)  # the loop stands still
        await recorder.wait_for(ChildReady)
        virtual_clock.jump(60)
        await trio.sleep(10)
        nursery.start_soon(pool.terminate_child, "a")
        await recorder.wait_for(ChildStopping)
        virtual_clock.jump(60)
    assert recorder.story("root/a") == [
        "ChildStarting",
        "ChildReady",
        "ChildStopping",
        "ChildExited",
        "ChildStopped",
    ]


async def test_who_is_due_at_the_same_time_as_his_deadline_is_in_time(virtual_clock, recorder):
    child = worker("a", [sleep(5), ready, beating(5, 50), forever], ready_deadline=5, liveness=5)
    async with open_supervisor(Supervisor([child]), observers=[recorder]):
        await trio.sleep(48)
    assert recorder.of(ChildReady)[0].at == 5
    assert [event.exit.kind for event in recorder.of(ChildExited)] == [ExitKind.STOPPED]


def manager_socket(path):
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(path)
    receiver.setblocking(False)
    return receiver


def received(receiver):
    messages = []
    while True:
        try:
            messages.append(receiver.recv(100).decode())
        except BlockingIOError:
            return messages


@pytest.mark.parametrize("abstract", [False, True])
async def test_systemd_is_told(virtual_clock, recorder, tmp_path, abstract):
    name = f"zv-test-{os.getpid()}"
    path = "\0" + name if abstract else str(tmp_path / "notify")
    environ = {
        "NOTIFY_SOCKET": "@" + name if abstract else path,
        "WATCHDOG_USEC": "4000000",
        "WATCHDOG_PID": str(os.getpid()),
    }
    with manager_socket(path) as receiver:
        pulse = Pulse(interval=60, notifier=Notifier(environ))
        late = worker("late", [sleep(9), ready, stubborn(14.5), forever], [ready, forever])
        tree = Supervisor(
            [
                ChildSpec("pulse", pulse),
                ChildSpec("late", late.run, liveness=8.5, stop_deadline=20),
            ]
        )
        async with open_supervisor(tree, observers=[recorder]):
            assert received(receiver) == ["READY=1"]
            await trio.sleep(8)  # 17 s; pings every 2 s
            assert received(receiver) == ["WATCHDOG=1"] * 4
            await trio.sleep(6)  # 23 s; hung since 17.5, ends at 23.5
            assert received(receiver) == []
            await trio.sleep(2)
            assert received(receiver) == ["WATCHDOG=1"]
        assert received(receiver) == ["STOPPING=1"]


def test_without_a_manager_there_is_nothing_to_tell():
    notifier = Notifier({})
    assert notifier.watchdog is None
    notifier.tell("READY=1")


@pytest.mark.parametrize(
    ("environ", "watchdog"),
    [
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "2000000"}, 2.0),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, None),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "0"}, None),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "rubbish"}, None),
        ({"WATCHDOG_USEC": "2000000"}, None),
    ],
)
def test_the_watchdog_is_for_us_only_when_it_says_so(environ, watchdog):
    notifier = Notifier(environ)
    assert notifier.watchdog == watchdog
    notifier.tell("a manager that is gone does no harm")


def test_bad_pulse():
    with pytest.raises(ValueError, match="positive"):
        Pulse(interval=0)
