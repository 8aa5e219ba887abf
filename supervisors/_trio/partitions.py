"""``Partitions``: the same kind of supervisor several times, one for each share of the keys."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Generic, TypeVar

from supervisors._core.settings import Intensity
from supervisors._trio.base import SupervisorBase
from supervisors._trio.spec import ChildSpec
from supervisors._trio.supervisor import Supervisor

P = TypeVar("P", bound=SupervisorBase)


class Partitions(Supervisor, Generic[P]):
    """``count`` supervisors, named "0" to "count - 1", side by side under this one.

    make
        ``(index) -> supervisor``: makes each of them, once.
    intensity
        How often partitions may give up before this supervisor does. Default 3 in 5 s.

    What belongs to a key is in one of them, always the same: a storm of crashes in one uses up the
    budget of that one, and its restart takes along only its own children.
    """

    def __init__(
        self,
        make: Callable[[int], P],
        count: int,
        *,
        intensity: Intensity = Intensity(),  # noqa: B008  a frozen value
    ) -> None:
        if count < 1:
            raise ValueError(f"count must be 1 or more, got {count}")
        self.partitions: tuple[P, ...] = tuple(make(index) for index in range(count))
        children = [ChildSpec(str(index), part) for index, part in enumerate(self.partitions)]
        super().__init__(children, intensity=intensity)

    def of(self, key: str | bytes | int) -> P:
        """The supervisor for that key: the same in every process and version of Python."""
        if isinstance(key, int):
            number = key
        else:
            number = zlib.crc32(key.encode() if isinstance(key, str) else key)
        return self.partitions[number % len(self.partitions)]
