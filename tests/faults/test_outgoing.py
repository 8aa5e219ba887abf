"""A retry after a crash cannot show the customer the message twice."""

from __future__ import annotations

import itertools
from collections import Counter

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
    "sent-before-reply",
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
    """The proof is worth something: the same id did arrive twice, and another id would be shown."""
    simulator, customer = survivor.simulator, survivor.customers[0]
    inbox = simulator.get(f"/contacts/{customer}/inbox")
    assert any(message["duplicatesSuppressed"] > 0 for message in inbox)
    for key in ("a", "b"):
        answer = survivor.runtime.post_message(survivor.name, customer, "dobrada", key=key)
        survivor.accepted.append(Accepted(customer, "dobrada", answer.json()["data"]["messageId"]))
    until(
        lambda: (
            [m["text"] for m in simulator.get(f"/contacts/{customer}/inbox")].count("dobrada") == 2
        ),
        what="two keys are two messages",
    )
    # Not to be found by the checks to come.
    survivor.accepted[:] = [one for one in survivor.accepted if one.text != "dobrada"]
