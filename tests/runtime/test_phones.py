"""Which phone may be in a connection's place."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runtime.journal import Connection
from runtime.whatsapp.phones import another_phone

LOJA = Connection("loja", "Loja", "owner", None, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("before", "now", "asked"),
    [
        (None, "5511987654321", False),
        ("5511987654321", None, False),
        ("5511987654321", "5511987654321", False),
        ("5511987654321", "551187654321", False),
        ("551187654321", "5511987654321", False),
        ("5511987654321", "5511987654322", True),
        ("5511987654321", "351987654321", True),
    ],
)
def test_another_number_is_another_phone_but_another_spelling_is_not(before, now, asked):
    verdict = another_phone(replace(LOJA, phone_number=before), now)
    assert (verdict is not None) == asked
    if verdict is not None:
        assert (verdict.code, verdict.archive) == ("phone_changed", False)
        assert before not in verdict.reason
        assert now not in verdict.reason
