"""What one whole tree shares: its observers, its randomness, and the news of abandoned children."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable

from supervisors._core.events import Event

logger = logging.getLogger("supervisors")

Observer = Callable[[Event], None]


class System:
    """One per ``open_supervisor``."""

    def __init__(self, rng: random.Random, on_abandoned: Callable[[str], None]) -> None:
        self.rng = rng
        self.on_abandoned = on_abandoned
        self.observers: tuple[Observer, ...] = ()

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Calls ``observer(event)`` for every event from now on; returns the way to end that.

        Observers run synchronously at the transition: they must be quick and may not block. One
        that raises is logged and kept.
        """
        self.observers = (*self.observers, observer)

        def unsubscribe() -> None:
            self.observers = tuple(o for o in self.observers if o is not observer)

        return unsubscribe

    def publish(self, event: Event) -> None:
        for observer in self.observers:
            try:
                observer(event)
            except Exception:
                logger.exception("an observer failed on %s", type(event).__name__)
