"""The fourteen invariants, each by its name. Most are checked on sixty random stories."""

from __future__ import annotations

import gc
import inspect
import math
import os
from pathlib import Path

import psutil
import pytest
import trio
import trio.testing
from supervision_children import worker
from supervision_storm import STOP_DEADLINE, CrashError, Storm

import supervisors
from supervisors import (
    AutoShutdown,
    Backoff,
    ChildDone,
    ChildExited,
    ChildReady,
    ChildRestarting,
    ChildSpec,
    ChildStarting,
    ChildStopped,
    ChildStopping,
    EscalationError,
    ExitKind,
    Intensity,
    NotStoppedError,
    Restart,
    StopError,
    Strategy,
    SubprocessChild,
    Supervisor,
    SupervisorStopping,
    Why,
    open_supervisor,
)
from supervisors._core.exits import leaves
from supervisors.testing import (
    FixedJitter,
    ScriptedChild,
    crash,
    forever,
    park,
    ready,
    sleep,
    stubborn,
)

SEEDS = range(60)
START_IS_OVER = ("ChildReady", "ChildParked", "ChildStopped", "ChildDone", "ChildRemoved")


@pytest.fixture(scope="module")
def storms():
    return [Storm(seed).run() for seed in SEEDS]


def test_the_storms_are_storms(storms):
    """They restart, park, hang, stop, call and give up often enough to be worth checking."""
    kinds = [type(e).__name__ for storm in storms for e in storm.recorder.events]
    for kind in ("ChildRestarting", "ChildParked", "ChildUnparked", "ChildDone", "ChildRemoved"):
        assert kinds.count(kind) > 20, kind
    whys = {e.why for storm in storms for e in storm.recorder.of(ChildStopping)}
    assert whys == set(Why)
    assert sum(storm.calls_over for storm in storms) > 1000
    assert any(storm.error for storm in storms)
    assert sum(storm.error is None for storm in storms) > 5


def test_invariant_01_at_most_one_live_incarnation_per_name(storms):
    for storm in storms:
        assert all(child.most_live <= 1 for child in storm.children)
        live = set()
        for event in storm.recorder.events:
            if isinstance(event, ChildStarting):
                assert event.path not in live
                live.add(event.path)
            elif isinstance(event, ChildExited):
                live.remove(event.path)


def test_invariant_02_one_exit_per_incarnation_and_events_form_a_legal_path(storms):
    for storm in storms:
        storm.recorder.check()
        assert storm.recorder.unfinished() == []
        starts = len(storm.recorder.of(ChildStarting))
        assert starts == len(storm.recorder.of(ChildExited))


def test_invariant_03_ordered_start_and_exact_reverse_stop(storms):
    for storm in storms:
        for path in storm.strategies:
            if path != "root":
                _check_order(storm, path)


def _check_order(storm, path):
    """Children of one supervisor: nobody starts for the first time before the one before him is
    over his start; when the supervisor stops, stops begin in reverse, one after the other."""
    names = [p for p in storm.specs if p.rpartition("/")[0] == path]
    over, live, stopping = set(), [], False
    for event in storm.recorder.events:
        if event.path == path and isinstance(event, ChildStarting):
            over, live, stopping = set(), [], False
        if event.path == path and isinstance(event, SupervisorStopping):
            stopping = True
        if event.path not in names:
            continue
        if isinstance(event, ChildStarting):
            before = names[: names.index(event.path)]
            if event.path not in over:  # its first start, and not by command
                assert set(before) <= over, f"{event} before {set(before) - over}"
            live.append(event.path)
        elif isinstance(event, ChildExited):
            live.remove(event.path)
        if isinstance(event, ChildStopping) and event.why is Why.SHUTDOWN:
            assert stopping
            later = names[names.index(event.path) + 1 :]
            assert not set(later) & set(live), f"{event} while {live}"
        if type(event).__name__ in START_IS_OVER:
            over.add(event.path)


def test_invariant_04_restart_types_as_in_otp(storms):
    for storm in storms:
        last_exit = {}
        for event in storm.recorder.events:
            spec = storm.specs.get(event.path)
            if spec is None or spec.name in ("tree", "pool"):
                continue
            if isinstance(event, ChildExited):
                last_exit[event.path] = event.exit.kind
            elif isinstance(event, ChildRestarting):
                assert spec.restart is not Restart.TEMPORARY
                if spec.restart is Restart.TRANSIENT:
                    assert last_exit[event.path] is not ExitKind.NORMAL
            elif isinstance(event, ChildDone):
                assert spec.restart is Restart.TRANSIENT
                assert last_exit[event.path] is ExitKind.NORMAL
        for path, spec in storm.specs.items():
            if spec.restart is Restart.TEMPORARY and path.startswith("root/tree"):
                starts = len(storm.recorder.of(ChildStarting, path))
                parent_runs = len(storm.recorder.of(ChildStarting, path.rpartition("/")[0]))
                unparked = len([n for n in storm.recorder.story(path) if n == "ChildUnparked"])
                stops = storm.recorder.of(ChildStopping, path)
                commanded = len([stop for stop in stops if stop.why is Why.RESTART])
                assert starts <= parent_runs + unparked + commanded


def test_invariant_05_rest_for_one_touches_only_the_suffix(storms):
    checked = 0
    for storm in storms:
        for path, strategy in storm.strategies.items():
            names = [p for p in storm.specs if p.rpartition("/")[0] == path]
            causes = []
            for event in storm.recorder.events:
                if event.path in names and isinstance(event, ChildRestarting):
                    causes.append(names.index(event.path))
                elif event.path in names and isinstance(event, ChildStopping):
                    if event.why is not Why.GROUP:
                        continue
                    assert strategy is not Strategy.ONE_FOR_ONE
                    if strategy is Strategy.REST_FOR_ONE:
                        assert names.index(event.path) > min(causes)
                        checked += 1
    assert checked > 20


class _Wellness:
    """Seconds that a child was well, as far as events tell."""

    def __init__(self):
        self._seconds = 0.0
        self._since = None

    def until(self, now):
        return self._seconds + (0.0 if self._since is None else now - self._since)

    def becomes(self, well, now):
        self._seconds, self._since = self.until(now), now if well else None


WELL = ("ChildReady", "ChildParked", "ChildStopped", "ChildDone", "ChildRemoved")
SICK = ("ChildStarting", "ChildDraining", "ChildStopping", "ChildRestarting", "ChildWaiting")


def test_invariant_06_restarts_exceed_the_budget_by_no_more_than_the_triggering_one(storms):
    """A restart grows older only while its child is well."""
    tripped = 0
    for storm in storms:
        for path, intensity in storm.intensities.items():
            _check_budget(storm, path, intensity)
        tripped += any(e.escalated for e in storm.recorder.of(SupervisorStopping))
    assert tripped > 5


def _check_budget(storm, path, intensity):
    spent, children = [], {}
    for event in storm.recorder.events:
        name = type(event).__name__
        if event.path == path and name == "ChildStarting":
            spent, children = [], {}
        if event.path.rpartition("/")[0] != path or not name.startswith("Child"):
            continue
        child = children.setdefault(event.path, _Wellness())
        spec = storm.specs.get(event.path)
        if name == "ChildRestarting" and spec is not None and spec.uses_budget:
            spent.append((child, child.until(event.at)))
            ages = [other.until(event.at) - then for other, then in spent]
            assert len([age for age in ages if age <= intensity.window]) <= intensity.max_restarts
        if name in WELL + SICK:
            child.becomes(name in WELL, event.at)
        if name == "ChildRemoved":
            del children[event.path]


async def test_invariant_07_backoff_within_bounds_reset_after_health_cut_short_by_stop(
    virtual_clock, recorder, storms
):
    for storm in storms:
        for path, spec in storm.specs.items():
            cap = spec.backoff.cap if spec.backoff else 0.0
            for event in storm.recorder.of(ChildRestarting, path):
                assert 0 <= event.due - event.at <= cap
    rules = Backoff(1, 64, 4, reset_after=100)
    short, healthy = [ready, sleep(99.5), crash()], [ready, sleep(100), crash()]
    spec = worker("a", short, short, healthy, short, backoff=rules)
    async with open_supervisor(Supervisor([spec]), observers=[recorder], rng=FixedJitter()):
        await recorder.wait_for(ChildRestarting, count=4)
        begun = trio.current_time()
    assert [e.due - e.at for e in recorder.of(ChildRestarting)] == [1, 4, 1, 4]
    assert trio.current_time() == begun


async def test_invariant_08_after_the_run_nothing_is_left(storms):
    for storm in storms:
        assert storm.tasks_left == 0
        assert storm.recorder.unfinished() == []
        assert all(child.live == 0 for child in storm.children)
    nursery = trio.lowlevel.current_task().parent_nursery
    before = set(nursery.child_tasks)
    gc.collect()  # what earlier tests left must not be closed while we count
    descriptors = len(os.listdir("/proc/self/fd"))
    program = SubprocessChild(["/bin/sleep", "60"])
    threads = ScriptedChild([ready, _thread_job])
    tree = Supervisor([ChildSpec("p", program, stop_deadline=10), ChildSpec("t", threads)])
    async with open_supervisor(tree):
        pid = program.process.pid
        ref = tree.child("p")
        ref.send_nowait("x")
    assert set(nursery.child_tasks) == before
    assert not psutil.pid_exists(pid)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
    assert not tree.is_running
    with pytest.raises(supervisors.SupervisionError):
        ref.send_nowait("y")


async def _thread_job(_ctx):
    await trio.to_thread.run_sync(lambda: None)
    await trio.sleep_forever()


async def test_invariant_09_cancelled_is_never_a_crash_and_no_crash_is_lost(
    virtual_clock, recorder, storms
):
    for storm in storms:
        crashes = 0
        for event in storm.recorder.of(ChildExited):
            parts = list(leaves(event.error)) if event.error is not None else []
            assert not any(isinstance(part, trio.Cancelled) for part in parts)
            assert "Cancelled" not in event.exit.reason
            crashes += sum(isinstance(part, CrashError) for part in parts)
        assert crashes == storm.raised

    async def crashes_while_cancelled(ctx):
        ctx.ready()
        try:
            await trio.sleep_forever()
        finally:
            raise CrashError("while stopping")

    tree = Supervisor([ChildSpec("a", crashes_while_cancelled)])
    with pytest.raises(StopError) as caught, trio.move_on_after(1):
        async with open_supervisor(tree, observers=[recorder]):
            await trio.sleep_forever()
    assert [type(error) for error in caught.value.exceptions] == [CrashError]
    assert recorder.of(ChildExited)[0].exit.kind is ExitKind.CRASHED


def test_invariant_10_a_pending_call_always_resolves(storms):
    for storm in storms:
        assert storm.calls_begun == storm.calls_over


def test_invariant_11_no_queue_without_a_bound_and_no_wait_without_a_way_out():
    """Read from the source: every channel is bounded by a setting; every wait that no cancellation
    reaches stands in a bounded or self-ending place, which is listed here with its bound."""
    package = Path(supervisors.__file__).parent
    sources = {
        path.relative_to(package).as_posix(): path.read_text()
        for path in package.rglob("*.py")
        if "testing" not in path.parts
    }
    assert not any("open_memory_channel" in text or "Queue(" in text for text in sources.values())
    queues = {
        name: text.count("deque(") + text.count("OrderedDict(") for name, text in sources.items()
    }
    assert {name: count for name, count in queues.items() if count} == {
        "_core/board.py": 1,  # children to start
        "_core/plan.py": 1,  # the same
        "_core/budget.py": 1,  # max_restarts + 1
        "_trio/mailbox.py": 3,  # the child's bound; tasks that wait to send, and to receive
        "_trio/ref.py": 1,  # MONITOR_BOUND
        "_trio/run.py": 1,  # the backlog: one entry per child or task that waits for it
        "_process/output.py": 1,  # TAIL
        "_trio/pulse.py": 1,  # blocks within the window, each of blocked_after at least
    }
    assert "maxlen=" in sources["_trio/ref.py"]
    assert "maxlen=" in sources["_process/output.py"]
    assert "math.inf" not in sources["_trio/mailbox.py"]
    shields = {name: text.count("shield=True") for name, text in sources.items()}
    assert {name: count for name, count in shields.items() if count} == {
        "_trio/context.py": 1,  # each child: ended by the core's deadlines
        "_trio/run.py": 1,  # the ordered stop: the sum of the children's deadlines
        "_trio/opened.py": 3,  # the root, its stop, its guard: told after stop_limit
        "_process/start.py": 1,  # START_WAIT, twice at most
        "_process/program.py": 2,  # the stop: stop_grace + KILL_WAIT; the last lines: DRAIN_WAIT
    }
    assert "sleep(" not in "".join(sources[name] for name in sources if name.startswith("_core"))
    signature = inspect.signature(supervisors.ChildSpec)
    assert signature.parameters["mailbox"].default == 100
    assert ChildSpec("a", ScriptedChild()).ready_limit == 30
    assert ChildSpec("a", ScriptedChild()).stop_limit == 5
    with pytest.raises(ValueError, match="mailbox"):
        ChildSpec("a", ScriptedChild(), mailbox=-1)
    assert ChildSpec("a", Supervisor([worker("b"), worker("c")])).stop_limit == 15


async def test_invariant_12_auto_shutdown_only_on_self_exits_of_significant_children(
    virtual_clock, recorder
):
    children = [
        worker("plain", [ready, sleep(1)], restart=Restart.TRANSIENT),
        worker("s", restart=Restart.TRANSIENT, significant=True),
        worker("t", [ready, sleep(30)], restart=Restart.TRANSIENT, significant=True),
        worker("u", [park()], restart=Restart.TEMPORARY, significant=True),
    ]
    tree = Supervisor(children, auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    async with open_supervisor(tree, observers=[recorder]) as root:
        await trio.sleep(5)
        await root.terminate_child("s")
        await root.restart_child("s")
        await root.terminate_child("u")
        await trio.sleep_forever()
    assert trio.current_time() == 30
    assert recorder.of(SupervisorStopping)[0].reason == "t has ended"


async def test_invariant_13_parked_children_consume_nothing(virtual_clock, recorder):
    child = ScriptedChild([ready, park("logged out")])
    tree = Supervisor([ChildSpec("a", child, liveness=1)], intensity=Intensity(0, 1000))
    async with open_supervisor(tree, observers=[recorder]) as root:
        await recorder.wait_for(ChildReady)
        await trio.testing.wait_all_tasks_blocked()
        events = len(recorder.events)
        steps = _Steps()
        trio.lowlevel.add_instrument(steps)
        await trio.sleep(86_000)
        trio.lowlevel.remove_instrument(steps)
        # At the deadline of the start, no longer of interest: it wakes, and lets others go first.
        assert steps.ours <= 2
        assert len(recorder.events) == events
        assert root.find("a").node().restarts == 0
        run = tree.running()
        assert run.machine.due() == math.inf
        assert run.machine.board.budget.used(trio.current_time()) == 0
    assert child.launches == 1


class _Steps(trio.abc.Instrument):
    """Counts the steps of the supervisor's tasks."""

    def __init__(self):
        self.ours = 0

    def before_task_step(self, task):
        self.ours += task.name.startswith("root")


async def test_invariant_14_total_stop_time_is_bounded_else_it_is_told(
    virtual_clock, recorder, storms
):
    for storm in storms:
        if storm.error is None:
            most = STOP_DEADLINE * len(storm.specs)
            assert storm.stop_over - storm.stop_began <= most
    told = []
    deaf = worker("deaf", [ready, stubborn(10_000)], stop_deadline=5)
    with pytest.raises(EscalationError):
        async with open_supervisor(
            Supervisor([worker("a", [ready, forever]), deaf]),
            observers=[recorder],
            stop_limit=30,
            overrun=lambda late, _cause: told.append((late, trio.current_time())),
        ):
            pass
    [(late, at)] = told
    assert at == 6  # a second after nothing else was left
    assert isinstance(late, NotStoppedError)
    assert "root/deaf" in str(late)
    assert recorder.of(ChildStopped, "root/a")[0].at == 5
