"""``Ticket``: somebody waits for the end of a command."""

from __future__ import annotations

from collections.abc import Callable

import trio

from supervisors._core.exits import Exit
from supervisors._core.machine import Machine


class Ticket:
    """Somebody waits for the end of a command."""

    __slots__ = ("_error", "_exit", "_settled")

    def __init__(self) -> None:
        self._settled = trio.Event()
        self._error: BaseException | None = None
        self._exit: Exit | None = None

    def settle(self, error: BaseException | None, exit_: Exit | None = None) -> None:
        """Ends the wait."""
        self._error, self._exit = error, exit_
        self._settled.set()

    @trio.lowlevel.enable_ki_protection
    async def wait(self) -> Exit | None:
        """Returns the awaited exit, or raises how the command failed."""
        await self._settled.wait()
        if self._error is not None:
            raise self._error
        return self._exit


Command = Callable[[Machine, float, Ticket], object]
