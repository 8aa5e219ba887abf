"""A second, naive statement of what a supervisor does, to hold the decision core against.

It shares no code with the core: no queue, no stack, no heap. Every child carries flags, and after
each event the rules below are applied until nothing changes. Where the core draws a random delay,
the model checks that it is within its bound and adopts it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

LIVE = ("starting", "running", "stopping")


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
    starters: list = field(default_factory=list)
    stoppers: list = field(default_factory=list)

    @property
    def live(self):
        return self.state in LIVE


class Reference:
    def __init__(self, policy):
        self.policy = policy
        self.keyed = policy.keyed
        self.grouped = policy.strategy.value != "one_for_one"
        self.kids: list[Kid] = []
        self.spent: list[float] = []
        self.hold: float | None = None
        self.ending: str | None = None
        self.started = False
        self.finished = False
        self.settled: list[tuple[object, str]] = []
        self.clock = 0

    def kid(self, name):
        return next((kid for kid in self.kids if kid.name == name), None)

    # -------------------------------------------------------------- events

    def begin(self, specs, now):
        for spec in specs:
            self.kids.append(Kid(spec.name, spec))
        for kid in list(self.kids):
            if self.keyed:
                kid.pending = True
                self._launch(kid, now)
            else:
                kid.queued = True
        self._work(now)

    def ready(self, name, now):
        kid = self.kid(name)
        if kid.state == "starting":
            kid.state, kid.ready_at, kid.beat = "running", now, now
            kid.first = None
            self._arm(kid, now + kid.spec.liveness if kid.spec.liveness else math.inf)
            self._tell_starters(kid, "ok")
            self._over(kid)
        self._work(now)

    def beat(self, name, now):
        self.kid(name).beat = now

    def exited(self, kid, kind, now, due_of):
        was, why = kid.state, kid.why
        kid.why = None
        if kind == "fatal":
            self._rest(kid, "failed")
            self._end("fatal", now)
        elif was == "abandoned" or self.ending:
            self._rest(kid, "failed")
        elif kind == "escalated":
            self._rest(kid, "failed")
            self._end("escalated", now)
        elif why == "command":
            self._rest(kid, "failed")
        elif kind == "parked":
            kid.state, kid.first = "parked", None
            self._arm(kid, math.inf)
            self._tell_starters(kid, "ok")
            self._over(kid)
        elif kid.doomed:
            if kid.spec.restart.value == "temporary":
                self._remove(kid)
            else:
                kid.state = "waiting"
                self._arm(kid, math.inf)
        else:
            self._own_exit(kid, kind, now, due_of)
        self._work(now)

    def tick(self, now):
        while True:
            due = [kid for kid in self.kids if kid.deadline <= now]
            if not due:
                break
            kid = min(due, key=lambda k: (k.deadline, k.armed))
            if kid.state == "backoff":
                self._launch(kid, now)
            elif now - kid.deadline > 1.0:
                spans = {"starting": kid.spec.ready_deadline, "stopping": kid.spec.stop_deadline}
                kid.beat = now
                self._arm(kid, now + spans.get(kid.state, kid.spec.liveness))
            elif kid.state == "starting":
                self._cancel(kid, "not_ready", now)
            elif kid.state == "stopping":
                kid.state = "abandoned"
                self._arm(kid, math.inf)
                self._tell_starters(kid, "failed")
                self._tell_stoppers(kid, "down")
                self._end("escalated", now)
            elif kid.beat + kid.spec.liveness > now:
                self._arm(kid, kid.beat + kid.spec.liveness)
            else:
                self._cancel(kid, "hung", now)
        self._work(now)

    def stop(self, now):
        self._end("stop", now)
        self._work(now)

    # -------------------------------------------------------------- commands

    def start(self, spec, now, ticket):
        if self.ending:
            return "down"
        if self.kid(spec.name):
            return "exists"
        if self.policy.max_children is not None and len(self.kids) >= self.policy.max_children:
            return "too_many"
        kid = Kid(spec.name, spec, first="added", starters=[ticket])
        self.kids.append(kid)
        self._launch(kid, now)
        return None

    def terminate(self, name, now, ticket):
        kid = self.kid(name)
        if self.ending or kid is None:
            return "down" if self.ending else "unknown"
        kid.stoppers.append(ticket)
        kid.queued = False
        if kid.state in ("starting", "running"):
            self._cancel(kid, "command", now)
        elif kid.state == "stopping":
            kid.why = "command"
        elif kid.state == "stopped":
            self._tell_stoppers(kid, "ok")
        elif kid.spec.restart.value == "temporary":
            self._remove(kid)
        else:
            self._to_rest(kid)
        self._work(now)
        return None

    def restart(self, name, now, ticket):
        kid = self.kid(name)
        if self.ending or kid is None:
            return "down" if self.ending else "unknown"
        if kid.state not in ("stopped", "done"):
            return "state"
        kid.first = "stopped"
        kid.starters.append(ticket)
        self._launch(kid, now)
        return None

    def delete(self, name, now):
        kid = self.kid(name)
        if self.ending or kid is None:
            return "down" if self.ending else "unknown"
        if kid.state not in ("stopped", "done", "parked"):
            return "state"
        self._remove(kid)
        return None

    def unpark(self, name, now, ticket):
        kid = self.kid(name)
        if self.ending or kid is None:
            return "down" if self.ending else "unknown"
        if kid.state != "parked":
            return "state"
        kid.bound = 0.0
        kid.starters.append(ticket)
        self._launch(kid, now)
        return None

    # -------------------------------------------------------------- consequences

    def _own_exit(self, kid, kind, now, due_of):
        restart = kid.spec.restart.value
        again = restart == "permanent" or (restart == "transient" and kind != "normal")
        if kid.first is not None and (again or kind != "normal"):
            back, kid.first = kid.first, None
            self._tell_starters(kid, "failed")
            if back == "stopped" and restart != "temporary":
                self._to_rest(kid)
            else:
                self._remove(kid)
            return
        if not again:
            self._tell_starters(kid, "ok" if kind == "normal" else "failed")
            significant = kid.spec.significant
            if self.keyed or restart == "temporary":
                self._remove(kid)
            else:
                kid.state = "done"
                self._arm(kid, math.inf)
                self._over(kid)
            mode = self.policy.auto_shutdown.value
            left = [k for k in self.kids if k.spec.significant]
            if significant and mode == "any_significant":
                self._end("auto_shutdown", now)
            left = [k for k in left if k.state not in ("done", "stopped")]
            if significant and mode == "all_significant" and not left:
                self._end("auto_shutdown", now)
            return
        if kid.spec.uses_budget:
            self.spent.append(now)
            window = [t for t in self.spent if t >= now - self.policy.intensity.window]
            if len(window) > self.policy.intensity.max_restarts:
                self._rest(kid, "failed")
                self._end("escalated", now)
                return
        self._tell_starters(kid, "failed")
        kid.restarts += 1
        kid.pending = False
        kid.due = self._restart_at(kid, now, due_of)
        kid.state = "backoff"
        self._arm(kid, math.inf)
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
                other.state = "waiting"
                self._arm(other, math.inf)
            if other.state not in ("parked", "stopped"):
                other.queued = True
        self.hold = max(kid.due, self.hold if self.hold is not None else kid.due)

    def _restart_at(self, kid, now, due_of):
        rule = kid.spec.backoff
        if rule is None:
            return now
        if kid.ready_at is not None and now - kid.ready_at >= rule.reset_after:
            kid.bound = 0.0
        kid.bound = min(rule.cap, kid.bound * rule.factor) if kid.bound else rule.first
        return due_of(kid.bound)

    def _work(self, now):
        """Order: stop the doomed from the last to the first, wait, start the queued in order."""
        while self._work_once(now):
            pass
        if self.ending:
            self.finished = self.finished or not any(kid.live for kid in self.kids)
        elif not any(k.queued or k.gating or k.pending or k.doomed for k in self.kids):
            self.started = True

    def _work_once(self, now):
        for kid in self.kids:
            kid.doomed = kid.doomed and kid.live
        doomed = [kid for kid in self.kids if kid.doomed]
        if doomed:
            if doomed[-1].state != "stopping":
                self._cancel(doomed[-1], "shutdown" if self.ending else "group", now)
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
                if not self.keyed:
                    kid.doomed = True
                elif kid.state != "stopping":
                    self._cancel(kid, "shutdown", now)
            elif kid.state in ("backoff", "waiting", "parked"):
                self._tell_starters(kid, "down")
                self._to_rest(kid)

    # -------------------------------------------------------------- moves

    def _arm(self, kid, deadline):
        self.clock += 1
        kid.deadline, kid.armed = deadline, self.clock

    def _launch(self, kid, now):
        kid.incarnation += 1
        kid.state, kid.due, kid.ready_at = "starting", None, None
        self._arm(kid, now + kid.spec.ready_deadline)
        kid.beat = now

    def _cancel(self, kid, why, now):
        kid.state, kid.why = "stopping", why
        self._arm(kid, now + kid.spec.stop_deadline)

    def _rest(self, kid, outcome):
        self._tell_starters(kid, outcome)
        if kid.spec.restart.value == "temporary":
            self._remove(kid)
        else:
            self._to_rest(kid)

    def _to_rest(self, kid):
        kid.state, kid.due, kid.first = "stopped", None, None
        self._arm(kid, math.inf)
        self._tell_stoppers(kid, "ok")
        self._over(kid)

    def _remove(self, kid):
        self.kids.remove(kid)
        self._tell_stoppers(kid, "ok")

    def _over(self, kid):
        kid.gating = kid.pending = False

    def _tell_starters(self, kid, outcome):
        self.settled += [(ticket, outcome) for ticket in kid.starters]
        kid.starters = []

    def _tell_stoppers(self, kid, outcome):
        self.settled += [(ticket, outcome) for ticket in kid.stoppers]
        kid.stoppers = []
