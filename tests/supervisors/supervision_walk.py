"""Settings and steps for walks through the state space, drawn by whoever asks."""

from __future__ import annotations

import math

from supervision_pair import kinds_for

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

COMMANDS = [
    *("start", "get_or_start", "terminate", "restart", "retry", "delete", "unpark"),
    *("await_ready", "await_exit"),
]


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
        ready_deadline=choose([1.0, 2.0, math.inf]),
        stop_deadline=choose([1.0, 2.0, math.inf]),
        drain_deadline=choose([None, None, 1.0, 2.0]),
        stuck=choose([Stuck.ESCALATE, Stuck.WAIT]),
        liveness=choose([None, 1.5]),
        significant=significant_allowed
        and restart is not Restart.PERMANENT
        and choose([False, True]),
    )


def policy(choose):
    intensity = Intensity(choose([0, 1, 3, 50]), choose([1.0, 4.0]))
    if choose([False, False, True]):
        return Policy(intensity=intensity, keyed=True, max_children=5)
    return Policy(choose(list(Strategy)), intensity, choose(list(AutoShutdown)))


def walk(pair, choose, steps):
    """Takes random steps until the supervisor has finished; then nothing may be live."""
    for _ in range(steps):
        if pair.finished:
            assert not [s for s in pair.live() if s.state.value != "abandoned"]
            return
        step(pair, choose)


def step(pair, choose):
    live = [s for s in pair.live() if s.state.value != "abandoned"]
    often = ["ready", "exit", "time", "command"] * 4
    word = choose([*often, "beat", "idle", "rare"])
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
    names = [*pair.names(), "nobody"]
    word = choose(COMMANDS)
    if "start" != word != "get_or_start":
        pair.command(word, choose(names))
        return
    rules = pair.machine.board.policy
    significant = rules.auto_shutdown is not AutoShutdown.NEVER and not rules.keyed
    pair.command(word, spec(choose([*names, "x", "y", "z"]), choose, significant))


def rare(pair, choose):
    pair.jitter.share = choose([0.0, 0.25, 0.5, 0.999])
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
