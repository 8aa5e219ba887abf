"""A wall clock that jumps a day ahead and a day back while messages flow."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.harness import Simulator, until

from .accounts import Traffic, check
from .rig import Phone, Runtime

HERE = Path(__file__).parent / "clock"
DAY = 24 * 60 * 60


def test_a_day_ahead_and_a_day_back(runtime: Runtime, simulator: Simulator) -> None:
    offset = runtime.directory / "offset"
    offset.write_text("0")
    preload = (HERE / "preload.mjs").as_uri()
    runtime.start(
        CLOCK_OFFSET_FILE=str(offset),
        PYTHONPATH=str(HERE),
        NODE_OPTIONS=f"{runtime.environment['NODE_OPTIONS']} --import {preload}",
    )
    phone = Phone(runtime, simulator, "relojoaria", customers=2).pair()
    for days in (1, -1, 0):
        offset.write_text(str(days * DAY))
        traffic = Traffic(phone, f"clock {days}")
        with traffic.flowing(incoming=20, outgoing=6):
            pass
        until(lambda t=traffic: f"{t.label} 19" in str(phone.rows()), what="all of this day")
    supervised = runtime.data("GET", "/api/whatsapp-bootstrap/stats")["tree"]
    assert _restarts(supervised) == 0, "a jump of the clock restarts nothing"
    check(phone)


def _restarts(node: dict) -> int:
    return node["restarts"] + sum(_restarts(child) for child in node["children"])
