"""A child that keeps the event loop from turning is found and named. In real time: blocks are."""

from __future__ import annotations

import threading
import time

import pytest
import trio

import supervisors._trio.pulse as pulse_module
from supervisors import (
    Backoff,
    ChildSpec,
    DynamicSupervisor,
    LoopBlocked,
    Pulse,
    Supervisor,
    open_supervisor,
)
from supervisors.testing import EventRecorder, ScriptedChild

BLOCK = 0.6


def hold_the_loop():
    time.sleep(BLOCK)


async def blocks_once(ctx):
    ctx.ready()
    if ctx.incarnation == 1:
        await trio.lowlevel.checkpoint()
        hold_the_loop()
    await trio.sleep_forever()


async def blocks_in_a_task_of_its_own(ctx):
    async def inner():
        await trio.lowlevel.checkpoint()
        hold_the_loop()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(inner)
        ctx.ready()
        await trio.sleep_forever()


async def blocks_and_crashes(ctx):
    ctx.ready()
    await trio.lowlevel.checkpoint()
    hold_the_loop()
    raise RuntimeError


@pytest.fixture
def recorder():
    return EventRecorder()


@pytest.mark.parametrize(
    "run", [blocks_once, blocks_in_a_task_of_its_own, blocks_and_crashes], ids=lambda r: r.__name__
)
async def test_the_child_that_blocks_is_named(recorder, run):
    inner = DynamicSupervisor(max_children=3)
    tree = Supervisor([ChildSpec("pulse", Pulse()), ChildSpec("pool", inner)])
    async with open_supervisor(tree, observers=[recorder]):
        await inner.start_child(ChildSpec("calm", ScriptedChild()))
        await inner.start_child(ChildSpec("guilty", run, backoff=Backoff(60, 60, 1)))
        with trio.fail_after(10):
            event = await recorder.wait_for(LoopBlocked)
    assert event.path == "root/pool/guilty"
    assert BLOCK / 2 < event.seconds < BLOCK * 5
    assert any("hold_the_loop" in line for line in event.where)
    assert not any("/trio/" in line or "test_the_child_that" in line for line in event.where)


async def test_a_block_outside_all_children_is_told_of_the_root(recorder):
    tree = Supervisor([ChildSpec("pulse", Pulse())])
    async with open_supervisor(tree, observers=[recorder]):
        hold_the_loop()
        with trio.fail_after(10):
            event = await recorder.wait_for(LoopBlocked)
    assert event.path == "root"
    assert any("hold_the_loop" in line for line in event.where)


async def test_an_idle_loop_is_not_blocked(recorder):
    tree = Supervisor([ChildSpec("pulse", Pulse()), ChildSpec("calm", ScriptedChild())])
    async with open_supervisor(tree, observers=[recorder]):
        await trio.sleep(1.0)  # the loop sleeps in its selector all the while
    assert recorder.of(LoopBlocked) == []


async def test_one_who_blocks_again_and_again_is_not_well(recorder, monkeypatch):
    monkeypatch.setattr(pulse_module, "WINDOW", 2.0)
    over = trio.Event()

    async def guilty(ctx):
        ctx.ready()
        for _ in range(4):
            hold_the_loop()
            await trio.lowlevel.checkpoint()
        over.set()
        await trio.sleep_forever()

    pulse = Pulse()
    tree = Supervisor([ChildSpec("pulse", pulse), ChildSpec("guilty", guilty)])
    async with open_supervisor(tree, observers=[recorder]):
        with trio.fail_after(20):
            await over.wait()
            await recorder.wait_for(LoopBlocked, count=2)
            assert pulse.live().blockers == ("root/guilty",)
            assert not pulse.live().ok
            await trio.sleep(2.5)  # the window passes
            assert pulse.live().blockers == ()
            assert pulse.live().ok


async def test_a_block_that_lasts_is_logged_while_it_lasts(recorder, caplog):
    tree = Supervisor([ChildSpec("pulse", Pulse(max_lag=0.3)), ChildSpec("a", blocks_once)])
    async with open_supervisor(tree, observers=[recorder]):
        with trio.fail_after(10):
            await recorder.wait_for(LoopBlocked)
    (alarm,) = [r for r in caplog.records if "has not turned" in r.getMessage()]
    assert alarm.levelname == "CRITICAL"
    assert "hold_the_loop" in alarm.getMessage()


def pulses():
    return [thread for thread in threading.enumerate() if thread.name == "pulse"]


async def test_no_thread_is_left(recorder):
    def fails(_lag):
        raise RuntimeError

    children = [
        ChildSpec("pulse", Pulse()),
        ChildSpec("bad", Pulse(interval=0.01, measured=fails), backoff=Backoff(0.01, 0.01, 1)),
    ]
    tree = Supervisor(children)
    with trio.move_on_after(0.5):
        async with open_supervisor(tree, observers=[recorder]) as root:
            await root.restart_child("pulse")
            assert 1 <= len(pulses()) <= 2
            await trio.sleep_forever()
    assert pulses() == []
