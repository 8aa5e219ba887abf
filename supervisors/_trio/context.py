"""What a child is given: ``ChildContext``, valid for one incarnation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from supervisors._core.errors import StaleIncarnationError
from supervisors._trio.mailbox import Inbox

if TYPE_CHECKING:
    from supervisors._core.slot import Slot
    from supervisors._trio.run import Run
    from supervisors._trio.system import System


class ChildContext:
    """The argument of a child's ``run``.

    Every method raises StaleIncarnationError once the incarnation has ended: a task that outlived
    its child by mistake can neither report nor take messages in its successor's name.
    """

    __slots__ = ("_inbox", "_over", "_run", "_scope", "_slot", "_task", "_where", "incarnation")

    def __init__(self, slot: Slot, run: Run) -> None:
        self.incarnation = slot.incarnation
        self._slot = slot
        self._run = run
        self._scope = trio.CancelScope(shield=True)
        self._task: trio.lowlevel.Task | None = None
        self._inbox: Inbox | None = None
        self._where: tuple[str, ...] = ()
        self._over = False

    @property
    def name(self) -> str:
        """The child's name within its supervisor."""
        return self._slot.spec.name

    @property
    def path(self) -> str:
        """The names from the root down, joined by "/"; the same for every incarnation."""
        return self._slot.path

    @property
    def system(self) -> System:
        """What the whole tree shares."""
        return self._run.system

    def ready(self) -> None:
        """The child can do its work: siblings after it may start, whoever waits for its start is
        told, liveness is watched from now on. Further calls have no effect."""
        if self._over:
            self._check()
        self._run.ready(self._slot)

    def beat(self) -> None:
        """The loop that does the work is alive. Call it from that loop, not from a helper task."""
        if self._over:
            self._check()
        self._slot.beat = trio.current_time()

    @property
    def mailbox(self) -> Inbox:
        """The messages sent to this child: ``async for message in ctx.mailbox``."""
        if self._inbox is None:
            self._check()
            self._inbox = Inbox(self._run.box(self._slot))
        return self._inbox

    def _check(self) -> None:
        if self._over:
            raise StaleIncarnationError(f"{self.path}: incarnation {self.incarnation} has ended")

    def _close(self) -> None:
        self._over = True
        self._task = None
        if self._inbox is not None:
            self._inbox.close()
