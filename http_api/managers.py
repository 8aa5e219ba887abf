"""Which users of Supabase Auth may ``manage``, as the operator says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Managers:
    """Which users of Supabase Auth may pair numbers, change and delete.

    Args:
        named: ids of users, and claims that they have (``app_metadata.role=dono``; user_metadata is
            the user's own, and no proof). Nothing: everybody but guests.
    """

    def __init__(self, named: Sequence[str] = ()) -> None:
        self._claims = [one.partition("=") for one in named if "=" in one]
        self._users = {one.lower() for one in named if "=" not in one}

    def include(self, claims: Mapping[str, Any], user: str) -> bool:
        """Whether a user with these claims is one of them."""
        if not self._users and not self._claims:
            return True
        return user.lower() in self._users or any(
            _claim(claims, path.strip()) == value.strip() for path, _, value in self._claims
        )


def _claim(claims: Any, path: str) -> object:
    for part in path.split("."):
        claims = claims.get(part) if isinstance(claims, Mapping) else None
    return claims
