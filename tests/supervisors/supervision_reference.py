"""A second, naive statement of what a supervisor does, to hold the decision core against.

It shares no code with the core: no queue, no stack, no heap. Every child carries flags, and after
each event the rules below are applied until nothing changes. Where the core draws a random delay,
the model checks that it is within its bound and adopts it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

LIVE = ("starting", "running", "draining", "stopping")
SICK = ("waiting", "starting", "draining", "stopping", "backoff")
STEP = 100  # children of a keyed supervisor that start or stop, and deadlines, in one step


@dataclass
class Kid:
    name: str
    spec: object
    state: str = "waiting"
    incarnation: int = 0
    restarts: int = 0
    deadline: float = math.inf  # of the present state
    armed: int = 0  # when that was set, to tell equal deadlines apart
    beat: float = 0.0
    due: float | None = None
    why: str | None = None
    ready_at: float | None = None
    bound: float = 0.0
    queued: bool = False  # to be started in its turn
    gating: bool = False  # started in its turn; those after it wait
    doomed: bool = False  # to be stopped, the last one first
    pending: bool = False  # keyed: first start not over
    first: str | None = None  # a commanded start, and where its failure leads
    graced: bool = False  # this deadline has begun anew once
    idle: int = 0
    last: str | None = None  # kind of its last exit
    sick: float = 0.0  # seconds spent unwell, until the present state began
    since: float = 0.0  # of the present state, where it is unwell
    hosts: list = field(default_factory=list)
    waiters: list = field(default_factory=list)  # (what for, ticket)

    @property
    def live(self):
        return self.state in LIVE

    @property
    def comes_back(self):
        if self.state in ("draining", "stopping"):
            return self.why not in ("command", "shutdown")
        return self.state not in ("stopped", "done", "parked", "abandoned")

    def unwell(self, now):
        return self.sick + (now - self.since if self.state in SICK else 0.0)

    @property
    def stop_limit(self):
        if self.hosts and self.spec.stop_deadline is None:
            return 5.0 + sum(host.stop_needs for host in self.hosts)
        return self.spec.stop_limit

    def turn(self, state, now):
        """Into another state, in which nothing is due yet."""
        self.sick = self.unwell(now)
        self.state, self.since, self.graced = state, now, False
        self.deadline = math.inf


class Reference:
    def __init__(self, policy):
        self.policy = policy
        self.keyed = policy.keyed
        self.grouped = policy.strategy.value != "one_for_one"
        self.kids: list[Kid] = []
        self.spent: list[tuple[float, Kid, float]] = []
        self.hold: float | None = None
        self.ending: str | None = None
        self.started = False
        self.finished = False
        self.settled: list[tuple[object, str]] = []
        self.clock = 0
        self.behind = False  # deadlines that are due were left for the next step
        self.stepping = False

    @property
    def wants_tick(self):
        if not self.keyed:
            return self.behind
        left = "doomed" if self.ending else "queued"
        return self.behind or any(getattr(kid, left) for kid in self.kids)

    def kid(self, name):
        return next((kid for kid in self.kids if kid.name == name), None)

    # -------------------------------------------------------------- events

    def begin(self, specs, now):
        for spec in specs:
            kid = Kid(spec.name, spec, queued=True, pending=self.keyed, since=now, beat=now)
            self.kids.append(kid)
        self._step(now)

    def ready(self, name, now):
        kid = self.kid(name)
        if kid.state == "starting":
            kid.turn("running", now)
            kid.ready_at, kid.beat, kid.first = now, now, None
            self._arm(kid, now + kid.spec.liveness if kid.spec.liveness else math.inf)
            self._tell(kid, "start", "ok")
            self._tell(kid, "ready", "ok")
            self._over(kid)
            self._work(now)

    def beat(self, name, now):
        self.kid(name).beat = now

    def idle(self, name, more, now):
        kid = self.kid(name)
        kid.idle += more
        kid.beat = now

    def hosts(self, name, host):
        kid = self.kid(name)
        kid.hosts.append(host)
        if kid.state == "starting" and kid.spec.ready_deadline is None:
            kid.deadline = math.inf

    def hosts_no_more(self, name, host):
        self.kid(name).hosts.remove(host)

    def exited(self, kid, kind, now, due_of):
        was, why = kid.state, kid.why
        kid.why = None
        kid.hosts = []
        kid.last = kind
        doomed, kid.doomed = kid.doomed, False
        self._tell(kid, "exit", kind)
        if kind == "fatal":
            self._rest(kid, now)
            self._end("fatal", now)
        elif was == "abandoned" or self.ending:
            self._rest(kid, now)
        elif kind == "escalated":
            self._rest(kid, now)
            self._end("escalated", now)
        elif why == "command":
            self._rest(kid, now)
        elif kind == "parked":
            kid.first = None
            kid.turn("parked", now)
            self._tell(kid, "start", "ok")
            self._at_rest(kid)
        elif doomed:
            if kid.spec.restart.value == "temporary":
                self._remove(kid, now)
            else:
                kid.turn("waiting", now)
        elif why == "restart":
            kid.first = "stopped"
            self._launch(kid, now)
        else:
            self._own_exit(kid, kind, now, due_of)
        self._work(now)

    def tick(self, now):
        self.behind = False
        for _ in range(STEP):
            due = [kid for kid in self.kids if kid.deadline <= now]
            if not due:
                break
            kid = min(due, key=lambda k: (k.deadline, k.armed))
            self._strike(kid, now)
        else:
            self.behind = any(kid.deadline <= now for kid in self.kids)
        self._step(now)

    def _strike(self, kid, now):
        deadline, kid.deadline = kid.deadline, math.inf
        spec = kid.spec
        spans = {
            "starting": spec.ready_limit,
            "draining": spec.drain_deadline,
            "stopping": kid.stop_limit,
        }
        if kid.state == "backoff":
            self._launch(kid, now)
        elif now - deadline > 1.0 and not kid.graced:
            kid.graced = True
            self._arm(kid, now + spans.get(kid.state, spec.liveness))
        elif kid.state == "starting":
            self._cancel(kid, "not_ready", now)
        elif kid.state == "draining":
            self._cancel(kid, kid.why, now)
        elif kid.state == "stopping":
            self._tell(kid, "start", "failed")
            if spec.stuck.value == "wait" or any(host.may_wait for host in kid.hosts):
                self._tell(kid, "stop", "not_stopped")
                return
            kid.turn("abandoned", now)
            for wait in ("stop", "ready", "exit"):
                self._tell(kid, wait, "down")
            self._end("escalated", now)
        else:
            if kid.idle:
                kid.beat = now
            if kid.beat + spec.liveness > now:
                kid.graced = False
                self._arm(kid, kid.beat + spec.liveness)
            else:
                self._cancel(kid, "hung", now)
                kid.since = kid.beat

    def stop(self, now):
        self._end("stop", now)
        self._step(now)

    # -------------------------------------------------------------- commands

    def start(self, spec, now, ticket):
        if self.ending:
            return "down"
        if self.kid(spec.name):
            return "exists"
        if self.policy.max_children is not None and len(self.kids) >= self.policy.max_children:
            return "too_many"
        kid = Kid(spec.name, spec, first="added", since=now, waiters=[("start", ticket)])
        self.kids.append(kid)
        self._launch(kid, now)
        return None

    def get_or_start(self, spec, now, ticket):
        kid = self.kid(spec.name)
        if self.ending or kid is None:
            return self.start(spec, now, ticket)
        if kid.state in ("running", "parked"):
            self.settled.append((ticket, "ok"))
        elif kid.state in ("stopped", "done"):
            self._commanded(kid, now, ticket)
        elif kid.comes_back:
            kid.waiters.append(("start", ticket))
            self._renew(kid, now)
        else:
            return "state"
        return None

    def terminate(self, name, now, ticket):
        kid = self.kid(name)
        if self.ending or kid is None:
            return "down" if self.ending else "unknown"
        kid.waiters.append(("stop", ticket))
        kid.queued = False
        if kid.state in ("starting", "running"):
            self._ask(kid, "command", now)
        elif kid.state in ("draining", "stopping"):
            kid.why = "command"
            self._renew(kid, now)
        elif kid.state == "stopped":
            self._tell(kid, "stop", "ok")
        elif kid.spec.restart.value == "temporary":
            self._remove(kid, now)
        else:
            self._to_rest(kid, now)
        self._work(now)
        return None

    def restart(self, name, now, ticket):
        kid = self.kid(name)
        if self.ending or kid is None:
            return "down" if self.ending else "unknown"
        if kid.state in ("stopped", "done"):
            self._commanded(kid, now, ticket)
        elif kid.state in ("starting", "running"):
            kid.waiters.append(("start", ticket))
            self._ask(kid, "restart", now)
        else:
            return "state"
        return None

    def retry(self, name, now, ticket):
        kid = self.kid(name)
        if self.ending or kid is None:
            return "down" if self.ending else "unknown"
        if kid.state != "backoff":
            return "state"
        kid.waiters.append(("start", ticket))
        if kid.queued:
            if self.hold is not None:
                self.hold = now
            self._work(now)
        else:
            self._launch(kid, now)
        return None

    def delete(self, name, now):
        kid = self.kid(name)
        if self.ending or kid is None:
            return "down" if self.ending else "unknown"
        if kid.state not in ("stopped", "done", "parked"):
            return "state"
        self._remove(kid, now)
        return None

    def unpark(self, name, now, ticket):
        kid = self.kid(name)
        if self.ending or kid is None:
            return "down" if self.ending else "unknown"
        if kid.state != "parked":
            return "state"
        kid.bound = 0.0
        kid.waiters.append(("start", ticket))
        self._launch(kid, now)
        return None

    def await_ready(self, name, _now, ticket):
        kid = self.kid(name)
        if self.ending or kid is None:
            return "down" if self.ending else "unknown"
        if kid.state == "running":
            self.settled.append((ticket, "ok"))
        elif kid.comes_back:
            kid.waiters.append(("ready", ticket))
        else:
            return "child_down"
        return None

    def await_exit(self, name, _now, ticket):
        kid = self.kid(name)
        if self.ending or kid is None:
            return "down" if self.ending else "unknown"
        if kid.state in ("stopped", "done", "parked", "abandoned"):
            self.settled.append((ticket, kid.last or "child_down"))
        else:
            kid.waiters.append(("exit", ticket))
        return None

    def _commanded(self, kid, now, ticket):
        kid.first = "stopped"
        kid.waiters.append(("start", ticket))
        self._launch(kid, now)

    # -------------------------------------------------------------- consequences

    def _own_exit(self, kid, kind, now, due_of):
        restart = kid.spec.restart.value
        well = kind in ("normal", "done")
        again = kind != "done" and (restart == "permanent" or (restart == "transient" and not well))
        if kid.first is not None and (again or not well):
            back, kid.first = kid.first, None
            self._tell(kid, "start", "failed")
            if back == "stopped" and restart != "temporary":
                self._to_rest(kid, now)
            else:
                self._remove(kid, now)
            return
        if not again:
            self._tell(kid, "start", "ok" if well else "failed")
            significant = kid.spec.significant
            if self.keyed or restart == "temporary":
                self._remove(kid, now)
            else:
                kid.first = None
                kid.turn("done", now)
                self._at_rest(kid)
            mode = self.policy.auto_shutdown.value
            left = [k for k in self.kids if k.spec.significant]
            if significant and mode == "any_significant":
                self._end("auto_shutdown", now)
            left = [k for k in left if k.state not in ("done", "stopped")]
            if significant and mode == "all_significant" and not left:
                self._end("auto_shutdown", now)
            return
        if kid.spec.uses_budget:
            self.spent.append((now, kid, kid.unwell(now)))
            if self.used(now) > self.policy.intensity.max_restarts:
                self._rest(kid, now)
                self._end("escalated", now)
                return
        self._tell(kid, "start", "failed")
        kid.restarts += 1
        kid.pending = False
        kid.due = self._restart_at(kid, now, due_of)
        kid.turn("backoff", now)
        if not self.grouped:
            self._arm(kid, kid.due)
            if kid.due == now:
                self._launch(kid, now)
            return
        after = False
        for other in self.kids:
            after = after or other is kid or self.policy.strategy.value == "one_for_all"
            if not after:
                continue
            other.gating = False
            if other.live:
                other.doomed = True
            elif other.state in ("backoff", "done") and other is not kid:
                other.turn("waiting", now)
            if other.state not in ("parked", "stopped"):
                other.queued = True
        self.hold = max(kid.due, self.hold if self.hold is not None else kid.due)

    def used(self, now):
        """Restarts in the window; one grows older while its child is well. That a child was not may
        come out later, so none is ever forgotten."""
        window = self.policy.intensity.window
        return sum(
            now - at - (kid.unwell(now) - unwell) <= window for at, kid, unwell in self.spent
        )

    def _restart_at(self, kid, now, due_of):
        rule = kid.spec.backoff
        if rule is None:
            return now
        if kid.ready_at is not None and now - kid.ready_at >= rule.reset_after:
            kid.bound = 0.0
        kid.bound = min(rule.cap, kid.bound * rule.factor) if kid.bound else rule.first
        return due_of(kid.bound)

    def _step(self, now):
        """One step of a keyed supervisor's plan: at most STEP of its children start or stop."""
        self.left = STEP
        self.stepping = True
        self._work(now)
        self.stepping = False

    def _work(self, now):
        """Order: stop the doomed from the last to the first, wait, start the queued in order."""
        while self._work_once(now):
            pass
        if self.ending:
            self.finished = self.finished or not any(kid.live for kid in self.kids)
        elif not any(k.queued or k.gating or k.pending or k.doomed for k in self.kids):
            self.started = True

    def _work_once(self, now):
        if self.keyed:
            return self.stepping and self._keyed_once(now)
        for kid in self.kids:
            kid.doomed = kid.doomed and kid.live
        doomed = [kid for kid in self.kids if kid.doomed]
        if doomed:
            if doomed[-1].state not in ("draining", "stopping"):
                self._ask(doomed[-1], "shutdown" if self.ending else "group", now)
            return False
        if self.ending:
            return False
        if self.hold is not None and now >= self.hold:
            self.hold = None
        if self.hold is not None or any(kid.gating for kid in self.kids):
            return False
        queued = [kid for kid in self.kids if kid.queued]
        if not queued:
            return False
        kid = queued[0]
        kid.queued = False
        if kid.state in ("waiting", "backoff"):
            kid.gating = True
            self._launch(kid, now)
        return True

    def _keyed_once(self, now):
        doomed = [kid for kid in self.kids if kid.doomed]
        queued = [kid for kid in self.kids if kid.queued]
        if not self.left or not (doomed or queued):
            return False
        if doomed:
            doomed[-1].doomed = False
            if doomed[-1].live:
                self.left -= 1
                if doomed[-1].state not in ("draining", "stopping"):
                    self._ask(doomed[-1], "shutdown", now)
        else:
            queued[0].queued = False
            if queued[0].state in ("waiting", "backoff"):
                self.left -= 1
                self._launch(queued[0], now)
        return True

    def _end(self, kind, now):
        if self.ending:
            if kind == "fatal" or self.ending == "auto_shutdown":
                self.ending = kind
            return
        self.ending = kind
        self.hold = None
        for kid in list(self.kids):
            kid.queued = kid.gating = kid.pending = kid.doomed = False
            if kid.live:
                kid.doomed = True
            elif kid.state in ("backoff", "waiting", "parked"):
                self._tell(kid, "start", "down")
                self._tell(kid, "ready", "down")
                self._to_rest(kid, now)

    # -------------------------------------------------------------- moves

    def _arm(self, kid, deadline):
        self.clock += 1
        kid.deadline, kid.armed = deadline, self.clock

    def _launch(self, kid, now):
        kid.incarnation += 1
        kid.turn("starting", now)
        kid.due, kid.ready_at, kid.idle = None, None, 0
        self._arm(kid, now + kid.spec.ready_limit)

    def _ask(self, kid, why, now):
        if kid.state == "running" and kid.spec.drain_deadline is not None:
            kid.turn("draining", now)
            kid.why = why
            self._arm(kid, now + kid.spec.drain_deadline)
        else:
            self._cancel(kid, why, now)

    def _renew(self, kid, now):
        """Somebody waits for a stop that is past its deadline: it gets another one."""
        if kid.state == "stopping" and kid.deadline == math.inf:
            self._arm(kid, now + kid.stop_limit)

    def _cancel(self, kid, why, now):
        kid.turn("stopping", now)
        kid.why = why
        self._arm(kid, now + kid.stop_limit)

    def _rest(self, kid, now):
        self._tell(kid, "start", "failed")
        if kid.spec.restart.value == "temporary":
            self._remove(kid, now)
        else:
            self._to_rest(kid, now)

    def _to_rest(self, kid, now):
        kid.due, kid.first = None, None
        kid.turn("stopped", now)
        self._at_rest(kid)

    def _remove(self, kid, now):
        kid.turn("stopped", now)
        self.kids.remove(kid)
        kid.queued = False
        self._at_rest(kid)

    def _at_rest(self, kid):
        self._over(kid)
        self._tell(kid, "stop", "ok")
        self._tell(kid, "exit", kid.last or "child_down")
        self._tell(kid, "start", "failed")
        self._tell(kid, "ready", "child_down")

    def _over(self, kid):
        kid.gating = kid.pending = False

    def _tell(self, kid, wait, outcome):
        self.settled += [(ticket, outcome) for kind, ticket in kid.waiters if kind == wait]
        kid.waiters = [entry for entry in kid.waiters if entry[0] != wait]
