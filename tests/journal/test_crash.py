"""kill -9 at random moments: everything acknowledged is there afterwards."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from journal_support import everything_pending, running

PRODUCER = """
import sys, trio
from pathlib import Path
from runtime.journal import Journal, NewEntry

class Context:
    def __init__(self): self.opened = trio.Event()
    def ready(self): self.opened.set()
    def beat(self): pass

async def produce(journal, name):
    for number in range(10**9):
        key = f"{name}-{number}"
        await journal.accept([NewEntry("message", key, {"conteudo": key})])
        print(key, flush=True)

async def main():
    journal, context = Journal(Path(sys.argv[1])), Context()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, context)
        await context.opened.wait()
        for producer in range(8):
            nursery.start_soon(produce, journal, f"{sys.argv[2]}-{producer}")

trio.run(main)
"""


@pytest.mark.parametrize("seed", [1, 2])
async def test_acknowledged_entries_survive_kill_9(path, seed):
    randomness = random.Random(seed)
    acknowledged: list[str] = []
    for round_ in range(3):
        producer = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile
            [sys.executable, "-c", PRODUCER, str(path), str(round_)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )
        first = b"".join(producer.stdout.readline() for _ in range(50))
        time.sleep(randomness.uniform(0.01, 0.3))  # noqa: ASYNC251 - the moment of the kill
        producer.kill()
        output = first + producer.stdout.read()
        producer.wait()
        producer.stdout.close()
        whole_lines = output[: output.rfind(b"\n")].decode().split("\n")
        acknowledged += whole_lines
    assert len(acknowledged) >= 150
    async with running(path) as journal:
        keys = [entry.key for entry in await everything_pending(journal)]
        assert len(keys) == len(set(keys))
        assert set(acknowledged) <= set(keys)
        for producer in {key.rpartition("-")[0] for key in keys}:
            numbers = [
                int(key.rpartition("-")[2]) for key in keys if key.startswith(producer + "-")
            ]
            assert numbers == list(range(len(numbers)))
        assert await journal.audit() == []
