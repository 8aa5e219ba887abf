"""The decision core and the reference model, driven side by side and compared after every step."""

from __future__ import annotations

from collections import Counter

from supervision_reference import Reference

from supervisors import (
    ChildAbandoned,
    ChildDone,
    ChildDownError,
    ChildDraining,
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
    NotStoppedError,
    State,
    SupervisorDownError,
    TooManyChildrenError,
    Why,
)
from supervisors._core.actions import Abandon, Cancel, Finish, Launch, Settle, Started
from supervisors._core.machine import Machine
from supervisors.testing import EventRecorder, FixedJitter

ERRORS = {
    SupervisorDownError: "down",
    ChildExistsError: "exists",
    TooManyChildrenError: "too_many",
    NoSuchChildError: "unknown",
    ChildStateError: "state",
    ChildDownError: "child_down",
    NotStoppedError: "not_stopped",
}


STATES = {
    ChildStarting: State.STARTING,
    ChildReady: State.RUNNING,
    ChildDraining: State.DRAINING,
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
        self.tickets = set()
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
        states = ("starting", "running", "draining", "stopping", "abandoned")
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

    def idle(self, name):
        """It begins to wait for what may take any time, or stops doing so."""
        slot = self.machine.slots[name]
        more = -1 if slot.idle else 1
        slot.idle += more
        slot.beat = self.now
        self.model.idle(name, more, self.now)

    def host(self, name, host):
        """It begins to run a supervisor, or ends doing so."""
        slot = self.machine.slots[name]
        if host in slot.hosts:
            self.machine.hosts_no_more(slot, host)
            self.model.hosts_no_more(name, host)
        else:
            self.machine.hosts(slot, host)
            self.model.hosts(name, host)
        self._drain()
        self._compare()

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
        ticket = len(self.tickets) + 1
        extra = (self.now, ticket)
        if word == "delete":
            extra = (self.now,)
        elif word.startswith("await"):
            extra = (ticket,)
        try:
            getattr(self.machine, word)(argument, *extra)
            error = None
        except tuple(ERRORS) as raised:
            error = ERRORS[type(raised)]
        if error is None and word != "delete":
            self.tickets.add(ticket)
        self._drain()
        if word.startswith("await"):
            extra = (self.now, ticket)
        expected = getattr(self.model, word)(argument, *extra)
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
        for action in self.machine.take():
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
                if action.exit is not None:
                    word = action.exit.kind.value
                self.settled.append((action.ticket, word))
            elif isinstance(action, Abandon):  # told by the shell, which knows where it hangs
                told = ChildAbandoned(action.slot.path, action.at, action.incarnation, ())
                self.recorder(told)
                self._follow(told)
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
        answered = [ticket for ticket, _ in self.settled]
        assert len(set(answered)) == len(answered), "a ticket was settled twice"
        if self.finished:
            assert set(answered) == self.tickets, "a ticket was never settled"
        assert self.machine.wants_tick == self.model.wants_tick
        assert self.machine.board.budget.used(self.now) == self.model.used(self.now)
        if len(self.machine.slots) < 50:
            self.recorder.check()


def kinds_for(slot):
    """The exits that the shell could report of this slot now."""
    own = [ExitKind.NORMAL, ExitKind.CRASHED, ExitKind.PARKED, ExitKind.DONE]  # or told too late
    if slot.why in (Why.HUNG, Why.NOT_READY):
        return [*own, ExitKind.ESCALATED]
    if slot.why is not None or slot.state.value == "abandoned":
        return [ExitKind.STOPPED, *own, ExitKind.ESCALATED]
    return own
