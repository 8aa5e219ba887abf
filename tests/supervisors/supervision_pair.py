"""The decision core and the reference model, driven side by side and compared after every step."""

from __future__ import annotations

from collections import Counter

from supervision_reference import Reference

from supervisors import (
    ChildAbandoned,
    ChildDone,
    ChildExistsError,
    ChildParked,
    ChildReady,
    ChildRemoved,
    ChildRestarting,
    ChildStarting,
    ChildStateError,
    ChildStopped,
    ChildStopping,
    ChildWaiting,
    Event,
    Exit,
    ExitKind,
    NoSuchChildError,
    State,
    SupervisorDownError,
    TooManyChildrenError,
    Why,
)
from supervisors._core.actions import Cancel, Finish, Launch, Settle, Started
from supervisors._core.machine import Machine
from supervisors.testing import EventRecorder, FixedJitter

ERRORS = {
    SupervisorDownError: "down",
    ChildExistsError: "exists",
    TooManyChildrenError: "too_many",
    NoSuchChildError: "unknown",
    ChildStateError: "state",
}


STATES = {
    ChildStarting: State.STARTING,
    ChildReady: State.RUNNING,
    ChildStopping: State.STOPPING,
    ChildRestarting: State.BACKOFF,
    ChildWaiting: State.WAITING,
    ChildParked: State.PARKED,
    ChildStopped: State.STOPPED,
    ChildDone: State.DONE,
    ChildAbandoned: State.ABANDONED,
}
"""What an event says of a child's state."""


class Pair:
    def __init__(self, policy, specs, now=0.0):
        self.jitter = FixedJitter(0.5)
        self.machine = Machine("root", policy, self.jitter)
        self.model = Reference(policy)
        self.recorder = EventRecorder()
        self.told = {}  # path: state, from events alone
        self.now = now
        self.started = self.finished = 0
        self.tickets = 0
        self.settled = []
        self.launched = []  # slots in launch order
        self.cancelled = []
        self._last_due = None
        self.machine.begin(specs, now)
        self._drain()
        self.model.begin(specs, now)
        self._compare()

    # ------------------------------------------------------------------ steps

    def live(self):
        """The slots that have an incarnation, an abandoned one included."""
        states = ("starting", "running", "stopping", "abandoned")
        return [s for s in self.machine.slots.values() if s.state.value in states]

    def names(self):
        return list(self.machine.slots)

    def ready(self, name):
        self.machine.ready(self.machine.slots[name], self.now)
        self._drain()
        self.model.ready(name, self.now)
        self._compare()

    def beat(self, name):
        self.machine.slots[name].beat = self.now
        self.model.beat(name, self.now)

    def exit(self, name, kind):
        self.machine.exited(self.machine.slots[name], Exit(kind, "x"), self.now, None)
        self._drain()
        self.model.exited(self.model.kid(name), kind.value, self.now, self._due_of)
        self._compare()

    def advance(self, now):
        assert now >= self.now
        self.now = now
        self.machine.tick(now)
        self._drain()
        self.model.tick(now)
        self._compare()

    def stop(self):
        self.machine.stop(self.now)
        self._drain()
        self.model.stop(self.now)
        self._compare()

    def command(self, word, argument):
        """Returns the error's word, or None when the command was taken."""
        self.tickets += 1
        ticket = self.tickets
        extra = () if word == "delete" else (ticket,)
        try:
            getattr(self.machine, word)(argument, self.now, *extra)
            error = None
        except tuple(ERRORS) as raised:
            error = ERRORS[type(raised)]
        self._drain()
        expected = getattr(self.model, word)(argument, self.now, *extra)
        assert error == expected, f"{word}: {error}, the model says {expected}"
        self._compare()
        return error

    # ------------------------------------------------------------------ comparison

    def _due_of(self, bound):
        due, self._last_due = self._last_due, None
        assert due is not None, "the core did not restart"
        assert due == self.now + self.jitter.share * bound
        assert self.now <= due <= self.now + bound
        return due

    def _drain(self):
        actions, self.machine.actions = self.machine.actions, []
        for action in actions:
            if isinstance(action, Launch):
                self.launched.append(action.slot.name)
            elif isinstance(action, Cancel):
                self.cancelled.append((action.slot.name, action.why))
            elif isinstance(action, Started):
                self.started += 1
            elif isinstance(action, Finish):
                self.finished += 1
            elif isinstance(action, Settle):
                error = action.error
                word = "ok" if error is None else ERRORS.get(type(error), "failed")
                self.settled.append((action.ticket, word))
            elif isinstance(action, Event):
                self.recorder(action)
                self._follow(action)
                if isinstance(action, ChildRestarting):
                    self._last_due = action.due

    def _follow(self, event):
        if isinstance(event, ChildRemoved):
            self.told.pop(event.path, None)
        elif type(event) in STATES:
            self.told[event.path] = STATES[type(event)]

    def _compare(self):
        states = {slot.path: slot.state for slot in self.machine.slots.values()}
        assert self.told == {path: state for path, state in states.items() if path in self.told}
        unseen = {path: state for path, state in states.items() if path not in self.told}
        assert set(unseen.values()) <= {State.WAITING}
        mine = [
            (s.name, s.state.value, s.incarnation, s.restarts, s.due)
            for s in self.machine.slots.values()
        ]
        theirs = [(k.name, k.state, k.incarnation, k.restarts, k.due) for k in self.model.kids]
        assert mine == theirs
        whys = [s.why.value if s.why else None for s in self.machine.slots.values()]
        assert whys == [k.why for k in self.model.kids]
        ending = self.machine.ending.kind.value if self.machine.ending else None
        assert ending == self.model.ending
        assert (self.started, self.finished) == (self.model.started, self.model.finished)
        assert Counter(self.settled) == Counter(self.model.settled)
        window = self.machine.policy.intensity.window
        recent = sum(1 for t in self.model.spent if t >= self.now - window)
        assert self.machine.budget.used(self.now) == recent
        self.recorder.check()


def kinds_for(slot):
    """The exits that the shell could report of this slot now."""
    asked = slot.why in (Why.COMMAND, Why.SHUTDOWN, Why.GROUP) or slot.state.value == "abandoned"
    if asked:
        return [ExitKind.STOPPED, ExitKind.CRASHED, ExitKind.PARKED, ExitKind.ESCALATED]
    if slot.why is not None:
        return [ExitKind.CRASHED, ExitKind.PARKED, ExitKind.ESCALATED]
    return [ExitKind.NORMAL, ExitKind.CRASHED, ExitKind.PARKED]
