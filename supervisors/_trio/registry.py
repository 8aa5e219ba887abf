"""``Registry``: children by keys of their own choice."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, Generic, TypeVar

import trio

from supervisors._core.errors import KeyTakenError, NoSuchChildError
from supervisors._trio.context import ChildContext
from supervisors._trio.ref import Ref

K = TypeVar("K", bound=Hashable)


class Registry(Generic[K]):
    """Who has which key now. A child registers itself; its keys leave with its incarnation, so what
    is found here runs, or ran a moment ago.

    A key belongs to one child at a time; a child may have several.
    """

    def __init__(self) -> None:
        self._holders: dict[K, ChildContext[Any]] = {}
        self._keys: dict[ChildContext[Any], set[K]] = {}
        self._news = trio.Event()

    def register(self, key: K, ctx: ChildContext[Any]) -> None:
        """``ctx``'s child has the key until it ends or gives it back. Raises KeyTakenError when
        another child has it; again by the same child: no effect."""
        holder = self._holders.get(key)
        if holder is ctx:
            return
        if holder is not None:
            raise KeyTakenError(f"{key!r} is registered for {holder.path}")
        if ctx not in self._keys:
            ctx.at_end(lambda: self._ended(ctx))
            self._keys[ctx] = set()
        self._keys[ctx].add(key)
        self._holders[key] = ctx
        self._news.set()
        self._news = trio.Event()

    def unregister(self, key: K, ctx: ChildContext[Any]) -> None:
        """The child gives the key back. No effect if it does not have it."""
        if self._holders.get(key) is ctx:
            del self._holders[key]
            self._keys[ctx].discard(key)

    def find(self, key: K) -> Ref[Any]:
        """The child that has the key. Raises NoSuchChildError."""
        holder = self._holders.get(key)
        if holder is None:
            raise NoSuchChildError(f"no child is registered for {key!r}")
        return holder.ref

    async def wait(self, key: K) -> Ref[Any]:
        """Waits until a child has the key. For a deadline use a cancel scope."""
        await trio.lowlevel.checkpoint()
        while key not in self._holders:
            await self._news.wait()
        return self._holders[key].ref

    def __contains__(self, key: object) -> bool:
        return key in self._holders

    def __iter__(self) -> Iterator[K]:
        """The keys, as they are now, in the order in which they were registered."""
        return iter(tuple(self._holders))

    def __len__(self) -> int:
        return len(self._holders)

    def _ended(self, ctx: ChildContext[Any]) -> None:
        for key in self._keys.pop(ctx):
            del self._holders[key]
