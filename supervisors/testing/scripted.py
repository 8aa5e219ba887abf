"""A child that does what its script says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from supervisors._core.errors import Park
from supervisors._trio.context import ChildContext

Step = Callable[[ChildContext], Awaitable[None]]


class ScriptedChild:
    """``ChildSpec(name, ScriptedChild([ready, sleep(1), crash()], [ready, forever]))``.

    Each argument is the script of one incarnation; the last one serves all further ones. A script
    that comes to its end returns. ``launches`` counts incarnations, ``most_live`` is the largest
    number of them at the same time (more than 1 would be a fault of the supervisor).
    """

    def __init__(self, *scripts: Sequence[Step]) -> None:
        self._scripts = scripts or ([ready, forever],)
        self.launches: int = 0
        self.live: int = 0
        self.most_live: int = 0

    async def __call__(self, ctx: ChildContext) -> None:
        script = self._scripts[min(self.launches, len(self._scripts) - 1)]
        self.launches += 1
        self.live += 1
        self.most_live = max(self.most_live, self.live)
        try:
            for step in script:
                await step(ctx)
        finally:
            self.live -= 1


async def ready(ctx: ChildContext) -> None:
    """Step: says that it is ready."""
    ctx.ready()


async def beat(ctx: ChildContext) -> None:
    """Step: beats once."""
    ctx.beat()


async def forever(_ctx: ChildContext) -> None:
    """Step: waits until it is cancelled."""
    await trio.sleep_forever()


def sleep(seconds: float) -> Step:
    """Step: waits."""

    async def step(_ctx: ChildContext) -> None:
        await trio.sleep(seconds)

    return step


def beating(interval: float, seconds: float) -> Step:
    """Step: beats at the interval for so long."""

    async def step(ctx: ChildContext) -> None:
        end = trio.current_time() + seconds
        while trio.current_time() < end:
            ctx.beat()
            await trio.sleep(interval)

    return step


def crash(error: BaseException | None = None) -> Step:
    """Step: raises the exception; default RuntimeError("crash")."""

    async def step(_ctx: ChildContext) -> None:
        raise error or RuntimeError("crash")

    return step


def park(reason: str = "needs a person", code: str = "parked") -> Step:
    """Step: parks."""

    async def step(_ctx: ChildContext) -> None:
        raise Park(reason, code)

    return step


def stubborn(seconds: float) -> Step:
    """Step: waits and does not let itself be cancelled meanwhile."""

    async def step(_ctx: ChildContext) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(seconds)

    return step
