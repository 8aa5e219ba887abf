"""What a child is given, for tests that run one without a supervisor."""

from __future__ import annotations

from contextlib import contextmanager

import trio


class Context:
    """Stands in for a ChildContext: remembers what the child reported."""

    incarnation = 1

    def __init__(self) -> None:
        self.is_ready = trio.Event()
        self.beats = 0
        self.stopping = trio.Event()

    def ready(self) -> None:
        self.is_ready.set()

    def beat(self) -> None:
        self.beats += 1

    @contextmanager
    def idle(self):
        yield
