"""The table of errors, row by row."""

from __future__ import annotations

import socket
import ssl

import httpx
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from postgrest.exceptions import APIError

from runtime.storage import Action, SupabaseError, UnexpectedAnswer, classify


def caused(error, cause):
    error.__cause__ = cause
    return error


CODES = {
    Action.RETRY: [
        (503, "PGRST000"),
        (503, "PGRST001"),
        (503, "PGRST002"),
        (504, "PGRST003"),
        (500, "PGRSTX00"),
        (503, "08006"),
        (500, "40001"),
        (500, "40P01"),
        (503, "53300"),
        (500, "53100"),
        (500, "55P03"),
        (503, "57P01"),
        (503, "57P03"),
        (500, "58030"),
        (500, "XX000"),
        (429, None),
        (409, None),
        (500, None),
        (502, None),
        (503, None),
        (520, None),
    ],
    Action.SPLIT: [(500, "57014"), (413, None), (413, "22P02"), (408, None), (504, None)],
    Action.BISECT: [
        (400, "PGRST102"),
        (400, "22P02"),
        (400, "22P05"),
        (400, "22023"),
        (400, "22001"),
        (400, "22008"),
        (409, "23503"),
        (409, "23505"),
        (400, "23502"),
        (400, "23514"),
        (500, "21000"),
        (500, "54000"),
        (400, "P0001"),
    ],
    Action.PAUSE: [
        (400, None),
        (422, None),
        (401, "PGRST301"),
        (401, "PGRST302"),
        (401, "PGRST303"),
        (401, None),
        (403, None),
        (403, "42501"),
        (401, "42501"),
        (404, "42P01"),
        (404, "42883"),
        (404, "PGRST202"),
        (404, "PGRST205"),
        (400, "PGRST204"),
        (300, "PGRST203"),
        (406, "PGRST106"),
        (405, "25006"),
        (403, "28P01"),
        (404, None),
        (402, None),
        (301, None),
        (418, None),
        (540, None),
    ],
}


@pytest.mark.parametrize(
    ("action", "status", "code"),
    [(action, *case) for action, cases in CODES.items() for case in cases],
)
def test_refusals(action, status, code):
    verdict = classify(SupabaseError(status, code=code, message="no"))
    assert verdict.action is action
    assert verdict.code
    assert verdict.reason


@pytest.mark.parametrize(
    ("action", "code", "error"),
    [
        (Action.RETRY, "network", httpx.ConnectError("refused")),
        (Action.RETRY, "network", httpx.ConnectTimeout("slow")),
        (Action.RETRY, "network", httpx.PoolTimeout("full")),
        (Action.RETRY, "network", httpx.ReadError("reset")),
        (Action.RETRY, "network", httpx.RemoteProtocolError("garbage")),
        (Action.SPLIT, "timeout", httpx.ReadTimeout("slow")),
        (Action.SPLIT, "timeout", httpx.WriteTimeout("slow")),
        (Action.SPLIT, "timeout", trio.TooSlowError()),
        (Action.PAUSE, "invalid_url", httpx.UnsupportedProtocol("ftp")),
        (Action.PAUSE, "unexpected_answer", UnexpectedAnswer("what")),
        (Action.BISECT, "unencodable_text", UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no")),
        (Action.RETRY, "dns", caused(httpx.ConnectError("no"), socket.gaierror(-2, "unknown"))),
        (Action.RETRY, "tls", caused(httpx.ConnectError("no"), ssl.SSLError(1, "expired"))),
        (Action.PAUSE, "invalid_key", httpx.LocalProtocolError("Illegal header value b'KEY'")),
        (Action.PAUSE, "invalid_key", UnicodeEncodeError("ascii", "\u201dKEY", 0, 1, "no")),
        (Action.PAUSE, "redirected", SupabaseError(302, message="KEY")),
        (Action.PAUSE, "redirected", SupabaseError(307)),
        (Action.PAUSE, "unexpected_answer", APIError({"code": "200", "message": "<html>KEY"})),
        (Action.PAUSE, "unexpected_answer", SupabaseError(200, message="KEY")),
        (Action.RETRY, "0", APIError({"code": "the KEY in place of a code", "message": "no"})),
        (Action.RETRY, "502", APIError({"code": "502", "message": "<html>"})),
        (Action.RETRY, "PGRST000", APIError({"code": "PGRST000", "message": "down"})),
        (Action.BISECT, "22P02", APIError({"code": "22P02", "message": "uuid"})),
        (Action.RETRY, "0", APIError({})),
    ],
)
def test_other_errors(action, code, error):
    verdict = classify(error)
    assert (verdict.action, verdict.code) == (action, code)
    assert "KEY" not in f"{verdict.code}{verdict.reason}"


def test_retry_after_is_passed_on():
    assert classify(SupabaseError(429, retry_after=7.0)).retry_after == 7.0


@pytest.mark.parametrize("code", ["PGRST202", "42P01", "42883", "PGRST205"])
def test_a_missing_migration_names_the_command_that_helps(code):
    verdict = classify(SupabaseError(404, code=code))
    assert verdict.code == "migration_required"
    assert "zapvisor migrate" in verdict.reason


def test_bugs_are_not_classified():
    with pytest.raises(TypeError, match="KeyError"):
        classify(KeyError("x"))


@given(status=st.integers(100, 999), code=st.none() | st.text(max_size=8))
def test_every_refusal_has_a_verdict(status, code):
    assert classify(SupabaseError(status, code=code)).action in Action
