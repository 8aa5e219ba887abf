"""``Parent``: what a supervisor needs of the context it runs in."""

from __future__ import annotations

from typing import Any, Protocol

from supervisors._trio.system import System


class Parent(Protocol):
    """A child's context, or the root of the tree."""

    @property
    def path(self) -> str: ...
    @property
    def system(self) -> System: ...
    def ready(self) -> None: ...
    def host(self, supervisor: Any) -> None: ...
    def unhost(self, supervisor: Any) -> None: ...
