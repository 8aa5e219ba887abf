"""Small supervised programs as real processes, and what is waited for in them."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager

import pytest

PRELUDE = """
import sys, time, threading
import trio
from supervisors import *
from supervisors.testing import ScriptedChild, crash, forever, ready, sleep

def say(text):
    print(text, flush=True)

async def steady(ctx):
    ctx.ready()
    try:
        await trio.sleep_forever()
    finally:
        say(f"{ctx.name} stops")

async def deaf(ctx):
    ctx.ready()
    say("deaf is up")
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()

async def up(root):
    say("up")
    await trio.sleep_forever()
"""


@contextmanager
def program(text, *prefix):
    source = PRELUDE + textwrap.dedent(text)
    with subprocess.Popen(
        [*prefix, sys.executable, "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def expect(process, line):
    assert process.stdout.readline() == f"{line}\n"


def read_until(stream, text):
    for line in stream:
        if text in line:
            return
    pytest.fail(f"it ended without {text!r}")


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def end(process):
    # Not communicate(): it does not know what the reads of lines have read ahead.
    out, err = process.stdout.read(), process.stderr.read()
    return process.wait(60), out.splitlines(), err
