"""Each process killed or held at any moment, while messages flow both ways."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import psutil
import pytest

from tests.e2e.harness import until

from .accounts import Traffic, check_running
from .rig import Phone, hold, is_stopped

HELD_SECONDS = 2.0


def kill_runtime(phone: Phone) -> None:
    phone.runtime.kill()
    phone.runtime.start()


def kill_bridge(phone: Phone) -> None:
    os.kill(phone.runtime.bridge(), signal.SIGKILL)


def kill_postgrest(phone: Phone) -> None:
    os.kill(phone.runtime.backend.postgrest(), signal.SIGKILL)


def kill_postgresql(phone: Phone) -> None:
    os.kill(phone.runtime.backend.postmaster(), signal.SIGKILL)


def hold_runtime(phone: Phone) -> None:
    hold(phone.runtime.pid, HELD_SECONDS)


def hold_bridge(phone: Phone) -> None:
    hold(phone.runtime.bridge(), HELD_SECONDS)


def hold_postgrest(phone: Phone) -> None:
    hold(phone.runtime.backend.postgrest(), HELD_SECONDS)


def hold_postgresql(phone: Phone) -> None:
    """With every server process, so that a transaction stops wherever it is."""
    pids = [process.pid for process in phone.runtime.backend.children("postgres")]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(HELD_SECONDS)
    for pid in pids:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGCONT)


KILLS = [kill_runtime, kill_bridge, kill_postgrest, kill_postgresql]
HOLDS = [hold_runtime, hold_bridge, hold_postgrest, hold_postgresql]


@pytest.mark.parametrize(
    "fault",
    [*KILLS, *(pytest.param(fault, marks=pytest.mark.long) for fault in HOLDS)],
    ids=lambda fault: fault.__name__,
)
def test_at_any_moment(fault: Callable[[Phone], None], survivor: Phone) -> None:
    traffic = Traffic(survivor, fault.__name__)
    with traffic.flowing(incoming=60, outgoing=20):
        survivor.wait_text(f"{traffic.label} 10")
        fault(survivor)
    check_running(survivor)


def test_a_runtime_held_between_commit_and_answer(survivor: Phone) -> None:
    runtime = survivor.runtime
    traffic = Traffic(survivor, "held at fsync")
    with traffic.flowing(incoming=30, outgoing=12):
        runtime.arm("fsync:stop@5")
        until(lambda: is_stopped(runtime.pid), what="the runtime is held")
        time.sleep(HELD_SECONDS)
        os.kill(runtime.pid, signal.SIGCONT)
    check_running(survivor)


@pytest.mark.long
def test_a_bridge_that_hangs_in_a_commit_is_replaced(survivor: Phone) -> None:
    runtime = survivor.runtime
    hung = runtime.bridge()
    traffic = Traffic(survivor, "held at mid-commit")
    with traffic.flowing(incoming=30, outgoing=12):
        runtime.arm("mid-commit:stop@5")
        until(lambda: is_stopped(hung), what="the bridge is held")
        until(lambda: not psutil.pid_exists(hung), seconds=60, what="it is ended")
    assert runtime.bridge() != hung
    check_running(survivor)
