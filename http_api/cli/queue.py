"""What ``zapvisor journal`` does where a zapvisor runs: it asks that one over its API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .remote import BOOTSTRAP, INTEGRATION, Refused, Remote
from .terminal import Problem

T = TypeVar("T")
LETTERS = f"{INTEGRATION}/dead-letters"
PAGE = 200


def figures() -> dict[str, Any]:
    """The accounts, under the names of the journal's own statistics."""
    queue = _ask(lambda remote: remote.call("GET", f"{BOOTSTRAP}/stats"))["queue"]
    if queue is None:
        raise Problem("the running zapvisor has no journal at present (zapvisor tree says why)")
    return {
        "accepted": queue["accepted"],
        "stored": queue["stored"],
        "dead": queue["deadLetters"] + queue["archived"],
        "pending": queue["pending"],
        "archived": queue["archived"],
        "oldest_pending_age": queue["oldestPendingSeconds"],
        "outbox": queue["outbox"],
        "drain_rate": queue["drainRate"],
        "file_bytes": queue["fileBytes"],
        "commit_p50_ms": queue["commitMs"]["p50"],
        "commit_p99_ms": queue["commitMs"]["p99"],
    }


def dead_letters() -> list[dict[str, Any]]:
    """All of them, oldest first, as the API describes them."""

    def read(remote: Remote) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["seq"] if found else 0
            page = remote.call("GET", LETTERS, params={"limit": PAGE, "afterSeq": after})
            found += page
            if len(page) < PAGE:
                return found

    return _ask(read)


def retry(seq: int, changes: dict[str, Any]) -> None:
    """Queue a dead letter again, with these columns changed."""
    body = {"changes": changes}
    _ask(lambda remote: remote.call("POST", f"{LETTERS}/{seq}/retry", json=body))


def archive() -> int:
    """Move all dead letters to a file; returns how many."""
    archived: int = _ask(lambda remote: remote.call("POST", f"{LETTERS}/archive"))["archived"]
    return archived


def _ask(work: Callable[[Remote], T]) -> T:
    try:
        with Remote() as remote:
            return work(remote)
    except Refused:
        raise
    except Problem as problem:
        raise Problem(
            f"zapvisor is running on this data directory, and cannot be asked: {problem}"
        ) from None
