"""Type variables. Their defaults (an unsaid type is Any) take Python 3.13 at run time, so they are
there for type checkers only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    M = TypeVar("M", default=Any)
    Q = TypeVar("Q", default=Any)
    A = TypeVar("A", default=Any)
    T = TypeVar("T", default=Any)
    Q_co = TypeVar("Q_co", default=Any, covariant=True)
    A_contra = TypeVar("A_contra", default=Any, contravariant=True)
    S_contra = TypeVar("S_contra", default=Any, contravariant=True)
else:
    from typing import TypeVar

    M = TypeVar("M")
    Q = TypeVar("Q")
    A = TypeVar("A")
    T = TypeVar("T")
    Q_co = TypeVar("Q_co", covariant=True)
    A_contra = TypeVar("A_contra", contravariant=True)
    S_contra = TypeVar("S_contra", contravariant=True)
