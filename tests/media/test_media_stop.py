"""A stop of the media worker: the file in hand is brought home, no other is begun."""

from __future__ import annotations

from contextlib import asynccontextmanager

import trio

from runtime.media.worker import MediaWorker
from tests.supervised import supervised


@asynccontextmanager
async def working(scene, **rules):
    scene.worker = MediaWorker(scene.journal, scene.tasks, scene.spool, scene.events)
    async with supervised("media", scene.worker.run, **rules) as worker:
        yield worker


async def under_way(scene):
    async def check():
        return scene.bridge.under_way

    await scene.until(check, "a file is under way")


def fetched(scene):
    return [body["file"] for _, _, body in scene.bridge.calls]


async def test_the_file_in_hand_is_finished_and_not_fetched_twice(scene):
    scene.bridge.gate = trio.Event()
    first = await scene.arrive()
    async with working(scene) as worker:
        await under_way(scene)
        async with worker.stopping():
            second = await scene.arrive()
            await trio.testing.wait_all_tasks_blocked(0.05)
            scene.bridge.gate.set()
        assert await scene.state(first) == "available"
        assert scene.rows.states(first) == ["available"]
        assert await scene.tasks_left() == {second}
        await worker.start()
        await scene.until_state(second, "available")
    assert fetched(scene) == [first, second]


async def test_a_file_that_takes_too_long_is_cut_off_and_comes_after_the_next_start(scene):
    scene.bridge.gate = trio.Event()
    row = await scene.arrive()
    async with working(scene, drain_deadline=0.1) as worker:
        await under_way(scene)
        async with worker.stopping():
            pass
        assert await scene.tasks_left() == {row}
        scene.bridge.gate.set()
        await worker.start()
        await scene.until_state(row, "available")
    assert fetched(scene) == [row, row]
    assert scene.rows.states(row) == ["available"]
