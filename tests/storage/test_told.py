"""What is told of changes: of each when it is made, and of no other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runtime.journal import Entry, Stored
from runtime.storage.told import changes_of, event_of

CHANGE = {
    "kind": "change",
    "owner_id": "o",
    "connection_id": "loja",
    "numero_cliente": "5511987654321",
    "whatsapp_id": "3A02",
    "operacao": "edicao",
    "valor": "bom dia",
    "autor": "5511987654321",
    "alvo": "row-1",
    "timestamp": "2026-01-31T12:00:00+00:00",
}
DATA = {"messageId": "3A02", "type": "edicao", "targetId": "row-1", "value": "bom dia"}


def entry():
    at = datetime(2026, 1, 31, tzinfo=UTC)
    return Entry(1, "change", "k", dict(CHANGE), None, dict(DATA), at, 0, 10)


@pytest.mark.parametrize("result", ["ignored", "waiting", "duplicate", "refused"])
def test_a_change_that_was_not_made_is_not_told(result):
    assert event_of(entry(), Stored(1, result)) is None


def test_a_change_is_told_with_the_row_that_it_was_made_to():
    event = event_of(entry(), Stored(1, "updated", "a-1", "row-2"))
    assert (event.data["targetId"], event.data["atendimentoId"]) == ("row-2", "a-1")


def test_a_change_that_waited_is_told_like_one_that_did_not():
    (late,) = changes_of(Stored(2, "inserted", "a-1", None, [CHANGE]))
    at_once = event_of(entry(), Stored(1, "updated", "a-1"))
    assert late.event == at_once.event
    assert at_once.data.items() <= late.data.items()
    assert (late.connection_id, late.owner_id) == ("loja", "o")
    assert changes_of(Stored(2, "inserted")) == []
