"""What is measured inside: durations, the way in, supervision, classes of errors; and its page."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trio

from runtime.distribution import Distribution
from runtime.events import EventBus
from runtime.journal import Entry
from runtime.metrics import METRICS, connection_label, document
from runtime.storage.classify import EXPECTED, ErrorClass, error_class
from runtime.storage.errors import SupabaseError, UnexpectedAnswer
from runtime.telemetry import Telemetry, child_label
from runtime.way_in import MOST, WayIn
from supervisors import (
    ChildParked,
    ChildRestarting,
    ChildStarting,
    LoopBlocked,
    MessagesDropped,
    SupervisorReady,
    SupervisorStopping,
)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"


def test_the_page_is_made_from_the_table():
    assert PAGE.read_text(encoding="utf-8") == document(), (
        "run: .venv/bin/python -m runtime.metrics > docs/metrics.md"
    )


def test_names_are_prometheus_names_and_say_their_unit_where_they_have_one():
    for metric in METRICS.values():
        assert re.fullmatch(r"[a-z][a-z_]*[a-z]", metric.name), metric.name
        assert not metric.name.endswith("_total"), metric.name
        if metric.kind == "histogram":
            assert metric.name.endswith("_seconds"), metric.name


@pytest.mark.parametrize(
    ("connection_id", "label"),
    [
        ("loja", "loja"),
        ("loja-2", "loja-2"),
        ("5511987654321", "***4321"),
        ("loja-5511987654321", "loja-***4321"),
    ],
)
def test_a_label_holds_no_phone_number(connection_id, label):
    assert connection_label(connection_id) == label


def test_durations_are_counted_by_upper_bound():
    seconds = Distribution((0.1, 1.0))
    for one in (0.1, 0.2, 5.0):
        seconds.add(one)

    assert list(seconds.cumulative()) == [(0.1, 1), (1.0, 2), (float("inf"), 3)]
    assert seconds.count == 3
    assert seconds.total == pytest.approx(5.3)


def entry(seq, *, sender="CLIENTE", kind="message", seconds_ago=0.0):
    return Entry(
        seq=seq,
        kind=kind,
        key=None,
        payload={"remetente": sender},
        raw=None,
        event_data=None,
        accepted_at=datetime.now(UTC) - timedelta(seconds=seconds_ago),
        attempts=0,
        size=0,
    )


def test_a_message_is_timed_from_the_bridge_or_else_from_the_journal():
    way = WayIn()
    way.arrived(1, (datetime.now(UTC) - timedelta(seconds=40)).timestamp())
    way.stored(entry(1, seconds_ago=0.3))
    assert 40 <= way.seconds.total < 41

    way.stored(entry(2, seconds_ago=5))
    assert 45 <= way.seconds.total < 46


def test_only_messages_of_customers_are_timed():
    way = WayIn()
    way.stored(entry(1, sender="ATENDENTE"))
    way.stored(entry(2, kind="status"))

    assert way.seconds.count == 0


def test_what_is_kept_in_mind_is_bounded_and_forgotten():
    way = WayIn()
    for seq in range(MOST + 10):
        way.arrived(seq, 0.0)
    assert len(way._arrived) == MOST
    way.left(entry(0))
    way.stored(entry(1))
    assert len(way._arrived) == MOST - 2


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("zapvisor", "."),
        ("zapvisor/core/journal", "core/journal"),
        ("zapvisor/core/whatsapp/connections", "core/whatsapp/connections"),
        ("zapvisor/core/whatsapp/connections/5511987654321", "core/whatsapp/connections/*"),
        ("zapvisor/core/self_tests/probe-1234", None),
    ],
)
def test_children_have_a_bounded_number_of_names(path, label):
    assert child_label(path) == label


def test_restarts_parks_and_escalations_are_counted_from_zero():
    telemetry = Telemetry(EventBus())
    journal, storage = "zapvisor/core/journal", "zapvisor/core/storage"
    telemetry(ChildStarting(journal, 0.0, 1))
    telemetry(SupervisorReady(storage, 0.0))
    before = (dict(telemetry.restarts), dict(telemetry.parks), dict(telemetry.escalations))

    telemetry(ChildRestarting(journal, 1.0, 1, 2.0))
    telemetry(ChildParked(journal, 3.0, "damaged", "journal_damaged"))
    telemetry(SupervisorStopping(storage, 4.0, "too many restarts", escalated=True))
    telemetry(SupervisorStopping(storage, 5.0, "told to", escalated=False))

    assert before == ({"core/journal": 0}, {"core/journal": 0}, {"core/storage": 0})
    assert telemetry.restarts == {"core/journal": 1}
    assert telemetry.parks == {"core/journal": 1}
    assert telemetry.escalations == {"core/storage": 1}


def test_dropped_messages_and_held_up_loops_are_counted_from_zero():
    telemetry = Telemetry(EventBus())
    loja = "zapvisor/core/whatsapp/connections/loja"
    label = child_label(loja)
    telemetry(ChildStarting(loja, 0.0, 1))
    before = (dict(telemetry.dropped), dict(telemetry.blocks))

    telemetry(MessagesDropped(loja, 1.0, 3))
    telemetry(LoopBlocked(loja, 2.0, 1.5, ()))

    assert before == ({label: 0}, {label: 0})
    assert telemetry.dropped == {label: 3}
    assert telemetry.blocks == {label: 1}


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (httpx.ConnectError("refused"), "network"),
        (httpx.RemoteProtocolError("cut"), "network"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (trio.TooSlowError(), "timeout"),
        (SupabaseError(500, code="57014"), "timeout"),
        (SupabaseError(504), "timeout"),
        (SupabaseError(429), "busy"),
        (SupabaseError(504, code="PGRST003"), "busy"),
        (SupabaseError(503, code="53300"), "busy"),
        (SupabaseError(409, code="40001"), "busy"),
        (SupabaseError(503, code="PGRST002"), "server"),
        (SupabaseError(503, code="57P01"), "server"),
        (SupabaseError(502), "server"),
        (SupabaseError(500, code="XX000"), "server"),
        (SupabaseError(401, code="PGRST301"), "access"),
        (SupabaseError(401), "access"),
        (SupabaseError(403, code="42501"), "access"),
        (SupabaseError(540), "access"),
        (SupabaseError(404, code="PGRST202"), "schema"),
        (SupabaseError(404, code="42P01"), "schema"),
        (SupabaseError(409, code="23503"), "data"),
        (SupabaseError(400, code="22P02"), "data"),
        (SupabaseError(400, code="P0001"), "data"),
        (SupabaseError(413), "data"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), "data"),
        (UnexpectedAnswer("a list"), "answer"),
        (httpx.InvalidURL("?"), "answer"),
        (httpx.UnsupportedProtocol("ftp"), "answer"),
        (SupabaseError(404), "answer"),
        (SupabaseError(302), "answer"),
    ],
    ids=repr,
)
def test_every_error_has_a_class(error, found):
    assert isinstance(error, EXPECTED)
    assert error_class(error) is ErrorClass(found)
