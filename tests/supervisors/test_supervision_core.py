"""The parts of the decision core, each by itself, at its edges. No trio here."""

from __future__ import annotations

import math
import random

import pytest
import trio
from supervision_pair import Pair
from supervision_walk import Host, begin, finish, unused, walk

from supervisors import (
    AutoShutdown,
    Backoff,
    ChildReady,
    ChildSpec,
    Delays,
    Done,
    Escalate,
    ExitKind,
    Intensity,
    NotStoppedError,
    Park,
    Restart,
    State,
    Strategy,
    Stuck,
    Supervisor,
    SupervisorStopping,
    Why,
)
from supervisors._core import stacks
from supervisors._core.actions import Settle
from supervisors._core.board import Policy
from supervisors._core.budget import Budget
from supervisors._core.exits import (
    MAX_REASON,
    MAX_TOLD,
    describe,
    frames,
    judge,
    leaves,
    missed_deadline,
)
from supervisors._core.settings import MAX_NAME
from supervisors._core.slot import Slot
from supervisors._core.timers import Timers
from supervisors.testing import FixedJitter

# ---------------------------------------------------------------------- settings


def refused(build, match):
    with pytest.raises(ValueError, match=match):
        build()


def test_intensity_bounds():
    assert (Intensity().max_restarts, Intensity().window) == (3, 5.0)
    Intensity(0, 0.001)
    refused(lambda: Intensity(-1), "max_restarts")
    refused(lambda: Intensity(1, 0), "window")
    refused(lambda: Intensity(1, -1), "window")
    refused(lambda: Intensity(1, math.inf), "window")


def test_backoff_bounds():
    Backoff(5, 5, 1, reset_after=1)
    Backoff(1, 2, 1.01, reset_after=0.01)
    refused(lambda: Backoff(0), "first")
    refused(lambda: Backoff(-1), "first")
    refused(lambda: Backoff(math.inf, math.inf), "first must")
    refused(lambda: Backoff(5, 4), "cap")
    refused(lambda: Backoff(5, math.inf), "cap")
    refused(lambda: Backoff(5, 6, 1), "factor")
    refused(lambda: Backoff(5, 6, 0.5), "factor")
    refused(lambda: Backoff(5, 5, 0.5), "factor")
    refused(lambda: Backoff(5, 6, math.inf), "factor")
    refused(lambda: Backoff(reset_after=0), "reset_after")
    refused(lambda: Backoff(reset_after=-1), "reset_after")
    refused(lambda: Backoff(reset_after=math.inf), "reset_after")


def test_backoff_ceilings():
    rules = Backoff(1, 10, 3)
    row = [rules.ceiling_after(0.0)]
    for _ in range(4):
        row.append(rules.ceiling_after(row[-1]))
    assert row == [1, 3, 9, 10, 10]


def test_delays_grow_to_the_cap_and_begin_anew():
    delays = Delays(Backoff(1, 4, 2), FixedJitter(0.5))
    assert [delays.next() for _ in range(4)] == [0.5, 1, 2, 2]
    assert delays.failures == 4
    assert delays.next(at_least=10) == 10
    assert delays.next(at_least=1) == 2
    delays.reset()
    assert delays.failures == 0
    assert delays.next() == 0.5
    assert 0 <= Delays(Backoff(1, 1, 1)).next() < 1


def test_child_spec_defaults():
    worker = ChildSpec("a", unused)
    assert worker.restart is Restart.PERMANENT
    assert (worker.ready_limit, worker.stop_limit, worker.drain_deadline) == (30.0, 5.0, None)
    assert worker.stuck is Stuck.ESCALATE
    assert (worker.liveness, worker.mailbox, worker.significant) == (None, 100, False)
    assert worker.uses_budget
    nested = ChildSpec("s", Supervisor([]))
    assert nested.stop_limit == 5.0
    assert ChildSpec("s", Supervisor([worker, nested])).stop_limit == 15.0
    bounded = ChildSpec("s", Supervisor([]), ready_deadline=9, stop_deadline=8)
    assert (bounded.ready_limit, bounded.stop_limit) == (9, 8)


def test_child_spec_names():
    ChildSpec("x" * MAX_NAME, unused)
    ChildSpec("olá 1@c.us", unused)
    for name in ("", "x" * (MAX_NAME + 1), "a/b", "a\nb", "a\0b"):
        refused(lambda name=name: ChildSpec(name, unused), "not a child name")


def test_child_spec_contradictions():
    def make(**options):
        return lambda: ChildSpec("a", unused, **options)

    ChildSpec("a", unused, ready_deadline=0.1, stop_deadline=0.1, liveness=0.1, mailbox=0)
    refused(make(ready_deadline=0), "ready_deadline")
    refused(make(stop_deadline=0), "stop_deadline")
    refused(make(stop_deadline=-1), "stop_deadline")
    refused(make(drain_deadline=0), "drain_deadline")
    refused(make(drain_mailbox=True), "drain_mailbox")
    ChildSpec("a", unused, drain_mailbox=True, drain_deadline=0.1)
    refused(make(liveness=0), "liveness")
    refused(make(liveness=-1), "liveness")
    refused(make(liveness=math.inf), "liveness")
    refused(make(mailbox=-1), "mailbox")
    refused(make(restart=Restart.TEMPORARY, backoff=Backoff()), "never restarted")
    refused(make(restart=Restart.TEMPORARY, counts_intensity=True), "never restarted")
    refused(make(counts_intensity=False), "neither budget nor backoff")
    refused(make(significant=True), "significant")
    refused(lambda: ChildSpec("a", Supervisor([]), liveness=1), "does not beat")
    ChildSpec("a", unused, restart=Restart.TEMPORARY, counts_intensity=False)
    ChildSpec("a", unused, restart=Restart.TEMPORARY, significant=True)
    ChildSpec("a", unused, restart=Restart.TRANSIENT, significant=True)
    with pytest.raises(TypeError):
        ChildSpec("a", None)


def test_child_spec_leaves_room_for_the_stop_that_its_run_needs():
    async def run(_ctx):
        raise AssertionError

    run.stop_needs = 6.0
    assert ChildSpec("a", run).stop_limit == 6
    ChildSpec("a", run, stop_deadline=6)
    refused(lambda: ChildSpec("a", run, stop_deadline=5.9), "shorter than")


def test_budget_use_follows_backoff_unless_told():
    assert not ChildSpec("a", unused, backoff=Backoff()).uses_budget
    assert ChildSpec("a", unused, backoff=Backoff(), counts_intensity=True).uses_budget


def test_supervisor_contradictions():
    significant = ChildSpec("a", unused, restart=Restart.TRANSIENT, significant=True)
    plain = ChildSpec("b", unused)
    refused(lambda: Supervisor([plain, plain]), "two children")
    refused(lambda: Supervisor([significant]), "no auto_shutdown")
    refused(lambda: Supervisor([plain], auto_shutdown=AutoShutdown.ALL_SIGNIFICANT), "none is")
    Supervisor([significant], auto_shutdown=AutoShutdown.ALL_SIGNIFICANT)


# ---------------------------------------------------------------------- budget and timers


def well(at=0.0):
    """A slot whose child has been well since."""
    slot = Slot(ChildSpec("a", unused), "root/a", at)
    slot.sick_since = None
    return slot


def test_budget_window_has_its_edge():
    slot = well()
    budget = Budget(Intensity(2, 10))
    assert [budget.spend(slot, 0), budget.spend(slot, 5)] == [True, True]
    assert budget.used(10) == 2
    assert budget.used(10.1) == 1
    budget = Budget(Intensity(2, 10))
    assert [budget.spend(slot, at) for at in (0, 5, 10)] == [True, True, False]
    budget = Budget(Intensity(2, 10))  # the one at 0 is older than the window in the third
    times = (0, 5, 10.1, 15.2, 15.2)
    assert [budget.spend(slot, at) for at in times] == [True, True, True, True, False]


def test_budget_of_zero():
    assert not Budget(Intensity(0, 10)).spend(well(), 0)


def test_a_restart_grows_no_older_while_its_child_is_unwell():
    slot, other = well(), well()
    budget = Budget(Intensity(2, 10))
    assert budget.spend(slot, 0)
    slot.sick_since = 0.0
    assert budget.used(1000) == 1
    slot.sick, slot.sick_since = 1000.0, None  # well from 1000 on
    assert budget.used(1010) == 1
    assert budget.used(1010.5) == 0
    assert [budget.spend(other, 2000), budget.spend(slot, 2005)] == [True, True]
    slot.sick_since = 2005.0
    assert budget.used(2011) == 1  # the other's has grown old


def test_what_is_kept_for_its_sick_child_counts():
    slot, other = well(), well()
    budget = Budget(Intensity(2, 10))
    assert budget.spend(slot, 0)
    slot.sick_since = 0.0
    assert budget.used(50) == 1
    assert [budget.spend(other, 100), budget.spend(other, 101)] == [True, False]


def test_a_budget_holds_what_it_needs_only():
    slot = well()
    budget = Budget(Intensity(3, 10))
    for at in range(0, 1000, 4):
        budget.spend(slot, at)
        assert len(budget._recent) + len(budget._kept) <= 4


class Owner:
    def __init__(self):
        self.timer = 0


def test_timers_come_in_order_and_only_when_due():
    timers, early, late = Timers(), Owner(), Owner()
    timers.arm(late, 2)
    timers.arm(early, 1)
    assert timers.next() == 1
    assert timers.pop_due(0.9) is None
    assert timers.pop_due(1) == (early, 1)
    assert timers.pop_due(1) is None
    assert timers.next() == 2
    assert timers.pop_due(3) == (late, 2)
    assert timers.next() == math.inf
    assert timers.pop_due(99) is None


def test_timers_are_replaced_and_disarmed():
    timers, owner = Timers(), Owner()
    timers.arm(owner, 1)
    timers.arm(owner, 5)
    assert timers.next() == 5
    timers.arm(owner, math.inf)
    assert owner.timer == 0
    assert timers.next() == math.inf
    timers.disarm(owner)
    assert timers.pop_due(9) is None


def test_timers_waste_is_bounded():
    timers, owners, most = Timers(), [Owner() for _ in range(10)], 0
    for when in range(10_000):
        timers.arm(owners[when % 10], 10 + when)
        most = max(most, len(timers._heap))
    assert most == 64 + 2 * 9 + 1  # swept when there are more than 64 + 2 per valid entry
    assert timers.next() == 10 + 9_990
    assert sum(timers.pop_due(1e9) is not None for _ in range(20)) == 10
    for when in range(1000):
        timers.arm(owners[0], when)
        timers.pop_due(when)
    assert len(timers._heap) == 0
    assert timers._live == 0


# ---------------------------------------------------------------------- exits


def test_judging_without_an_exception():
    assert judge(None).kind is ExitKind.NORMAL
    for why in (Why.COMMAND, Why.SHUTDOWN, Why.GROUP):
        assert judge(None, why).kind is ExitKind.STOPPED
    hung = judge(None, Why.HUNG, where=("here",))
    assert (hung.kind, hung.code, hung.where) == (ExitKind.CRASHED, "hung", ("here",))
    late = judge(None, Why.NOT_READY, where=("there",))
    assert (late.kind, late.code, late.where) == (ExitKind.CRASHED, "not_ready", ("there",))
    assert type(missed_deadline(hung)).__name__ == "LivenessError"
    assert type(missed_deadline(late)).__name__ == "NotReadyError"
    assert missed_deadline(judge(None)) is None


def test_judging_exceptions():
    crash = judge(ValueError("bad"))
    assert (crash.kind, crash.reason, crash.code) == (
        ExitKind.CRASHED,
        "ValueError: bad",
        "ValueError",
    )
    assert judge(ValueError("bad"), Why.SHUTDOWN).kind is ExitKind.CRASHED
    park = judge(Park("out", "logged_out"))
    assert (park.kind, park.reason, park.code) == (ExitKind.PARKED, "out", "logged_out")
    escalate = judge(Escalate("full", "disk"))
    assert (escalate.kind, escalate.reason, escalate.code) == (ExitKind.ESCALATED, "full", "disk")
    for verdict, told in ((Park("out"), False), (Escalate("full"), True)):
        with pytest.raises(type(verdict)):
            raise verdict
        assert bool(judge(verdict).where) is told  # where one parks is no news
    for fatal in (KeyboardInterrupt(), SystemExit(3)):
        assert judge(fatal).kind is ExitKind.FATAL
        assert judge(BaseExceptionGroup("g", [ValueError(), fatal])).kind is ExitKind.FATAL


def test_judging_what_a_hung_child_raised():
    for why, code in ((Why.HUNG, "hung"), (Why.NOT_READY, "not_ready")):
        exit_ = judge(OSError("gone"), why, where=("here",))
        assert (exit_.kind, exit_.code, exit_.where) == (ExitKind.CRASHED, code, ("here",))
        assert "OSError: gone" in exit_.reason
    assert judge(OSError("gone"), Why.HUNG).reason.startswith("no beat")
    assert judge(OSError("gone"), Why.NOT_READY).reason.startswith("not ready")
    assert judge(Park("out"), Why.HUNG).kind is ExitKind.PARKED


def test_judging_groups():
    def group(*errors):
        return ExceptionGroup("g", list(errors))

    assert judge(group(Park("a"), Park("b"))).reason == "a"
    assert judge(group(Park("a"), group(Park("b")))).kind is ExitKind.PARKED
    mixed = judge(group(Park("a"), ValueError("b")))
    assert (mixed.kind, mixed.code) == (ExitKind.CRASHED, "Park")
    assert "ValueError: b" in mixed.reason
    assert judge(group(Park("a"), ValueError(), Escalate("c"))).kind is ExitKind.ESCALATED
    assert len(list(leaves(group(ValueError(), group(KeyError(), OSError()))))) == 3


def test_the_classifier_is_asked_about_crashes_only():
    asked = []

    def classify(error):
        asked.append(error)
        if isinstance(error, ExceptionGroup):
            return None
        return Park("by the classifier") if isinstance(error, OSError) else Escalate("also")

    assert judge(OSError(), classify=classify).kind is ExitKind.PARKED
    assert judge(KeyError(), classify=classify).kind is ExitKind.ESCALATED
    single = ExceptionGroup("g", [OSError()])
    assert judge(single, classify=classify).kind is ExitKind.PARKED
    both = ExceptionGroup("g", [OSError(), OSError()])
    assert judge(both, classify=classify).kind is ExitKind.CRASHED
    assert [type(error) for error in asked] == [OSError, KeyError, OSError, ExceptionGroup]
    asked.clear()
    judge(Park("x"), classify=classify)
    judge(Escalate("x"), classify=classify)
    judge(KeyboardInterrupt(), classify=classify)
    judge(None, classify=classify)
    assert asked == []


def test_a_classifier_that_fails_leaves_a_crash_with_a_note():
    for failure in (RuntimeError("broken"), GeneratorExit("broken"), KeyboardInterrupt("broken")):

        def classify(_error, failure=failure):
            raise failure

        exit_ = judge(ValueError("bad"), classify=classify)
        assert exit_.kind is ExitKind.CRASHED
        assert exit_.reason.startswith("ValueError: bad")
        assert "broken" in exit_.reason


def test_done_is_a_verdict():
    done = judge(Done("all read"))
    assert (done.kind, done.reason, done.code) == (ExitKind.DONE, "all read", "done")
    assert judge(ExceptionGroup("g", [Done(), Done()])).kind is ExitKind.DONE
    assert judge(ExceptionGroup("g", [Done(), Park("x")])).kind is ExitKind.CRASHED
    assert judge(ExceptionGroup("g", [Done(), ValueError()])).kind is ExitKind.CRASHED


class NoTextError(Exception):
    def __str__(self):
        raise ValueError("no text for you")


def test_whatever_is_raised_is_judged():
    plain = ValueError("x")
    plain.__notes__ = 7
    walked = ValueError("x")

    class Notes:
        def __iter__(self):
            raise GeneratorExit

    walked.__notes__ = Notes()
    unsaid = ValueError("x")
    unsaid.__notes__ = [NoTextError(), "a note"]
    park = Park("x")
    park.reason = NoTextError()
    escalate = Escalate("x")
    escalate.code = None
    assert judge(NoTextError()).reason == "NoTextError: (its text cannot be had: ValueError)"
    for odd in (plain, walked):
        assert judge(odd).reason.startswith("ValueError: x\nits notes cannot be read")
    assert judge(unsaid).reason.endswith("a note")
    assert judge(park).kind is ExitKind.PARKED
    assert judge(escalate).code == "None"
    assert judge(GeneratorExit()).kind is ExitKind.CRASHED


class HostileText(str):
    """A text that lets nobody read it."""

    __slots__ = ()

    def __format__(self, _spec):
        raise ValueError

    def __getitem__(self, _key):
        return 7

    def __len__(self):
        raise ValueError


def test_a_text_with_methods_of_its_own_is_read_as_what_it_is():
    class OddError(Exception):
        def __str__(self):
            return HostileText("told")

    odd = OddError()
    odd.__notes__ = [HostileText("a note")]
    assert judge(odd).reason == "OddError: told\na note"
    assert type(judge(odd).reason) is str
    park = judge(Park(HostileText("out"), HostileText("code")))
    assert (park.reason, park.code) == ("out", "code")
    assert judge(Done(HostileText("x" * 5000))).reason == "x" * MAX_REASON


def test_a_verdict_whose_class_forgot_its_reason_is_one_all_the_same():
    class LoggedOut(Park):
        def __init__(self, who):
            self.who = who

    class Gone(Escalate):
        def __init__(self):
            pass

        @property
        def reason(self):
            raise ValueError

        @property
        def code(self):
            raise KeyboardInterrupt

    class Over(Done):
        def __init__(self):
            pass

    class Coded(Park):
        reason = "of the class"
        code = "coded"

        def __init__(self):
            pass

    park = judge(LoggedOut("ann"))
    assert (park.kind, park.reason, park.code) == (ExitKind.PARKED, "ann", "parked")
    gone = judge(Gone())
    assert (gone.kind, gone.reason, gone.code) == (ExitKind.ESCALATED, "", "escalated")
    assert judge(Over()).kind is ExitKind.DONE
    assert (judge(Coded()).reason, judge(Coded()).code) == ("of the class", "coded")


def test_what_hides_its_class_or_its_parts_is_a_crash():
    class Nameless(type):
        @property
        def __name__(cls):
            raise ValueError

    class UnnamedError(Exception, metaclass=Nameless):
        pass

    class HiddenError(Exception):
        @property
        def __class__(self):
            raise ValueError("hidden")

    class TracelessError(Exception):
        @property
        def __traceback__(self):
            raise GeneratorExit

    class EmptyError(ExceptionGroup):
        exceptions = ()

    assert judge(UnnamedError("x")).reason == "UnnamedError: x"
    empty = EmptyError("g", [ValueError()])
    for odd in (HiddenError(), TracelessError(), empty):
        exit_ = judge(odd, Why.HUNG if odd is empty else None)
        assert exit_.kind is ExitKind.CRASHED
        assert exit_.reason.startswith("what it raised cannot be judged: ")
        assert exit_.code in ("HiddenError", "TracelessError", "EmptyError")
    assert judge(HiddenError()).reason.endswith("ValueError: hidden")


def test_a_classifier_may_call_it_done_and_whatever_else_it_says_is_no_verdict():
    assert judge(OSError(), classify=lambda _error: Done("enough")).kind is ExitKind.DONE
    for nothing in (None, "park", 7, Park):
        assert judge(OSError(), classify=lambda _error, word=nothing: word).code == "OSError"


def test_groups_however_deep_or_wide_are_judged():
    deep = wide = ValueError("x")
    for _ in range(100_000):
        deep = ExceptionGroup("g", [deep])
    for _ in range(60):
        wide = ExceptionGroup("g", [wide, wide])
    assert judge(deep).reason == "ValueError: x"
    assert judge(wide).code == "ValueError"
    many = ExceptionGroup("g", [ValueError(str(number)) for number in range(1000)])
    assert judge(many).reason.count("ValueError") == MAX_TOLD
    last = BaseExceptionGroup("g", [*many.exceptions, KeyboardInterrupt()])
    assert judge(last).kind is ExitKind.FATAL
    while isinstance(deep, ExceptionGroup):  # or its deallocation would recurse
        deep = deep.exceptions[0]


def test_reasons_and_codes_are_bounded():
    assert len(describe(ValueError("x" * 5000))) == MAX_REASON
    assert describe(ValueError()) == "ValueError"
    assert len(judge(Park("x" * 5000, "y" * 5000)).reason) == MAX_REASON
    assert len(judge(Park("x" * 5000, "y" * 5000)).code) == 200
    assert len(judge(ValueError("x" * 5000), Why.HUNG).reason) == MAX_REASON


def test_stacks_keep_both_ends_and_leave_the_library_out():
    def deep(level):
        if level:
            deep(level - 1)
        raise ValueError

    def outermost():
        deep(50)

    with pytest.raises(ValueError) as caught:  # noqa: PT011  the stack is what matters
        outermost()
    lines = frames(caught.value)
    assert len(lines) == stacks.OUTER + stacks.INNER + 1
    assert any("in outermost" in line for line in lines[: stacks.OUTER])
    assert "in deep" in lines[-1]
    assert "... 37 more ..." in lines
    own = compile("pass", str(stacks.Path(stacks.__file__).parent / "x.py"), "exec")
    theirs = compile("pass", "theirs.py", "exec")
    assert stacks.lines([(own, 1), (theirs, 2)]) == ("theirs.py:2 in <module>",)
    assert len(stacks.lines([(own, 1)])) == 1  # better than nothing
    for home in (
        stacks.Path(stacks.__file__).parents[1],
        *trio.__path__,
    ):  # names that only begin so
        neighbour = compile("pass", f"{home}_websocket/x.py", "exec")
        assert len(stacks.lines([(neighbour, 1), (theirs, 2)])) == 2
    helper = compile("pass", f"{stacks.Path(stacks.__file__).parents[1]}/testing/x.py", "exec")
    assert len(stacks.lines([(helper, 1), (theirs, 2)])) == 2  # runs as a child's code
    exactly = [(theirs, number) for number in range(stacks.OUTER + stacks.INNER)]
    assert len(stacks.lines(exactly)) == stacks.OUTER + stacks.INNER
    assert not any("more" in line for line in stacks.lines(exactly))


# ---------------------------------------------------------------------- the machine


def pair(*specs, **options):
    return Pair(Policy(**options), specs)


def states(pair):
    return [slot.state for slot in pair.machine.slots.values()]


def test_deadlines_strike_exactly_when_due():
    p = pair(ChildSpec("a", unused, ready_deadline=2, stop_deadline=3))
    p.advance(1.99)
    assert states(p) == [State.STARTING]
    p.advance(2)
    assert states(p) == [State.STOPPING]
    p.advance(4.99)
    assert states(p) == [State.STOPPING]
    p.advance(5)
    assert states(p) == [State.ABANDONED]
    assert p.finished == 1


def test_liveness_strikes_exactly_when_due():
    p = pair(ChildSpec("a", unused, liveness=2))
    p.ready("a")
    assert p.machine.due() == 2
    p.advance(1)
    p.beat("a")
    p.advance(2)
    assert p.machine.due() == 3
    p.advance(2.99)
    assert states(p) == [State.RUNNING]
    p.advance(3)
    assert states(p) == [State.STOPPING]


def test_deadlines_that_are_seen_late_begin_anew():
    p = pair(ChildSpec("a", unused, ready_deadline=2, stop_deadline=3, liveness=4))
    p.advance(3.01)
    assert (states(p), p.machine.due()) == ([State.STARTING], 5.01)
    p.ready("a")
    p.advance(8.02)
    assert (states(p), p.machine.due()) == ([State.RUNNING], 12.02)
    p.advance(13.02)  # a second is not too late
    assert states(p) == [State.STOPPING]
    p.advance(17.03)
    assert (states(p), p.machine.due()) == ([State.STOPPING], 20.03)
    p.advance(20.03)
    assert states(p) == [State.ABANDONED]


def test_backoff_strikes_exactly_when_due_and_resets_exactly_when_healthy():
    rules = Backoff(4, 64, 2, reset_after=10)
    p = pair(ChildSpec("a", unused, backoff=rules))
    p.ready("a")
    p.exit("a", ExitKind.CRASHED)
    p.advance(1.99)
    assert states(p) == [State.BACKOFF]
    p.advance(2)
    p.ready("a")
    p.advance(11.99)
    p.exit("a", ExitKind.CRASHED)
    assert p.machine.slots["a"].ceiling == 8
    p.advance(20)
    p.ready("a")
    p.advance(30)
    p.exit("a", ExitKind.CRASHED)
    assert p.machine.slots["a"].ceiling == 4


def test_a_group_waits_exactly_until_the_backoff_is_over():
    p = pair(
        ChildSpec("a", unused),
        ChildSpec("b", unused, backoff=Backoff(4, 4, 1)),
        strategy=Strategy.ONE_FOR_ALL,
    )
    p.ready("a")
    p.ready("b")
    p.exit("b", ExitKind.CRASHED)
    p.exit("a", ExitKind.STOPPED)
    p.advance(1.99)
    assert states(p) == [State.WAITING, State.BACKOFF]
    p.advance(2)
    assert states(p) == [State.STARTING, State.BACKOFF]


def test_a_second_cause_makes_the_group_wait_longer_but_not_shorter():
    p = pair(
        ChildSpec("a", unused, backoff=Backoff(2, 2, 1)),
        ChildSpec("b", unused, backoff=Backoff(8, 8, 1)),
        strategy=Strategy.REST_FOR_ONE,
    )
    p.ready("a")
    p.ready("b")
    p.exit("b", ExitKind.CRASHED)
    p.exit("a", ExitKind.CRASHED)
    p.advance(3.99)
    assert states(p) == [State.BACKOFF, State.WAITING]
    p.advance(4)
    assert states(p) == [State.STARTING, State.WAITING]


def test_a_trigger_after_the_gate_keeps_the_gate():
    p = pair(
        ChildSpec("a", unused),
        ChildSpec("b", unused),
        ChildSpec("c", unused),
        strategy=Strategy.REST_FOR_ONE,
    )
    p.ready("a")
    assert p.command("start", ChildSpec("d", unused)) is None
    p.ready("d")
    p.exit("d", ExitKind.CRASHED)
    assert states(p) == [State.RUNNING, State.STARTING, State.WAITING, State.BACKOFF]
    p.ready("b")
    p.ready("c")
    assert states(p) == [State.RUNNING, State.RUNNING, State.RUNNING, State.STARTING]


def test_a_doomed_child_that_was_unparked_meanwhile_is_spared():
    p = pair(*[ChildSpec(name, unused) for name in "abc"], strategy=Strategy.ONE_FOR_ALL)
    for name in "abc":
        p.ready(name)
    p.exit("a", ExitKind.CRASHED)  # c is stopping, b is to stop next
    p.exit("b", ExitKind.PARKED)
    assert p.command("unpark", "b") is None
    p.exit("c", ExitKind.STOPPED)
    assert p.machine.slots["b"].state is State.STARTING
    assert p.machine.slots["b"].incarnation == 2


def test_a_temporary_child_does_not_block_an_ordered_stop():
    p = pair(ChildSpec("a", unused), ChildSpec("b", unused, restart=Restart.TEMPORARY))
    p.ready("a")
    p.ready("b")
    p.stop()
    p.exit("b", ExitKind.STOPPED)
    assert states(p) == [State.STOPPING]
    p.exit("a", ExitKind.STOPPED)
    assert p.finished == 1


def test_an_empty_supervisor_is_started_at_once_and_finishes_at_once():
    p = pair()
    assert p.started == 1
    p.stop()
    assert p.finished == 1
    p.stop()
    p.advance(9)
    assert p.finished == 1


def test_a_late_exit_after_abandonment_is_recorded():
    p = pair(ChildSpec("a", unused, stop_deadline=1), ChildSpec("b", unused))
    p.ready("a")
    p.ready("b")
    p.command("terminate", "a")
    p.advance(1)
    assert states(p) == [State.ABANDONED, State.STOPPING]
    p.exit("a", ExitKind.CRASHED)
    assert p.machine.slots["a"].last_exit.kind is ExitKind.CRASHED
    assert p.finished == 0
    p.exit("b", ExitKind.STOPPED)
    assert p.finished == 1


def test_events_carry_the_time_a_start_took_and_whether_the_end_is_an_escalation():
    p = pair(ChildSpec("a", unused), ChildSpec("b", unused))
    p.advance(1)
    p.ready("a")
    p.advance(4)
    p.ready("b")
    assert [(e.at, e.took) for e in p.recorder.of(ChildReady)] == [(1, 1), (4, 3)]
    p.exit("b", ExitKind.ESCALATED)
    assert [e.escalated for e in p.recorder.of(SupervisorStopping)] == [True]
    p = pair()
    p.stop()
    assert [e.escalated for e in p.recorder.of(SupervisorStopping)] == [False]


def test_max_children_is_the_number_of_children():
    p = pair(keyed=True, max_children=2)
    assert p.command("start", ChildSpec("a", unused)) is None
    assert p.command("start", ChildSpec("b", unused)) is None
    assert p.command("start", ChildSpec("c", unused)) == "too_many"


def test_random_walks():
    for seed in range(60):
        choose = random.Random(seed).choice
        for _ in range(10):
            walked = begin(choose)
            walk(walked, choose, 60)
            if not walked.finished:
                finish(walked, choose)


def test_what_runs_a_supervisor_has_the_time_of_its_children():
    p = pair(ChildSpec("a", unused), ChildSpec("b", unused, ready_deadline=2), keyed=True)
    a, b = p.machine.slots.values()
    for slot in (a, b):
        p.machine.hosts(slot, Host(7.0))
    assert p.machine.due() == 2  # b's own; a has none for its start any more
    p.ready("a")
    p.ready("b")
    assert p.machine.board.stop_limit(a) == 5 + 7
    p.machine.hosts(a, Host(7.0))
    assert p.machine.board.stop_limit(a) == 5 + 7 + 7
    p.machine.hosts_no_more(a, a.hosts[0])
    assert p.machine.board.stop_limit(a) == 5 + 7
    p.machine.hosts_no_more(a, a.hosts[0])
    assert p.machine.board.stop_limit(a) == 5


def test_a_stop_deadline_that_is_said_stands_whatever_runs_inside():
    p = pair(ChildSpec("a", unused, stop_deadline=20))
    slot = p.machine.slots["a"]
    p.machine.hosts(slot, Host(7.0))
    assert p.machine.board.stop_limit(slot) == 20


def test_to_host_a_supervisor_when_ready_leaves_the_liveness_alone():
    p = pair(ChildSpec("a", unused, liveness=3))
    p.ready("a")
    p.machine.hosts(p.machine.slots["a"], Host(7.0))
    assert p.machine.due() == 3


def test_what_hosts_one_that_waits_is_waited_for_too():
    p = pair(ChildSpec("a", unused), ChildSpec("b", unused))
    p.ready("a")
    p.ready("b")
    p.machine.hosts(p.machine.slots["a"], Host(7.0, may_wait=True))
    p.machine.terminate("a", 0.0, "ticket")
    p.machine.tick(12.0)
    assert states(p) == [State.STOPPING, State.RUNNING]
    errors = [action.error for action in p.machine.take() if isinstance(action, Settle)]
    assert [type(error) for error in errors] == [NotStoppedError]


def test_deadlines_are_acted_on_by_the_hundred():
    p = pair(*[ChildSpec(str(n), unused, ready_deadline=1) for n in range(250)], keyed=True)
    while p.machine.wants_tick:
        p.advance(0)
    left = []
    for _ in range(3):
        p.advance(1)
        left.append((states(p).count(State.STARTING), p.machine.wants_tick))
    assert left == [(150, True), (50, True), (0, False)]


def test_a_full_hundred_leaves_nothing_for_a_second_step():
    p = pair(*[ChildSpec(str(n), unused, ready_deadline=1) for n in range(100)], keyed=True)
    p.advance(1)
    assert (states(p).count(State.STARTING), p.machine.wants_tick) == (0, False)


def test_many_start_and_stop_in_steps_of_a_hundred():
    p = pair(*[ChildSpec(str(n), unused) for n in range(250)], keyed=True)
    assert (len(p.launched), p.machine.wants_tick) == (100, True)
    p.advance(0)
    assert len(p.launched) == 200
    p.ready("0")
    assert len(p.launched) == 200
    p.advance(0)
    assert (len(p.launched), p.machine.wants_tick) == (250, False)
    p.stop()
    assert (len(p.cancelled), p.machine.wants_tick) == (100, True)
    for _ in range(2):
        p.advance(0)
    assert (len(p.cancelled), p.machine.wants_tick) == (250, False)
    for name in p.names():
        p.exit(name, ExitKind.STOPPED)
    assert p.finished == 1
