"""kill -9 at every named place of the message path: nothing lost, nothing doubled, in order."""

from __future__ import annotations

import itertools

import psutil
import pytest

from tests.e2e.harness import until

from .accounts import Traffic, check_running
from .places import BRIDGE, RUNTIME
from .rig import Phone

_round = itertools.count(1)

# In turn: a killed runtime also begins the bridge's restart delays anew.
INTERLEAVED = [
    place
    for pair in itertools.zip_longest(RUNTIME.items(), BRIDGE.items())
    for place in pair
    if place is not None
]


@pytest.mark.parametrize(("place", "passage"), INTERLEAVED, ids=[name for name, _ in INTERLEAVED])
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
