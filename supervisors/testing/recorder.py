"""Keeps events and checks that they could have happened in that order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

import supervisors.events as ev
from supervisors.events import Event

E = TypeVar("E", bound=Event)


class IllegalStoryError(AssertionError):
    """A child's events do not form a legal path."""


class EventRecorder:
    """``open_supervisor(..., observers=[recorder])``; keeps the last ``limit`` events."""

    def __init__(self, limit: int = 100_000) -> None:
        self.events: list[Event] = []
        self._limit = limit
        self._news = trio.Event()

    def __call__(self, event: Event) -> None:
        if len(self.events) == self._limit:
            del self.events[: self._limit // 2]
        self.events.append(event)
        self._news.set()
        self._news = trio.Event()

    def of(self, kind: type[E], path: str | None = None) -> list[E]:
        """The events of that kind so far (of that child)."""
        return [e for e in self.events if isinstance(e, kind) and path in (None, e.path)]

    def story(self, path: str) -> list[str]:
        """The names of a child's events in order."""
        return [type(e).__name__ for e in self.events if e.path == path]

    async def wait_for(self, kind: type[E], path: str | None = None, count: int = 1) -> E:
        """The ``count``-th such event, past or to come. For a deadline use a cancel scope."""
        return (await self.wait_until(lambda: self.of(kind, path)[:count], count))[-1]

    async def wait_until(self, found: Callable[[], list[E]], count: int = 1) -> list[E]:
        """Waits until the list that ``found`` makes has ``count`` members."""
        while len(result := found()) < count:
            await self._news.wait()
        return result

    def check(self) -> None:
        """Raises IllegalStoryError unless every child's events are a legal path: one incarnation at
        a time, numbered in order, each with exactly one exit, and no event out of place."""
        states: dict[str, str] = {}
        numbers: dict[str, int] = {}
        for event in self.events:
            step = _STEPS.get(type(event))
            if step is None:
                continue
            before, after = step
            state = states.get(event.path, "rest")
            if state not in before:
                story = ", ".join(self.story(event.path))
                raise IllegalStoryError(f"{event} in state {state}; story: {story}")
            number = getattr(event, "incarnation", None)
            if number is not None:
                last = numbers.get(event.path, 0)
                expected = last + 1 if isinstance(event, ev.ChildStarting) else last
                if number != expected:
                    raise IllegalStoryError(f"{event}: expected incarnation {expected}")
                numbers[event.path] = number
            if isinstance(event, ev.ChildRemoved):
                numbers.pop(event.path, None)
            if isinstance(event, ev.ChildStarting):  # what is below it begins anew
                for path in [path for path in numbers if path.startswith(event.path + "/")]:
                    del numbers[path]
            states[event.path] = after

    def unfinished(self) -> list[str]:
        """Paths of the children whose last incarnation has no exit yet."""
        count: dict[str, int] = {}
        for event in self.events:
            if isinstance(event, ev.ChildStarting):
                count[event.path] = count.get(event.path, 0) + 1
            elif isinstance(event, ev.ChildExited):
                count[event.path] = count.get(event.path, 0) - 1
        return [path for path, number in count.items() if number]


_LIVE = ("starting", "running", "draining", "stopping", "abandoned")
_STEPS: dict[type[Event], tuple[tuple[str, ...], str]] = {
    ev.ChildStarting: (("rest", "backoff", "waiting", "unparked"), "starting"),
    ev.ChildReady: (("starting",), "running"),
    ev.ChildDraining: (("running",), "draining"),
    ev.ChildStopping: (("starting", "running", "draining"), "stopping"),
    ev.ChildAbandoned: (("stopping",), "abandoned"),
    ev.ChildExited: (_LIVE, "rest"),
    ev.ChildRestarting: (("rest",), "backoff"),
    ev.ChildWaiting: (("rest", "backoff"), "waiting"),
    ev.ChildParked: (("rest",), "parked"),
    ev.ChildUnparked: (("parked",), "unparked"),
    ev.ChildStopped: (("rest", "backoff", "waiting", "parked"), "rest"),
    ev.ChildDone: (("rest",), "rest"),
    ev.ChildRemoved: (("rest", "parked"), "rest"),
}
"""event: states it may come in, state it leads to"""
