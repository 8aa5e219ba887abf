"""kill -9 and SIGSTOP at every named place: nothing lost, nothing doubled, in order."""

from __future__ import annotations

import itertools
import os
import signal

import psutil
import pytest

from tests.e2e.harness import until

from .accounts import Traffic, check_running
from .places import BRIDGE, RUNTIME
from .rig import Phone, hold, is_stopped

HELD_SECONDS = 2.0
_round = itertools.count(1)

# In turn: a killed runtime also begins the bridge's restart delays anew.
INTERLEAVED = [
    place
    for pair in itertools.zip_longest(RUNTIME.items(), BRIDGE.items())
    for place in pair
    if place is not None
]
# The bridge is killed at each of its own in bridge/test/faults.test.ts, too.
QUICK = {
    "journal-write",
    "fsync",
    "ack",
    "rpc-sent",
    "rpc-committed",
    "settle",
    "command-written",
    "sent",
    "committed-before-receipt",
    "frame-before-ack",
}


@pytest.mark.parametrize(
    ("place", "passage"),
    [
        pytest.param(name, passage, id=name, marks=() if name in QUICK else pytest.mark.long)
        for name, passage in INTERLEAVED
    ],
)
def test_kill_9_at(place: str, passage: int, survivor: Phone) -> None:
    runtime = survivor.runtime
    bridge = runtime.bridge()
    traffic = Traffic(survivor, f"{next(_round)} {place}")
    with traffic.flowing(incoming=30, outgoing=12):
        runtime.arm(f"{place}:kill@{passage}")
        if place in RUNTIME:
            assert runtime.wait_death() == -9
            runtime.start()
        else:
            until(lambda: runtime.struck, what=f"the bridge passes {place}")
            until(lambda: not psutil.pid_exists(bridge), what="the bridge is dead")
    check_running(survivor)


@pytest.mark.long
def test_kill_9_while_the_log_of_the_last_kill_is_moved_into_the_file(survivor: Phone) -> None:
    runtime = survivor.runtime
    traffic = Traffic(survivor, f"{next(_round)} checkpoint")
    with traffic.flowing(incoming=30, outgoing=12):
        survivor.wait_text(f"{traffic.label} 3")
        runtime.kill()
        runtime.arm("checkpoint:kill")
        runtime.launch()
        assert runtime.wait_death() == -9
        runtime.start()
    check_running(survivor)


@pytest.mark.long
@pytest.mark.parametrize(("place", "passage"), INTERLEAVED, ids=[name for name, _ in INTERLEAVED])
def test_sigstop_at(place: str, passage: int, survivor: Phone) -> None:
    runtime = survivor.runtime
    pid = runtime.pid if place in RUNTIME else runtime.bridge()
    traffic = Traffic(survivor, f"{next(_round)} held at {place}")
    with traffic.flowing(incoming=30, outgoing=12):
        runtime.arm(f"{place}:stop@{passage}")
        until(lambda: is_stopped(pid), what=f"it is held at {place}", seconds=40)
        hold(pid, HELD_SECONDS)
    check_running(survivor)


AT_SUPABASE = ["claim", "rpc-sent", "rpc-committed", "settle"]


@pytest.mark.long
@pytest.mark.parametrize("victim", ["postgrest", "postmaster"])
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP], ids=lambda sent: sent.name)
@pytest.mark.parametrize("place", AT_SUPABASE)
def test_supabase_is_struck_while_the_runtime_stands_at(
    place: str, sent: signal.Signals, victim: str, survivor: Phone
) -> None:
    """The runtime is held at the place, the victim is struck there, then both go on."""
    runtime = survivor.runtime
    traffic = Traffic(survivor, f"{next(_round)} {sent.name} of {victim} at {place}")
    with traffic.flowing(incoming=30, outgoing=12):
        runtime.arm(f"{place}:stop@2")
        until(lambda: is_stopped(runtime.pid), what=f"the runtime is held at {place}", seconds=40)
        struck = getattr(runtime.backend, victim)()
        os.kill(struck, sent)
        os.kill(runtime.pid, signal.SIGCONT)
        if sent is signal.SIGSTOP:
            hold(struck, HELD_SECONDS)
    check_running(survivor)


@pytest.mark.long
@pytest.mark.parametrize("place", ["ack", "send", "sent", "server-ack"])
def test_the_bridge_is_killed_while_the_runtime_stands_at(place: str, survivor: Phone) -> None:
    runtime = survivor.runtime
    traffic = Traffic(survivor, f"{next(_round)} bridge killed at {place}")
    with traffic.flowing(incoming=30, outgoing=12):
        runtime.arm(f"{place}:stop@2")
        until(lambda: is_stopped(runtime.pid), what=f"the runtime is held at {place}", seconds=40)
        os.kill(runtime.bridge(), signal.SIGKILL)
        os.kill(runtime.pid, signal.SIGCONT)
    check_running(survivor)
