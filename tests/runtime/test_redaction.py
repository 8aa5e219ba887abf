"""A secret is hidden however an error's text spells it; other words stay."""

from __future__ import annotations

import base64
import json
import logging
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.logs import logging_to
from runtime.redaction import MARK, PIECE, SECRETS, Redactor

SECRET = "MARKED/secret+of 'this' \"product\" é\n"
SPELLINGS = {
    "as it is": SECRET,
    "stripped": SECRET.strip(),
    "repr": repr(SECRET),
    "repr of bytes": repr(SECRET.encode()),
    "JSON": json.dumps(SECRET),
    "URL": quote(SECRET, safe=""),
    "form": quote_plus(SECRET),
    "URL in lower case": quote(SECRET, safe="").replace("%2F", "%2f").replace("%C3", "%c3"),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "basic": base64.b64encode(b"user:" + SECRET.encode()).decode(),
    "url-safe base64": base64.urlsafe_b64encode(b"u:" + SECRET.encode()).decode(),
    "hex": SECRET.encode().hex(),
    "its beginning": SECRET[:20],
    "its end": SECRET[-16:],
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_known_secret_is_hidden_in_every_spelling(spelling: str) -> None:
    redactor = Redactor()
    redactor.learn(SECRET)
    text = redactor.redact(f"Illegal header value {SPELLINGS[spelling]}, says h11")
    assert MARK in text
    assert text.startswith("Illegal header value ")
    assert text.endswith("says h11")
    for form in SPELLINGS.values():
        assert not any(form[at : at + PIECE] in text for at in range(max(1, len(form) - PIECE + 1)))


@pytest.mark.parametrize(
    "text",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl",
        "sb_secret_0123456789",
        "zv_" + "k" * 40,
        "whsec_" + "k" * 40,
        "postgresql://postgres:MARKED@db.example.com:5432/postgres",
        "postgresql://postgres:MAR@K/ED#:x@db.example.com:5432/postgres",
        "socks5://user:MARKED@proxy.example.com",
        "host=db password=MARKED user=x",
        "Authorization: Bearer MARKEDMARKEDMARKED",
    ],
)
def test_what_looks_like_a_secret_is_hidden_without_being_known(text: str) -> None:
    redacted = Redactor().redact(text)
    assert MARK in redacted
    assert "MARKED" not in redacted
    assert "c2lnbmF0dXJl" not in redacted
    assert "ED#" not in redacted


@pytest.mark.parametrize(
    "text",
    [
        "GET http://127.0.0.1:3001/health/ready 200",
        "connection refused: db.example.com:5432",
        "basic authentication is not spoken here",
        "relation public.whatsapp_mensagens does not exist",
    ],
)
def test_other_texts_stay(text: str) -> None:
    redactor = Redactor()
    redactor.learn(SECRET)
    redactor.learn("hunter2")
    assert redactor.redact(text) == text


def test_a_short_secret_is_hidden_as_a_word() -> None:
    redactor = Redactor()
    redactor.learn("hunter2")
    assert redactor.redact("password 'hunter2'?") == f"password '{MARK}'?"


@given(st.text(min_size=PIECE, max_size=80), st.text(max_size=20), st.text(max_size=20))
def test_no_piece_of_a_known_secret_is_left(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.learn(secret)
    redacted = redactor.redact(f"{before}{secret}{after}")
    assert secret not in redacted


def test_logs_hide_what_the_process_knows(tmp_path) -> None:
    secret = "MARK-of-a-test-that-logs"
    SECRETS.learn(secret)
    with logging_to(tmp_path):
        logger = logging.getLogger("zapvisor.test")
        logger.warning("key %s", secret, extra={"text": [secret, {"x": repr(secret)}], "ms": 7})
        try:
            raise ValueError(f"Illegal header value {secret.encode()!r}")
        except ValueError:
            logger.exception("failed")
    texts = [path.read_text() for path in (*tmp_path.glob("*.log"), *tmp_path.glob("logs/*"))]
    assert any("Illegal header value" in text for text in texts)
    assert not any("MARK-of" in text for text in texts)
    first = json.loads((tmp_path / "logs" / "combined.log").read_text().splitlines()[0])
    assert first["text"] == [MARK, {"x": f"'{MARK}'"}]
    assert first["ms"] == 7
