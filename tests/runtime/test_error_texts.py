"""The text of an exception that is not ours is for the log; outside: codes and sentences."""

from __future__ import annotations

import logging
import sqlite3

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import Invalid, StorageUnavailable
from runtime.journal.faults import Corrupt, FileReplaced, diagnose
from runtime.media.tasks import GiveUp, Later
from runtime.reasons import _REASONS, about
from runtime.report import describe_node
from runtime.storage import Supabase
from supervisors import EscalationError, Exit, Node, Park, State
from supervisors._core.exits import judge

MARK = "MARKED-text-of-somebody-else"
SENTENCES = {one.pt for one in _REASONS.values()}


def answering(status: int, **body: str) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, json=body))


@pytest.mark.parametrize("status", [401, 404, 500, 503])
async def test_a_caller_learns_the_code_and_the_log_the_text(status, caplog):
    caplog.set_level(logging.INFO)
    transport = answering(status, code="PGRST301", message=MARK, details=MARK, hint=MARK)
    async with Supabase("http://127.0.0.1:9", "a.b.c", transport=transport) as supabase:
        for _ in range(3):
            with pytest.raises(StorageUnavailable) as raised:
                await supabase.fetch(supabase.table("x").select("*"))
    details = raised.value.details
    assert details["code"] == "PGRST301"
    assert details["reason"] in SENTENCES
    assert MARK not in f"{raised.value.message}{details}"
    said = [record.text for record in caplog.records if record.name == "zapvisor.storage"]
    assert said == [MARK], "once, not at every call"


async def test_what_a_database_says_of_a_row_is_not_even_in_the_log(caplog):
    caplog.set_level(logging.INFO)
    transport = answering(400, code="23514", message=f"row ({MARK}) violates")
    async with Supabase("http://127.0.0.1:9", "a.b.c", transport=transport) as supabase:
        with pytest.raises(Invalid) as raised:
            await supabase.fetch(supabase.table("x").select("*"))
    assert raised.value.details == {"code": "23514", "reason": about("23514").pt}
    assert MARK not in "".join(str(vars(record)) for record in caplog.records)


@pytest.mark.parametrize("key", ["\u201cabc\u201d", "abc\n", "ab\rc", "chave-\u00e9", "a c", ""])
def test_a_key_that_cannot_be_sent_is_refused_before_anything_uses_it(key):
    """Settings refuse it; whoever else makes a client learns it at once, not in a crash."""
    with pytest.raises(ValueError, match="no header can carry") as raised:
        Supabase("http://127.0.0.1:9", key)
    assert "abc" not in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [b"<html>", b'"text"', b"null", b"[1]", b'{"a": 1}'],
)
async def test_a_table_that_answers_with_something_else_is_an_outage(content):
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=content))
    async with Supabase("http://127.0.0.1:9", "a.b.c", transport=transport) as supabase:
        with pytest.raises(StorageUnavailable) as raised:
            await supabase.fetch(supabase.table("x").select("*"))
    assert raised.value.details["code"] == "unexpected_answer"


def node(exit_: Exit, *children: Node) -> Node:
    return Node("x", "x", "worker", State.BACKOFF, 1, 1, exit_, 0.0, None, None, children, 0.0)


def test_the_tree_tells_a_crash_by_its_type():
    crash = judge(ValueError(MARK))
    gave_up = judge(EscalationError("x", f"the last: ValueError: {MARK}"))
    stopped = judge(SystemExit(MARK))
    assert all(MARK in one.reason for one in (crash, gave_up, stopped)), "for the log"
    told = describe_node(node(gave_up, node(crash), node(stopped)))
    assert MARK not in str(told)
    assert told["lastExit"]["reason"] == about("EscalationError").pt
    assert told["children"][0]["lastExit"] == {
        "kind": "crashed",
        "reason": about("ValueError").pt,
        "code": "ValueError",
    }


def test_the_tree_tells_a_verdict_in_its_own_words():
    told = describe_node(node(judge(Park("Leia um novo QR code.", "logged_out"))))
    assert told["lastExit"]["reason"] == "Leia um novo QR code."


@pytest.mark.parametrize(
    "error",
    [
        Corrupt(MARK),
        FileReplaced(MARK),
        OSError(5, MARK),
        OSError(28, MARK),
        OSError(MARK),
    ],
    ids=repr,
)
def test_a_journal_tells_its_fault_by_code(error):
    fault = diagnose(error)
    assert fault is not None
    assert MARK in fault.text
    assert fault.reason in SENTENCES
    assert MARK not in str(fault.as_error().details)


def test_an_error_of_sqlite_is_told_by_code(tmp_path):
    (tmp_path / "x").write_bytes(b"no database" * 100)
    with pytest.raises(sqlite3.DatabaseError) as raised:
        sqlite3.connect(tmp_path / "x").execute("select * from sqlite_master")
    fault = diagnose(raised.value)
    assert fault.reason == about("journal_corrupt").pt


@pytest.mark.parametrize("kind", [Later, GiveUp])
@pytest.mark.parametrize("code", ["media_gone", "bridge_down", "of nobody"])
def test_a_file_has_a_sentence_for_each_code(kind, code):
    assert kind(code).reason == about(code).pt


@given(st.text(max_size=20) | st.from_regex(r"[0-9A-Z]{1,6}", fullmatch=True))
def test_a_sentence_is_ours_whatever_the_code(code):
    assert about(code).pt
    assert MARK not in about(f"{code}{MARK}").pt
