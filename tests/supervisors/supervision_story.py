"""Whether events are a story that can have happened, told by somebody who has only the table."""

from __future__ import annotations

from supervisors import EscalationError, ExitKind, Why

LIVE = ("Starting", "Ready", "Draining", "Stopping", "Abandoned")
REST = ("Stopped", "Done", "Parked")
MAY_FOLLOW = {
    None: ("Starting", "Stopped", "Waiting", "Removed"),
    "Starting": ("Ready", "Stopping", "Exited"),
    "Ready": ("Draining", "Stopping", "Exited"),
    "Draining": ("Stopping", "Exited"),
    "Stopping": ("Abandoned", "Exited"),
    "Abandoned": ("Exited",),
    "Exited": ("Starting", "Restarting", "Waiting", "Parked", "Stopped", "Done", "Removed"),
    "Restarting": ("Starting", "Waiting", "Stopped", "Removed"),
    "Waiting": ("Starting", "Stopped", "Removed"),
    "Parked": ("Unparked", "Stopped", "Removed"),
    "Unparked": ("Starting",),
    "Stopped": ("Starting", "Removed"),
    "Done": ("Starting", "Waiting", "Stopped", "Removed"),
    "Removed": ("Starting", "Waiting"),
}
STATES = {
    None: "waiting",
    "Starting": "starting",
    "Ready": "running",
    "Draining": "draining",
    "Stopping": "stopping",
    "Abandoned": "abandoned",
    "Restarting": "backoff",
    "Waiting": "waiting",
    "Parked": "parked",
    "Stopped": "stopped",
    "Done": "done",
}
PASSING = ("MessagesDropped", "LoopBlocked", "ChildStuck")


class Story:
    """An observer: follows every child, and complains (``fault``) where a step is impossible."""

    def __init__(self, fault):
        self.fault = fault
        self.events = []
        self.last = {}  # path: the last telling event's name, without "Child"
        self.numbers = {}
        self.why = {}
        self.judged = {}  # (path, number of its life): event
        self.exits = {}  # path: all exits told of
        self.lives = {}  # path: incarnations told of, over all its supervisors
        self.running = {}  # supervisors: whether their end was told
        self.ending = set()  # supervisors that stop
        self.crashed_at_the_stop = False
        self.stopping = False  # of the root
        self.at = 0.0

    def __call__(self, event):
        self.events.append(event)
        name, path = type(event).__name__, event.path
        if event.at < self.at:
            self.fault(f"{event} tells of the past, after {self.at}")
        self.at = event.at
        if name in PASSING:
            return
        if name.startswith("Supervisor"):
            self._supervisor(name, path)
            return
        self._child(event, name.removeprefix("Child"), path)

    def _supervisor(self, name, path):
        if name == "SupervisorReady" and path in self.ending:
            self.fault(f"{path} became ready while it stops")
        if name == "SupervisorStopping":
            self.ending.add(path)
        if name == "SupervisorStopping" and "/" not in path:
            self.stopping = True
        if name == "SupervisorStopped":
            for below in [p for p in self.last if p.startswith(path + "/")]:
                if self.last[below] in LIVE and self.last[below] != "Abandoned":
                    self.fault(f"{path} has stopped, {below} is {self.last[below]}")
        if name == "SupervisorStopped":
            self.ending.discard(path)
        self.running[path] = name != "SupervisorStopped"

    def _child(self, event, step, path):
        before = self.last.get(path)
        if step not in MAY_FOLLOW[before]:
            self.fault(f"{event} after {before}")
        number = getattr(event, "incarnation", None)
        if step == "Starting":
            self._forget_below(path)
            self.numbers[path] = self.numbers.get(path, 0) + 1
            self.lives[path] = self.lives.get(path, 0) + 1
            self.why[path] = None
        if number is not None and number != self.numbers.get(path):
            self.fault(f"{event}: expected incarnation {self.numbers.get(path)}")
        if step in ("Draining", "Stopping"):
            self.why[path] = event.why
        if step == "Exited":
            self._exited(event, path)
        if step == "Removed":
            self.numbers[path] = 0
        self.last[path] = step

    def _exited(self, event, path):
        life = (path, self.lives.get(path, 0))
        if life in self.judged:
            self.fault(f"{event}: judged twice")
        self.judged[life] = event
        self.exits.setdefault(path, []).append(event.exit)
        if event.exit.kind is ExitKind.STOPPED and self.why[path] is None:
            self.fault(f"{event} although nobody stopped it")
        if event.exit.kind is ExitKind.CRASHED and self.stopping:
            gave_up = isinstance(event.error, EscalationError)  # an older story than the stop
            self.crashed_at_the_stop |= self.why[path] is Why.SHUTDOWN and not gave_up

    def _forget_below(self, path):
        for known in (self.last, self.numbers):
            for below in [p for p in known if p.startswith(path + "/")]:
                if known is self.last and self.last[below] in LIVE:
                    self.fault(f"{path} starts, {below} is {self.last[below]}")
                del known[below]
        self.running.pop(path, None)

    # ------------------------------------------------------------------ looking

    def compare(self, root):
        """``tree()`` shows what the events told."""
        pictured = {}
        for node in root.tree().walk():
            pictured[node.path] = node
        for path, node in pictured.items():
            home = path.rpartition("/")[0]
            if not home or self.running.get(home) is False:
                continue
            told = self.last.get(path)
            if told in ("Removed", "Exited", "Unparked") or STATES[told] != node.state.value:
                self.fault(f"{path} is {node.state.value} in the tree, but {told} was told")
            if told is not None and node.incarnation != self.numbers.get(path, 0):
                self.fault(f"{path}: incarnation {node.incarnation} in the tree")
        for path, told in self.last.items():
            if path not in pictured and told in LIVE:
                self.fault(f"{path} is missing in the tree, but {told} was told")

    def end(self):
        """Everybody is at rest, and every life was judged."""
        for path, told in self.last.items():
            if told not in (*REST, "Removed"):
                self.fault(f"{path}: the last that was told is {told}")
        for path, lives in self.lives.items():
            missing = [n for n in range(1, lives + 1) if (path, n) not in self.judged]
            if missing:
                self.fault(f"{path}: lives {missing} were never judged")
