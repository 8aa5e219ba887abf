"""What one whole tree shares: its observers, its randomness, and the news for its root."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable

from supervisors._core.events import Event

logger = logging.getLogger("supervisors")

Observer = Callable[[Event], None]


class System:
    """One per ``open_supervisor``.

    on_stopping, on_abandoned
        Told the path of each supervisor whose stop begins, and of each child that did not end.
    """

    def __init__(
        self,
        rng: random.Random,
        observers: Iterable[Observer],
        *,
        on_stopping: Callable[[str], None],
        on_abandoned: Callable[[str], None],
    ) -> None:
        self.rng = rng
        self.observers = tuple(observers)
        self.on_stopping = on_stopping
        self.on_abandoned = on_abandoned

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
