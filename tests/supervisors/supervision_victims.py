"""Processes that tests kill: ``python supervision_victims.py``, one line "STAGE MARKER" per victim.

A victim runs a program that ignores everything and has children, which all have MARKER in their
environment, and says how far it is. ``Victims`` is the test's side.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import psutil
import trio

from supervisors import open_program

ROOT = Path(__file__).parents[2]
LIMIT = 30.0
DEAF = """
trap "" TERM INT HUP
sleep 300 &
(sleep 300 &)
echo up
while :; do sleep 300; done
"""


def say(word, *numbers):
    print(word, os.getpid(), *numbers, flush=True)


async def victim(stage):
    async with open_program(["/bin/sh", "-c", DEAF], stop_grace=0.1) as program:
        async for line in program.lines():
            assert line == "up"
            break
        say("up", program.info.pid, program.info.leash_pid)
        if stage == "forked":  # as multiprocessing does: a copy of all that we hold
            copy = os.fork()
            if not copy:
                while True:
                    signal.pause()
            say("copy", copy)
        if stage != "stopping":
            say("ended", await program.wait())
    await trio.sleep_forever()


def main():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the victims
    for line in sys.stdin:
        stage, marker = line.split()
        if not os.fork():
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.environ["MARKER"] = marker
            say("made")
            trio.run(victim, stage)


def marked(marker):
    """The processes with the marker in their environment; a zombie has none any more."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                if f"MARKER={marker}".encode() in (entry / "environ").read_bytes():
                    found.add(int(entry.name))
    return found


def until(condition, what):
    """Looks again and again; returns what is true in the end."""
    deadline = time.monotonic() + LIMIT
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.001)
    return value


@dataclass
class Victim:
    pid: int
    marker: str

    def left(self):
        return marked(self.marker)

    def leash(self):
        """The leash's pid, once there is one."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return next((child.pid for child in psutil.Process(self.pid).children()), None)

    def assert_nothing_is_left(self):
        until(lambda: not self.left(), f"{self.left()} is left")


class Victims:
    def __init__(self):
        self._maker = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            process_group=0,
        )

    def make(self, stage):
        marker = uuid.uuid4().hex
        self._maker.stdin.write(f"{stage} {marker}\n")
        self._maker.stdin.flush()
        return Victim(self._next("made")[0], marker)

    def hear(self, victim, word):
        """The numbers after the word that the victim says; what others still say is skipped."""
        while (said := self._next(word))[:1] != [victim.pid]:
            pass
        return said[1:]

    def _next(self, word):
        while (said := self._maker.stdout.readline().split())[0] != word:
            pass
        return [int(part) for part in said[1:]]

    def close(self):
        os.killpg(self._maker.pid, signal.SIGKILL)  # the victims and their copies too
        self._maker.communicate(timeout=LIMIT)


def kill(*pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
