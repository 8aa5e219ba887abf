"""Calling user code, and what comes out of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import trio

from supervisors._core.errors import SupervisionError
from supervisors._core.exits import as_group

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


@trio.lowlevel.disable_ki_protection
async def unprotected(function: Callable[[*Ts], Awaitable[R]], *args: *Ts) -> R:
    """User code, called from this library's: Ctrl-C may strike it anywhere."""
    return await function(*args)


def without_cancelled(error: BaseException) -> BaseException:
    """Removes foreign cancellations from a group; one that came alone is a fault of the child.

    Never raises, whatever the error makes of being looked at: then it is taken as it is.
    """
    try:
        return _without_cancelled(error)
    except BaseException:
        return error


def _without_cancelled(error: BaseException) -> BaseException:
    if type(error) is trio.Cancelled:  # a final class, whose isinstance takes its time
        leak = SupervisionError("a Cancelled escaped from the child although nobody cancelled it")
        leak.__cause__ = error
        return leak
    group = as_group(error)
    if group is not None:
        rest = group.split(trio.Cancelled)[1]
        return rest if rest is not None else _without_cancelled(group.exceptions[0])
    return error
