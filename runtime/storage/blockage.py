"""Tells an entry that blocks the way from a way that is closed to all.

Some errors do not say that a row is to blame: a firewall that dislikes a text, a statement that
never ends. So when one entry alone has failed ``BLOCKED_AFTER`` times while Supabase is well, a
message of another chat is tried. If that goes through and the first still does not, the first is to
be set aside. (Of another chat, so that no order is broken; while there is none, nobody else is
blocked.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ..journal import Entry

BLOCKED_AFTER = 5
"""An entry that alone failed so often in a row may be the reason itself."""


class Blockage:
    """Pure: it is told what was tried and answers with what to try next."""

    def __init__(self) -> None:
        self._entry: Entry | None = None
        self._failures = 0
        self._stage: Literal["plain", "detour", "verdict"] = "plain"

    @property
    def way_around(self) -> Entry | None:
        """The entry past which another chat shall be tried; see `detour`."""
        return self._entry if self._stage == "detour" else None

    @property
    def is_on_trial(self) -> bool:
        """Whether the oldest entry shall be tried alone, once more."""
        return self._stage == "verdict"

    def detour(self, behind: Iterable[Entry]) -> Entry | None:
        """The message to try, of those ``behind`` the blocked entry; None: there is none."""
        assert self._entry is not None
        for entry in behind:
            if entry.kind == "message" and _chat(entry) != _chat(self._entry):
                return entry
        self._stage = "plain"
        return None

    def failed(self, entries: list[Entry], *, healthy: bool) -> bool:
        """These did not go through; whether the first of them is to be set aside."""
        stage, self._stage = self._stage, "plain"
        blocked, self._entry = self._entry, None
        if len(entries) > 1 or stage == "detour" or not healthy:
            return False
        if blocked is None or blocked.seq != entries[0].seq:
            self._failures = 0
        elif stage == "verdict":
            return True
        self._entry = entries[0]
        self._failures += 1
        if self._failures >= BLOCKED_AFTER:
            self._stage = "detour"
        return False

    def went_through(self) -> None:
        """Something did: past a blocked entry, or that one itself."""
        if self._stage == "detour":
            self._stage = "verdict"
        else:
            self._entry, self._stage = None, "plain"


def _chat(entry: Entry) -> tuple[object, object]:
    return entry.payload.get("connection_id"), entry.payload.get("numero_cliente")
