"""The journal under a real supervisor."""

from __future__ import annotations

import trio
from journal_support import message, running, until

from runtime.journal import Journal
from supervisors import ChildSpec, Intensity, Supervisor, open_supervisor


def tree(journal):
    child = ChildSpec("journal", journal.run, stop_deadline=15.0, liveness=10.0)
    return Supervisor([child], intensity=Intensity(max_restarts=2, window=60.0))


async def test_it_starts_serves_and_stops(path):
    journal = Journal(path)
    with trio.fail_after(20):
        async with open_supervisor(tree(journal), name="root"):
            await journal.accept([message("k")])
    assert journal.state.name == "stopped"


async def test_a_damaged_file_parks_it_and_it_can_be_unparked_when_repaired(path):
    async with running(path) as journal:
        await journal.accept([message("k")])
    good = path.read_bytes()
    path.write_bytes(b"\xff" * len(good))
    journal = Journal(path)
    with trio.fail_after(20):
        async with open_supervisor(tree(journal), name="root") as root:
            await until(lambda: root.tree().children[0].state.value == "parked")
            assert journal.state.code == "journal_corrupt"
            path.write_bytes(good)
            await root.unpark("journal")
            await until(lambda: journal.state.name == "available")
            assert (await journal.accept([message("k")]))[0].duplicate
