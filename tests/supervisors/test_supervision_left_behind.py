"""No process is left behind, whoever is killed and when: real kills, all of /proc is searched."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

import psutil
import pytest
from supervision_victims import Victims, kill, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture(scope="module")
def victims():
    victims = Victims()
    yield victims
    victims.close()


class Pids:
    """Of one victim, by role."""

    def __init__(self, victim, program, leash):
        self.owner, self.program, self.leash = victim.pid, program, leash
        [self.guardian] = [
            child.pid
            for child in psutil.Process(leash).children()
            if any(part.endswith("leash.py") for part in child.cmdline())
        ]
        assert os.getpgid(self.guardian) == os.getpgid(program) == program
        assert os.getpgid(leash) == leash


def running(victims, stage="running"):
    victim = victims.make(stage)
    pids = Pids(victim, *victims.hear(victim, "up"))
    until(lambda: len(victim.left()) == 6, "leash, guardian, program and its three run")
    return victim, pids


@pytest.mark.parametrize(
    "killed",
    [
        ["owner"],
        ["owner", "leash"],
        ["leash", "owner"],
        ["owner", "guardian"],
        ["guardian", "owner"],
        ["owner", "program"],
        ["owner", "leash", "program"],
        ["owner", "guardian", "program"],
    ],
    ids="+".join,
)
def test_nothing_is_left_when_these_are_killed_while_it_runs(victims, killed):
    victim, pids = running(victims)
    kill(*[getattr(pids, role) for role in killed])
    victim.assert_nothing_is_left()


@pytest.mark.parametrize("killed", ["leash", "guardian", "program"])
def test_the_owner_sees_it_when_this_is_killed(victims, killed):
    victim, pids = running(victims)
    kill(getattr(pids, killed))
    assert victims.hear(victim, "ended") == [-signal.SIGKILL]
    victim.assert_nothing_is_left()
    kill(victim.pid)


@pytest.mark.parametrize("order", [["owner", "leash"], ["leash", "owner"]], ids="+".join)
def test_nothing_is_left_when_both_are_killed_at_any_moment_of_the_start(victims, order):
    """The moment moves on from the first sight of the leash until the program runs."""
    delay, ran = 0.0, 0
    while ran < 3:
        victim = victims.make("spawning")
        leash = until(victim.leash, "a leash")
        end = time.perf_counter() + delay
        while time.perf_counter() < end:
            pass
        ran += len(victim.left()) >= 4
        pids = {"owner": victim.pid, "leash": leash}
        kill(*[pids[role] for role in order])
        victim.assert_nothing_is_left()
        delay += 0.002


def test_nothing_is_left_when_both_are_killed_at_any_moment_of_the_stop(victims):
    """The moment moves on through the grace of 0.1 s until the program has ended."""
    delay, ended = 0.0, 0
    while ended < 3:
        victim = victims.make("stopping")
        program, leash = victims.hear(victim, "up")
        end = time.perf_counter() + delay
        while time.perf_counter() < end:
            pass
        ended += not psutil.pid_exists(program)
        kill(victim.pid, leash)
        victim.assert_nothing_is_left()
        delay += 0.012


def test_a_fork_of_the_owner_does_not_keep_the_program(victims):
    """It holds the same pipes and sockets as the owner did."""
    victim, pids = running(victims, "forked")
    [copy] = victims.hear(victim, "copy")
    kill(pids.owner)
    victim.assert_nothing_is_left()
    assert psutil.pid_exists(copy)
    kill(copy)


def test_killing_all_three_at_once_ends_the_program_itself(victims):
    """As documented: what the program has started may stay then."""
    victim, pids = running(victims)
    kill(pids.owner, pids.guardian, pids.leash)
    until(lambda: pids.program not in victim.left(), "the program has ended")
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pids.program, signal.SIGKILL)
    victim.assert_nothing_is_left()


def test_a_group_that_signals_itself_keeps_its_guardian(victims):
    """As of a script that ends with ``kill 0``: SIGTERM to everybody in the group."""
    victim, pids = running(victims)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1, signal.SIGALRM):
        os.kill(pids.guardian, number)
    kill(pids.owner, pids.leash)
    victim.assert_nothing_is_left()
