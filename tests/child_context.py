"""What a child is given, for tests that run one without a supervisor."""

from __future__ import annotations

import trio


class Context:
    """Stands in for a ChildContext: remembers what the child reported."""

    incarnation = 1

    def __init__(self) -> None:
        self.is_ready = trio.Event()
        self.beats = 0

    def ready(self) -> None:
        self.is_ready.set()

    def beat(self) -> None:
        self.beats += 1
