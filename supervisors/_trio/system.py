"""What one whole tree shares: its observers, its randomness, and the news for its root."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable

from supervisors.events import Event

logger = logging.getLogger("supervisors")

Observer = Callable[[Event], None]


class News:
    """What the root of a tree is told by the supervisors below it."""

    def stopping(self, path: str) -> None:
        """The stop of that supervisor begins."""

    def over(self, path: str) -> None:
        """Nothing of that supervisor is waited for any more."""

    def abandoned(self, path: str, where: tuple[str, ...]) -> None:
        """That child did not end."""

    def crashed_at_stop(self, path: str, error: BaseException) -> None:
        """That child was told to stop for good and raised this."""

    def failed(self, error: BaseException) -> None:
        """An observer raised what is no Exception: the program is to end."""


class System:
    """One per ``open_supervisor``."""

    def __init__(self, rng: random.Random, observers: Iterable[Observer], news: News) -> None:
        self.rng = rng
        self.observers: tuple[Observer, ...] = tuple(observers)
        self.news = news

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Calls ``observer(event)`` for every event from now on; returns the way to end that.

        Observers run synchronously at the transition: they must be quick and may not block. One
        that raises an Exception is logged and kept; anything else that it raises (a failed test, a
        ``SystemExit``) ends the tree in order and comes out of its root.
        """
        self.observers = (*self.observers, observer)

        def unsubscribe() -> None:
            self.observers = tuple(o for o in self.observers if o is not observer)

        return unsubscribe

    def publish(self, event: Event) -> None:
        """Tells every observer, whatever they do."""
        for observer in self.observers:
            try:
                observer(event)
            except Exception:
                logger.exception("an observer failed on %s", type(event).__name__)
            except BaseException as error:
                self.news.failed(error)
