"""Every command in every state of a child, and what its ticket is told; each core rule by itself.

Belongs to the tests of the decision core: ``mutate.py`` runs it as well.
"""

from __future__ import annotations

import random

from supervision_pair import Pair
from supervision_walk import COMMANDS, Host, finish, unused

from supervisors import (
    Backoff,
    ChildSpec,
    ExitKind,
    Intensity,
    Restart,
    State,
    Strategy,
    Stuck,
    Why,
)
from supervisors._core.board import Policy

# ---------------------------------------------------------------------- commands and states


def brought(*steps, ready=True, **options):
    """A supervisor with a child "a" after a sibling, and the steps that "a" has taken."""
    specs = [ChildSpec("k", unused), ChildSpec("a", unused, **options)]
    p = Pair(Policy(), specs)
    if ready:
        p.ready("k")
    for word, *arguments in steps:
        getattr(p, word)(*arguments)
    return p


READY = ("ready", "a")
TERMINATED = ("command", "terminate", "a")
RESTARTED = ("command", "restart", "a")
ENDS = {kind: ("exit", "a", kind) for kind in ExitKind}

SITUATIONS = {
    "waiting": lambda: brought(ready=False),
    "starting": lambda: brought(),
    "running": lambda: brought(READY),
    "draining": lambda: brought(READY, TERMINATED, drain_deadline=9),
    "draining again": lambda: brought(READY, RESTARTED, drain_deadline=9),
    "stopping": lambda: brought(READY, TERMINATED),
    "stopping again": lambda: brought(READY, RESTARTED),
    "stopping hung": lambda: brought(READY, ("advance", 2), liveness=2),
    "stopping late": lambda: brought(("advance", 2), ready_deadline=2),
    "backoff": lambda: brought(READY, ENDS[ExitKind.CRASHED], backoff=Backoff()),
    "parked": lambda: brought(READY, ENDS[ExitKind.PARKED]),
    "stopped": lambda: brought(READY, TERMINATED, ENDS[ExitKind.STOPPED]),
    "done": lambda: brought(READY, ENDS[ExitKind.DONE]),
    "abandoned": lambda: brought(READY, TERMINATED, ("advance", 5)),
}

# "state" and the like: refused so. "waits": the ticket is settled later. Else how it is at once.
OUTCOMES = {
    "start": {"abandoned": "down"} | dict.fromkeys(list(SITUATIONS)[:-1], "exists"),
    "get_or_start": {
        **dict.fromkeys(["running", "parked"], "ok"),
        **dict.fromkeys(["draining", "stopping"], "state"),
    },
    "terminate": dict.fromkeys(["waiting", "backoff", "parked", "stopped", "done"], "ok"),
    "restart": {
        **dict.fromkeys(["waiting", "draining", "draining again", "stopping"], "state"),
        **dict.fromkeys(["stopping again", "stopping hung", "stopping late"], "state"),
        **dict.fromkeys(["backoff", "parked"], "state"),
    },
    "retry": {name: "state" for name in SITUATIONS if name != "backoff"},
    "delete": {
        name: "ok" if name in ("parked", "stopped", "done") else "state" for name in SITUATIONS
    },
    "unpark": {name: "state" for name in SITUATIONS if name != "parked"},
    "await_ready": {
        "running": "ok",
        **dict.fromkeys(["draining", "stopping", "parked", "stopped", "done"], "child_down"),
    },
    "await_exit": {"parked": "parked", "stopped": "stopped", "done": "done"},
}


def outcome(p, word):
    argument = ChildSpec("a", unused) if word in ("start", "get_or_start") else "a"
    before = len(p.settled)
    error = p.command(word, argument)
    if error is not None:
        assert len(p.settled) == before
        return error
    told = [how for ticket, how in p.settled[before:] if ticket == max(p.tickets)]
    return "ok" if word == "delete" else told[0] if told else "waits"


def test_every_command_in_every_state():
    assert set(OUTCOMES) == set(COMMANDS)
    for name, build in SITUATIONS.items():
        for word in COMMANDS:
            p = build()
            assert p.machine.slots["a"].state.value == name.split()[0]
            expected = "down" if name == "abandoned" else OUTCOMES[word].get(name, "waits")
            assert outcome(p, word) == expected, (name, word)
            if name != "abandoned":
                finish(p, random.Random(0).choice)  # by then each ticket is settled, once


def test_of_whom_nobody_knows_or_who_is_down():
    for word in COMMANDS[2:]:
        assert brought().command(word, "nobody") == "unknown"
        p = brought()
        p.stop()
        assert p.command(word, "a") == "down"


def test_what_a_second_command_makes_of_the_first():
    cases = [  # the first command, the second, how a's incarnation ends, what the two are told
        ("restart", "terminate", ExitKind.STOPPED, ["failed", "ok"]),
        ("terminate", "terminate", ExitKind.STOPPED, ["ok", "ok"]),
        ("await_ready", "terminate", ExitKind.STOPPED, ["child_down", "ok"]),
        ("await_exit", "terminate", ExitKind.CRASHED, ["crashed", "ok"]),
        ("await_exit", "restart", ExitKind.STOPPED, ["stopped", None]),
        ("restart", "get_or_start", ExitKind.PARKED, ["ok", "ok"]),
        ("restart", "await_ready", ExitKind.PARKED, ["ok", "child_down"]),
    ]
    for first, second, kind, told in cases:
        p = brought()
        p.command(first, "a")
        p.command(second, ChildSpec("a", unused) if second == "get_or_start" else "a")
        p.exit("a", kind)
        settled = dict(p.settled)
        assert [settled.get(1), settled.get(2)] == told, (first, second)
        finish(p, random.Random(0).choice)


# ---------------------------------------------------------------------- restarts by command


def test_a_restart_that_fails_leaves_the_child_at_rest():
    p = brought(READY, RESTARTED, ENDS[ExitKind.CRASHED])
    assert p.machine.slots["a"].state is State.STARTING
    p.exit("a", ExitKind.CRASHED)
    assert (p.machine.slots["a"].state, p.settled) == (State.STOPPED, [(1, "failed")])
    p = brought(READY, RESTARTED, ENDS[ExitKind.STOPPED], restart=Restart.TEMPORARY)
    p.exit("a", ExitKind.CRASHED)
    assert (p.names(), p.settled) == (["k"], [(1, "failed")])


def test_a_restart_uses_no_budget_and_leaves_the_siblings_alone():
    p = Pair(
        Policy(Strategy.ONE_FOR_ALL, Intensity(0, 5)),
        [ChildSpec("k", unused), ChildSpec("a", unused)],
    )
    for name in "ka":
        p.ready(name)
    for _ in range(3):
        p.command("restart", "a")
        p.exit("a", ExitKind.STOPPED)
        p.ready("a")
    assert [slot.incarnation for slot in p.machine.slots.values()] == [1, 4]


def test_a_restart_while_draining_is_refused_and_the_drain_goes_on():
    p = brought(READY, RESTARTED, drain_deadline=9)
    assert p.command("restart", "a") == "state"
    p.advance(9)
    assert (p.machine.slots["a"].state, p.machine.slots["a"].why) == (State.STOPPING, Why.RESTART)
    p.exit("a", ExitKind.STOPPED)
    p.ready("a")
    assert p.settled == [(1, "ok")]


def group(strategy=Strategy.ONE_FOR_ALL, **options):
    specs = [ChildSpec(name, unused, **options) for name in "abc"]
    p = Pair(Policy(strategy), specs)
    for name in "abc":
        p.ready(name)
    return p


def test_who_is_restarted_when_a_sibling_takes_it_along_starts_in_its_turn():
    p = group(Strategy.REST_FOR_ONE)
    p.command("restart", "b")
    p.exit("a", ExitKind.CRASHED)
    p.exit("c", ExitKind.STOPPED)
    p.exit("b", ExitKind.STOPPED)
    assert [s.state for s in p.machine.slots.values()] == [
        State.STARTING,
        State.WAITING,
        State.WAITING,
    ]
    p.ready("a")
    assert p.settled == []
    p.ready("b")
    assert p.settled == [(1, "ok")]


def test_a_retry_in_a_group_starts_all_of_it_in_order():
    p = group(backoff=Backoff(60, 60, 1))
    p.exit("b", ExitKind.CRASHED)
    assert p.command("retry", "b") is None  # c and a have still to stop
    p.exit("c", ExitKind.STOPPED)
    p.exit("a", ExitKind.STOPPED)
    for name in "abc":
        assert p.machine.slots[name].state is State.STARTING
        p.ready(name)
    assert (p.settled, p.machine.due()) == ([(1, "ok")], float("inf"))


def test_one_that_is_done_comes_back_only_with_its_group():
    p = brought(READY, ENDS[ExitKind.DONE])
    p.advance(1000)
    assert p.machine.slots["a"].state is State.DONE
    p = group()
    p.exit("b", ExitKind.DONE)
    assert [s.incarnation for s in p.machine.slots.values()] == [1, 1, 1]
    p.exit("a", ExitKind.CRASHED)
    assert p.machine.slots["b"].state is State.WAITING


# ---------------------------------------------------------------------- who does not end


def test_each_who_waits_for_a_stop_that_does_not_come_is_told():
    p = brought(READY, TERMINATED, stuck=Stuck.WAIT)
    p.command("terminate", "a")
    p.advance(5)
    assert p.settled == [(1, "not_stopped"), (2, "not_stopped")]
    p.advance(60)
    p.command("terminate", "a")
    p.advance(64.75)
    assert len(p.settled) == 2
    p.advance(65)
    assert p.settled[2:] == [(3, "not_stopped")]
    p.exit("a", ExitKind.STOPPED)
    assert p.machine.slots["a"].state is State.STOPPED


def test_a_second_who_waits_does_not_put_off_a_stops_deadline():
    p = brought(READY, TERMINATED, stuck=Stuck.WAIT)
    p.advance(4)
    p.command("terminate", "a")
    p.advance(5)
    assert p.settled == [(1, "not_stopped"), (2, "not_stopped")]
    p = brought(READY, TERMINATED, drain_deadline=float("inf"))
    p.command("terminate", "a")
    assert p.machine.due() == float("inf")  # it may drain as long as it likes


def test_who_waits_for_the_start_of_one_that_does_not_end_is_told():
    p = brought(READY, RESTARTED, stuck=Stuck.WAIT)
    p.advance(5)
    assert p.settled == [(1, "failed")]
    p.advance(60)
    p.command("get_or_start", ChildSpec("a", unused))
    p.advance(65)
    assert p.settled[1:] == [(2, "failed")]
    p.exit("a", ExitKind.STOPPED)
    assert p.machine.slots["a"].state is State.STARTING


def test_a_stop_has_the_time_of_the_supervisors_inside():
    p = brought(READY, ("host", "a", Host(7.0)), TERMINATED)
    assert p.machine.due() == 12
    p.advance(14)  # seen too late: begins anew
    assert p.machine.due() == 26


# ---------------------------------------------------------------------- budget


def restarts_until_it_gives_up(p, fail):
    for count in range(10):
        if p.machine.ending is not None:
            return count
        fail(p)
    return None


def hang(p):
    p.ready("a")
    p.advance(p.machine.due())
    assert p.machine.slots["a"].why is Why.HUNG
    p.exit("a", ExitKind.CRASHED)


def test_no_deadline_keeps_a_crash_loop_from_being_noticed():
    def forget_to_be_ready(p):
        p.advance(p.machine.due())
        p.exit("a", ExitKind.CRASHED)

    def wait_long(p):
        p.ready("a")
        p.exit("a", ExitKind.CRASHED)
        if p.machine.ending is None:
            p.advance(p.machine.due())

    def stop_slowly(p):
        p.ready("a")
        p.advance(p.machine.due())
        p.advance(p.now + 4)
        p.exit("a", ExitKind.CRASHED)

    rule = Backoff(60, 60, 1)
    assert restarts_until_it_gives_up(brought(), forget_to_be_ready) == 4
    assert restarts_until_it_gives_up(brought(liveness=60), hang) == 4
    assert restarts_until_it_gives_up(brought(liveness=60), stop_slowly) == 4
    counted = brought(backoff=rule, counts_intensity=True)
    assert restarts_until_it_gives_up(counted, wait_long) == 4


def test_one_who_hangs_is_noticed_though_a_sibling_crashes_now_and_then():
    def hang_and_crash(p):
        p.ready("a")
        p.advance(p.now + 30)
        p.exit("k", ExitKind.CRASHED)  # a has not beaten for longer than the window
        if p.machine.ending is None:
            p.ready("k")
            p.advance(p.now + 30)
            p.exit("a", ExitKind.CRASHED)

    assert restarts_until_it_gives_up(brought(liveness=60), hang_and_crash) == 4


def test_one_who_waits_idly_is_well_meanwhile():
    p = brought(READY, liveness=60)
    for _ in range(20):
        p.exit("a", ExitKind.CRASHED)
        p.ready("a")
        p.idle("a")
        p.advance(p.now + 5.5)
        assert p.machine.board.budget.used(p.now) == 0
        assert not p.machine.board.budget._kept
    assert p.machine.ending is None


def test_what_cannot_come_out_later_is_forgotten():
    def kept(p):
        p.advance(p.now + 100)
        p.machine.board.budget.used(p.now)
        return len(p.machine.board.budget._kept)

    assert kept(brought(READY, ENDS[ExitKind.CRASHED], READY)) == 0  # it is not watched
    p = brought(READY, ENDS[ExitKind.CRASHED], READY, liveness=1000)
    assert kept(p) == 1
    p.beat("a")
    p.advance(105)
    assert kept(p) == 0 < p.machine.slots["a"].beat
    p = brought(READY, ENDS[ExitKind.CRASHED], READY, liveness=1000, drain_deadline=1000)
    p.advance(50)
    p.command("terminate", "a")
    assert kept(p) == 0  # it was well until then, as far as it can be
