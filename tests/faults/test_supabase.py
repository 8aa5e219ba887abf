"""What Supabase, or whatever stands before it, may answer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.harness import until

from .accounts import Traffic, check_running
from .rig import Phone

QUICK = {401, 503}
ANSWERS: list[dict[str, Any]] = [
    {"status": 401, "body": {"code": "PGRST301", "message": "JWT expired"}},
    {"status": 403, "body": {"code": "42501", "message": "permission denied"}},
    {"status": 404, "body": {"code": "PGRST202", "message": "no such function"}},
    {"status": 409, "body": {"code": "40001", "message": "could not serialize"}},
    {"status": 429, "headers": {"retry-after": "1"}},
    {"status": 500, "body": {"code": "XX000", "message": "internal error"}},
    {"status": 502},
    {"status": 503, "body": {"code": "PGRST002", "message": "no schema cache"}},
    {"status": 504},
]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(
            answer,
            id=str(answer["status"]),
            marks=() if answer["status"] in QUICK else pytest.mark.long,
        )
        for answer in ANSWERS
    ],
)
def test_every_refusal_passes_without_a_loss(answer: dict[str, Any], survivor: Phone) -> None:
    traffic = Traffic(survivor, f"answer {answer['status']}")
    with (
        survivor.runtime.proxy.fault("answer", times=2, **answer) as fault,
        traffic.flowing(incoming=20, outgoing=6),
    ):
        until(lambda: fault.struck == fault.times, what="Supabase refused", seconds=40)
    check_running(survivor)
    assert survivor.runtime.queue()["deadLetters"] == 0


@pytest.mark.parametrize("kind", [pytest.param("cut-before", marks=pytest.mark.long), "cut-after"])
def test_a_connection_that_ends_before_or_after_the_commit(kind: str, survivor: Phone) -> None:
    traffic = Traffic(survivor, kind)
    with (
        survivor.runtime.proxy.fault(kind, times=3) as fault,
        traffic.flowing(incoming=20, outgoing=6),
    ):
        until(lambda: fault.struck == fault.times, what="it was cut", seconds=40)
    check_running(survivor)


@pytest.mark.long
def test_supabase_away_and_back(survivor: Phone) -> None:
    runtime = survivor.runtime
    traffic = Traffic(survivor, "away")
    with runtime.proxy.away(), traffic.flowing(incoming=60, outgoing=20):
        until(
            lambda: runtime.queue()["pending"] >= 60,
            what="everything is queued and nothing refused",
            seconds=40,
        )
        assert runtime.client.get("/health/ready").status_code == 200
    check_running(survivor)


def test_a_body_too_large_is_split(survivor: Phone) -> None:
    runtime = survivor.runtime
    traffic = Traffic(survivor, "too large")
    with runtime.proxy.away(), traffic.flowing(incoming=60, outgoing=20):
        until(lambda: runtime.queue()["pending"] >= 60, what="all is queued", seconds=40)
    with runtime.proxy.fault("answer", status=413, above=8000, times=100) as fault:
        check_running(survivor)
    assert fault.struck > 0
    assert runtime.queue()["deadLetters"] == 0


@pytest.mark.long
@pytest.mark.parametrize("kind", ["hang-before", "hang-after"])
def test_an_answer_that_never_comes(kind: str, survivor: Phone) -> None:
    """A half-open path: given up by our own deadline, before or after Supabase has committed."""
    runtime = survivor.runtime
    traffic = Traffic(survivor, kind)
    with runtime.proxy.fault(kind) as fault:
        with traffic.flowing(incoming=30, outgoing=10):
            until(lambda: fault.struck == 1, what="a call hangs", seconds=40)
        until(lambda: runtime.queue()["pending"] == 0, what="it was given up", seconds=90)
    check_running(survivor)
    assert runtime.queue()["deadLetters"] == 0


@pytest.mark.long
def test_a_slow_way_to_supabase(survivor: Phone) -> None:
    runtime = survivor.runtime
    traffic = Traffic(survivor, "slow")
    with (
        runtime.proxy.fault("slow", seconds=1.2, times=12) as fault,
        traffic.flowing(incoming=60, outgoing=20),
    ):
        until(lambda: fault.struck > 2, what="calls are slow", seconds=60)
    check_running(survivor)
