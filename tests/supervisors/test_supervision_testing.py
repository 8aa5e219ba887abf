"""The library's own testing tools."""

from __future__ import annotations

import pytest
import trio

from supervisors import (
    ChildExited,
    ChildParked,
    ChildReady,
    ChildRemoved,
    ChildSpec,
    ChildStarting,
    ChildStopping,
    Exit,
    ExitKind,
    Park,
    Restart,
    Supervisor,
    Why,
    open_supervisor,
)
from supervisors.testing import (
    EventRecorder,
    IllegalStoryError,
    ScriptedChild,
    beating,
    crash,
    park,
    ready,
    sleep,
    stubborn,
)


def told(*events):
    recorder = EventRecorder()
    for event in events:
        recorder(event)
    return recorder


def starting(number=1, path="a"):
    return ChildStarting(path, 0, number)


def exited(number=1):
    return ChildExited("a", 0, number, Exit(ExitKind.NORMAL), None)


def test_legal_stories_pass():
    told().check()
    told(starting(), ChildReady("a", 0, 1, 0), exited(), starting(2), exited(2)).check()
    told(starting(), exited(), ChildRemoved("a", 0), starting(1)).check()
    told(starting(), exited(), ChildParked("a", 0, "x", "y")).check()
    told(starting(1, "a"), starting(1, "a/b")).check()


@pytest.mark.parametrize(
    "story",
    [
        [starting(), starting(2)],
        [starting(2)],
        [starting(), exited(), starting(1)],
        [exited()],
        [starting(), exited(), exited()],
        [starting(), exited(2)],
        [ChildReady("a", 0, 1, 0)],
        [starting(), exited(), ChildStopping("a", 0, 1, Why.COMMAND)],
        [starting(), exited(), ChildParked("a", 0, "x", "y"), starting(2)],
    ],
)
def test_illegal_stories_are_refused(story):
    with pytest.raises(IllegalStoryError):
        told(*story).check()


def test_unfinished_children_are_named():
    assert told(starting()).unfinished() == ["a"]
    assert told(starting(), exited()).unfinished() == []


def test_the_recorder_is_bounded():
    recorder = EventRecorder(limit=10)
    for number in range(100):
        recorder(starting(number))
    assert len(recorder.events) <= 10
    assert recorder.events[-1].incarnation == 99


async def test_waiting_for_events(virtual_clock):
    recorder = EventRecorder()
    child = ScriptedChild([sleep(3), ready, sleep(3)])
    async with trio.open_nursery() as nursery:
        seen = []

        async def wait():
            seen.append((await recorder.wait_for(ChildReady, "root/a", count=2)).at)

        nursery.start_soon(wait)
        async with open_supervisor(Supervisor([ChildSpec("a", child)]), observers=[recorder]):
            assert (await recorder.wait_for(ChildReady)).at == 3
            await trio.sleep(7)
    assert seen == [9]


async def test_scripts_are_played_one_per_incarnation(virtual_clock, recorder):
    child = ScriptedChild(
        [ready, crash(ValueError("first"))],
        [ready, beating(1, 3), stubborn(1), crash()],
        [ready, park("why", "code")],
    )
    spec = ChildSpec("a", child, restart=Restart.TRANSIENT, liveness=2)
    async with open_supervisor(Supervisor([spec]), observers=[recorder]):
        await trio.sleep(10)
    exits = [event.exit.reason for event in recorder.of(ChildExited)]
    assert exits == ["ValueError: first", "RuntimeError: crash", "why"]
    assert (child.launches, child.live, child.most_live) == (3, 0, 1)
    assert isinstance(recorder.of(ChildExited)[2].error, Park)


async def test_the_default_script_is_ready_and_waits(virtual_clock, recorder):
    child = ScriptedChild()
    async with open_supervisor(Supervisor([ChildSpec("a", child)]), observers=[recorder]):
        await trio.sleep(1000)
        assert child.live == 1
