"""``Supervisor`` and ``DynamicSupervisor``: their settings and first children."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from supervisors._core.board import Policy
from supervisors._core.settings import AutoShutdown, Intensity, Strategy
from supervisors._trio.base import SupervisorBase
from supervisors._trio.spec import ChildSpec
from supervisors._trio.user import unprotected


class Supervisor(SupervisorBase):
    """Children in a fixed order.

    children
        Started in this order, each when the one before is ready (or parked, or ended for good),
        and stopped in the reverse order, one at a time. Names are unique.
    strategy
        See ``Strategy``. Default ONE_FOR_ONE.
    intensity
        See ``Intensity``. Default 3 restarts in 5 s; the next one makes the supervisor give up:
        it stops its children in order and raises EscalationError, a crash for its own parent.
    auto_shutdown
        See ``AutoShutdown``. Default NEVER. The supervisor then stops its other children in order
        and returns: a normal exit.

    A start that fails is judged like a crash: restart type, backoff and budget apply, and the
    children after it wait. A child that is added with ``start_child`` comes last in the order.
    """

    def __init__(
        self,
        children: Iterable[ChildSpec[Any]],
        *,
        strategy: Strategy = Strategy.ONE_FOR_ONE,
        intensity: Intensity = Intensity(),  # noqa: B008  a frozen value
        auto_shutdown: AutoShutdown = AutoShutdown.NEVER,
    ) -> None:
        super().__init__(Policy(strategy, intensity, auto_shutdown))
        self._children = tuple(children)
        _check_names(self._children)
        for spec in self._children:
            self._check(spec)
        if auto_shutdown is AutoShutdown.ALL_SIGNIFICANT and not any(
            spec.significant for spec in self._children
        ):
            raise ValueError("auto_shutdown on all significant children, but none is significant")

    async def _first_children(self) -> Sequence[ChildSpec[Any]]:
        return self._children

    def _specs(self) -> Sequence[ChildSpec[Any]]:
        return self._children


class DynamicSupervisor(SupervisorBase):
    """Children by key, without order: each on its own (one-for-one), stopped all at once.

    max_children
        Bound of the number of children known, whatever their state.
    initial
        ``async () -> list[ChildSpec]``, asked at each (re)start of the supervisor; these children
        are started together, and the supervisor is ready when each of them is ready, parked, ended
        or has failed once (a failure is then judged like any crash). Default: none.
    intensity
        See ``Intensity``. Default 3 restarts in 5 s, of all children together; children with a
        backoff use none of it.

    A child that ends for good by itself (transient after a normal exit, temporary after any) is
    removed.
    """

    def __init__(
        self,
        *,
        max_children: int,
        initial: Callable[[], Awaitable[Iterable[ChildSpec[Any]]]] | None = None,
        intensity: Intensity = Intensity(),  # noqa: B008  a frozen value
    ) -> None:
        if max_children < 1:
            raise ValueError(f"max_children must be 1 or more, got {max_children}")
        super().__init__(Policy(intensity=intensity, keyed=True, max_children=max_children))
        self._initial = initial
        self._max_children = max_children

    async def _first_children(self) -> Sequence[ChildSpec[Any]]:
        if self._initial is None:
            return ()
        specs = tuple(await unprotected(self._initial))
        if len(specs) > self._max_children:
            raise ValueError(f"initial gave {len(specs)}, the bound is {self._max_children}")
        _check_names(specs)
        for spec in specs:
            self._check(spec)
        return specs


def _check_names(specs: Sequence[ChildSpec[Any]]) -> None:
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise ValueError(f"two children are called {spec.name!r}")
        seen.add(spec.name)
