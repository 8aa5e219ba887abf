"""Settings and steps for walks through the state space, drawn by whoever asks."""

from __future__ import annotations

import math
import random

from supervision_pair import Pair, kinds_for

from supervisors import (
    AutoShutdown,
    Backoff,
    ChildSpec,
    ExitKind,
    Intensity,
    Restart,
    Strategy,
    Stuck,
)
from supervisors._core.board import Policy

BACKOFFS = (None, None, Backoff(1, 4, 2, reset_after=3), Backoff(0.5, 0.5, 1, reset_after=1))

MANY = 50
"""Children of a keyed supervisor that make it a crowd."""

COMMANDS = [
    *("start", "get_or_start", "terminate", "restart", "retry", "retry", "delete", "unpark"),
    *("await_ready", "await_exit"),
]


FITTING = {"retry": "backoff", "unpark": "parked", "delete": "stopped", "get_or_start": "stopping"}
"""States that a command is for, or that are rare to find."""


class Host:
    """A supervisor that runs inside a child."""

    def __init__(self, stop_needs, may_wait=False):
        self.stop_needs = stop_needs
        self.may_wait = may_wait


HOSTS = (Host(0.0), Host(7.0), Host(1.0, may_wait=True))


async def unused(_ctx):
    raise AssertionError("the core does not run children")


def spec(name, choose, significant_allowed):
    restart = choose(list(Restart))
    backoff = None if restart is Restart.TEMPORARY else choose(BACKOFFS)
    return ChildSpec(
        name,
        unused,
        restart=restart,
        backoff=backoff,
        ready_deadline=choose([1.0, 2.0, math.inf, None]),
        stop_deadline=choose([1.0, 2.0, math.inf, None]),
        drain_deadline=choose([None, None, 1.0, 2.0]),
        stuck=choose([Stuck.ESCALATE, Stuck.WAIT]),
        liveness=choose([None, 1.5]),
        significant=significant_allowed
        and restart is not Restart.PERMANENT
        and choose([False, True]),
    )


def policy(choose):
    intensity = Intensity(choose([0, 1, 3, 50, 50]), choose([1.0, 4.0]))
    if choose([False, False, True]):
        return Policy(intensity=intensity, keyed=True, max_children=4)
    return Policy(choose(list(Strategy)), intensity, choose(list(AutoShutdown)))


def begin(choose):
    """A pair with a few children, or now and then with more than start or stop in one step."""
    rules = policy(choose)
    significant = rules.auto_shutdown is not AutoShutdown.NEVER and not rules.keyed
    names = "abcd"[: choose([0, 1, 2, 3, 3, 4])]
    if rules.keyed and choose([False, False, False, True]):
        rules = Policy(intensity=rules.intensity, keyed=True)
        names = [f"n{number}" for number in range(choose([100, 101, 250]))]
        choose = random.Random(choose(range(1000))).choice  # hundreds of draws are one
    return Pair(rules, [spec(name, choose, significant) for name in names])


def walk(pair, choose, steps):
    """Takes random steps until the supervisor has finished; then nothing may be live."""
    for _ in range(steps):
        if pair.finished:
            break
        step(pair, choose)
        if len(pair.machine.slots) > MANY:
            crowd(pair, choose)


def finish(pair, choose):
    """Whatever has become of it, a stop ends it once all have ended: nobody waits any more."""
    pair.stop()
    while not pair.finished:
        while pair.machine.wants_tick:
            pair.advance(pair.now)
        going = [s for s in pair.live() if s.state.value != "abandoned"]
        told = [s for s in going if s.why is not None]
        assert told or not going
        for slot in told:
            pair.exit(slot.name, choose([ExitKind.STOPPED, ExitKind.CRASHED]))
    assert not [s for s in pair.live() if s.state.value != "abandoned"]
    assert (pair.started <= 1, pair.finished) == (True, 1)


def crowd(pair, choose):
    """Many at once: some step on, are ready, end or are commanded within the same instant."""
    live = [s for s in pair.live() if s.state.value != "abandoned"]
    word = choose(["tick", "ready", "exit", "command", "nothing"])
    for slot in live[:: choose([1, 3])] if word in ("ready", "exit") else ():
        if slot.state.value == "starting" and word == "ready":
            pair.ready(slot.name)
        elif word == "exit" and slot.name in pair.machine.slots:
            pair.exit(slot.name, choose(kinds_for(slot)))
    for _ in range(3 if word == "command" else 0):
        command(pair, choose)
    if word == "tick" and pair.machine.wants_tick:
        pair.advance(pair.now)


def step(pair, choose):
    live = [s for s in pair.live() if s.state.value != "abandoned"]
    often = ["ready", "exit", "time", "command"] * 4
    word = choose([*often, "beat", "idle", "host", "rare"])
    if word == "ready" and live:
        waiting = [s for s in live if s.state.value == "starting"] or live
        pair.ready(choose(waiting).name)
    elif word == "exit" and live:
        slot = choose(live)
        pair.exit(slot.name, choose(kinds_for(slot)))
    elif word == "time":
        pass_time(pair, choose)
    elif word == "beat" and live:
        pair.beat(choose(live).name)
    elif word == "idle" and live:
        pair.idle(choose(live).name)
    elif word == "host" and live:
        slot = choose(live)
        pair.host(slot.name, choose([*slot.hosts, *HOSTS]))
    elif word == "command":
        command(pair, choose)
    elif word == "rare":
        rare(pair, choose)


def pass_time(pair, choose):
    due = pair.machine.due()
    targets = [pair.now, pair.now + 0.5, pair.now + 1.0]
    if math.inf > due >= pair.now:
        targets += [due, due, max(pair.now, due - 0.25), due + 1.0, due + 1.25]
    pair.advance(choose(targets))


def command(pair, choose):
    names = [*pair.names(), *pair.names(), "nobody"]
    word = choose(COMMANDS)
    fitting = [s.name for s in pair.machine.slots.values() if s.state.value == FITTING.get(word)]
    if fitting and choose([False, True]):
        names = fitting
    if "start" != word != "get_or_start":
        pair.command(word, choose(names))
        return
    rules = pair.machine.board.policy
    significant = rules.auto_shutdown is not AutoShutdown.NEVER and not rules.keyed
    pair.command(word, spec(choose([*names, "x", "y", "z"]), choose, significant))


def rare(pair, choose):
    pair.jitter.share = choose([0.0, 0.25, 0.5, 1023 / 1024])  # so that all sums are exact
    word = choose(["nothing"] * 6 + ["stop", "escalate", "fatal", "late"])
    live = [s for s in pair.live() if s.state.value != "abandoned"]
    if word == "stop":
        pair.stop()
    elif word in ("escalate", "fatal") and live:
        kind = ExitKind.ESCALATED if word == "escalate" else ExitKind.FATAL
        pair.exit(choose(live).name, kind)
    elif word == "late":
        late = [s for s in pair.live() if s.state.value == "abandoned"]
        if late:
            pair.exit(choose(late).name, ExitKind.STOPPED)
