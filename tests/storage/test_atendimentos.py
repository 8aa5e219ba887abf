"""What lists of atendimentos are asked for with: cursors and searches from strangers. Pure."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import Invalid
from runtime.storage.atendimentos import (
    CLOSED,
    TRANSITIONS,
    accent_blind,
    read_cursor,
    search_condition,
    write_cursor,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
IDENTIFIER = str(UUID(int=7))


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def test_a_cursor_is_read_as_it_was_written():
    moment = (NOON + timedelta(microseconds=1)).isoformat()
    cursor = write_cursor({"ultima_mensagem": moment, "id": IDENTIFIER})
    assert read_cursor(cursor) == (moment, IDENTIFIER)


@pytest.mark.parametrize(
    "moment",
    [
        "infinity",
        "-infinity",
        "10000-01-01T00:00:00+00:00",
        "294276-12-31T23:59:59.999999+00:00",
        "4714-11-24T00:00:00+00:00 BC",
        "1900-01-01T00:00:00-03:06:28",
    ],
)
def test_a_time_that_python_does_not_have_is_a_place_too(moment):
    assert read_cursor(write_cursor({"ultima_mensagem": moment, "id": IDENTIFIER})) == (
        moment,
        IDENTIFIER,
    )


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        encoded(["2026-02-31T00:00:00+00:00", IDENTIFIER]),
        encoded(['infinity",x', IDENTIFIER]),
        "á",
        "?",
        "W10",
        encoded({}),
        encoded([1, 2]),
        encoded(["x", IDENTIFIER]),
        encoded([NOON.isoformat(), "x"]),
        encoded([NOON.isoformat(), IDENTIFIER, 3]),
        encoded([NOON.isoformat(), None]),
        encoded(["0001-01-01T00:00:00+23:59", IDENTIFIER]),
        base64.urlsafe_b64encode(b"[" * 100_000).decode(),
    ],
)
def test_any_other_cursor_is_refused(cursor):
    with pytest.raises(Invalid) as refusal:
        read_cursor(cursor)
    assert refusal.value.code == "invalid_cursor"


@given(st.text(max_size=300))
def test_whatever_is_a_cursor_cannot_break_out_of_a_condition(text):
    try:
        moment, identifier = read_cursor(text)
    except Invalid:
        return
    assert re.fullmatch(r"-?infinity|[0-9T:.+-]+(?: BC)?", moment)
    assert re.fullmatch(r"[0-9a-f-]{36}", identifier)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("jose", "José"),
        ("JOSÉ", "jose"),
        ("conceicao", "da Conceição"),
        ("joao  maria", "João\tMaria"),
        ("a.b*c", "A.B*C"),
        ("(50%)", "x (50%) y"),
        ("👍", "ok 👍"),
    ],
)
def test_a_search_finds_names_however_accented(text, name):
    assert re.search(accent_blind(text), name, re.IGNORECASE)


@given(st.text(min_size=1, max_size=100).filter(lambda text: text.strip()))
def test_a_search_finds_the_very_text_and_stays_within_its_quotes(text):
    spaced = " ".join(text.split())
    condition = search_condition(text)
    quoted = re.match(r'nome_cliente\.imatch\."((?:[^"\\]|\\.)*)"', condition, re.DOTALL)
    assert quoted is not None
    assert re.fullmatch(r'(,numero_cliente\.like\."\*\d+\*")?', condition[quoted.end() :])
    pattern = re.sub(r"\\(.)", r"\1", quoted[1], flags=re.DOTALL)
    assert pattern == accent_blind(text)
    assert accent_blind(spaced) == pattern


@pytest.mark.parametrize(
    ("text", "digits"),
    [("(11) 98765", "1198765"), ("+55 11", "5511"), ("7", "7"), ("rua 7", None), ("()", None)],
)
def test_what_looks_like_a_number_is_looked_for_in_numbers(text, digits):
    condition = search_condition(text)
    assert (f'numero_cliente.like."*{digits}*"' in condition) is (digits is not None)


def test_every_status_has_its_ways_and_the_closed_ones_none():
    assert {name for name, after in TRANSITIONS.items() if not after} == CLOSED
    for before, after in TRANSITIONS.items():
        assert before not in after
        assert after <= set(TRANSITIONS)
