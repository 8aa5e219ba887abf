"""Calling user code, and what comes out of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import trio

from supervisors._core.errors import SupervisionError

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


@trio.lowlevel.disable_ki_protection
async def unprotected(function: Callable[[*Ts], Awaitable[R]], *args: *Ts) -> R:
    """User code, called from this library's: Ctrl-C may strike it anywhere."""
    return await function(*args)


def without_cancelled(error: BaseException) -> BaseException:
    """Removes foreign cancellations from a group; one that came alone is a fault of the child."""
    if isinstance(error, trio.Cancelled):
        leak = SupervisionError("a Cancelled escaped from the child although nobody cancelled it")
        leak.__cause__ = error
        return leak
    if isinstance(error, BaseExceptionGroup):
        try:
            rest = error.split(trio.Cancelled)[1]
        except Exception:  # a group class of its own, or nested too deeply to be split
            return error
        return rest if rest is not None else without_cancelled(error.exceptions[0])
    return error
