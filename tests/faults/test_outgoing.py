"""A retry after a crash cannot show the customer the message twice."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import httpx
import psutil
import pytest

from tests.e2e.harness import until

from .accounts import check_running
from .places import RUNTIME
from .rig import Accepted, Phone

_round = itertools.count(1)
PLACES = [
    "command-written",
    pytest.param("send", marks=pytest.mark.long),
    pytest.param("stored-before-send", marks=pytest.mark.long),
    pytest.param("sent-before-reply", marks=pytest.mark.long),
    "sent",
    pytest.param("server-ack", marks=pytest.mark.long),
]
ASKED_AGAIN = 3


@pytest.mark.parametrize("place", PLACES)
def test_a_crash_and_a_client_that_asks_again(place: str, survivor: Phone) -> None:
    """One message, a kill on its way, and its client repeats the request several times."""
    runtime, customer = survivor.runtime, survivor.customers[0]
    text = f"pedido {next(_round)} ({place})"
    key = text.replace(" ", "-")
    bridge = runtime.bridge()
    runtime.arm(f"{place}:kill")
    ids = set()
    try:
        answer = runtime.post_message(survivor.name, customer, text, key=key)
        ids.add(answer.json()["data"]["messageId"])
    except httpx.TransportError:
        assert place in RUNTIME  # killed before it could answer
    until(lambda: runtime.struck, what=f"{place} is passed")
    if place in RUNTIME:
        runtime.wait_death()
        runtime.start()
    else:
        until(lambda: not psutil.pid_exists(bridge), what="the bridge is dead")
    for _ in range(ASKED_AGAIN):
        again = runtime.post_message(survivor.name, customer, text, key=key)
        ids.add(again.json()["data"]["messageId"])
    assert len(ids) == 1
    survivor.accepted.append(Accepted(customer, text, ids.pop()))
    books = check_running(survivor)
    shown = Counter(one["text"] for one in books.shown)
    assert shown[text] == 1


def test_the_simulated_customer_would_have_noticed(survivor: Phone) -> None:
    """The proof is worth something: the same id does arrive twice, another id would be shown."""
    simulator, runtime = survivor.simulator, survivor.runtime
    customer = survivor.customer("Curioso")
    # Without its receipts, which may come before the second attempt and make it needless.
    simulator.post(f"/contacts/{customer}", delivers=False)

    def inbox() -> list[dict[str, Any]]:
        return simulator.get(f"/contacts/{customer}/inbox")

    bridge = runtime.bridge()
    runtime.arm("sent-before-reply:kill")
    assert runtime.post_message(survivor.name, customer, "uma vez", key="uma-vez").is_success
    until(lambda: not psutil.pid_exists(bridge), what="the bridge is dead")
    until(
        lambda: [(m["arrivals"], m["duplicatesSuppressed"]) for m in inbox()] == [(2, 1)],
        what="it arrived twice and was shown once",
        seconds=60,
    )
    for key in ("a", "b"):
        assert runtime.post_message(survivor.name, customer, "dobrada", key=key).is_success
    until(
        lambda: [m["text"] for m in inbox()] == ["uma vez", "dobrada", "dobrada"],
        what="two keys are two messages",
        seconds=60,
    )
    check_running(survivor)
