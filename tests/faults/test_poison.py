"""Rows that Supabase refuses, at every kind of place: set aside alone, with the reason."""

from __future__ import annotations

import uuid

from tests.e2e.harness import until

from .filling import fill, message
from .rig import Runtime, tables_of

ENTRIES = 400
POISON = {0, 1, 57, 99, 100, 101, 102, 250, 398, 399}
"""First, last, in the middle, at the edges of a batch, and several in a row."""


def test_only_the_bad_rows_become_dead_letters(runtime: Runtime) -> None:
    owner = str(runtime.backend.owner())
    nobody = str(uuid.uuid4())  # the foreign key to auth.users refuses it
    journal = runtime.data_dir / "journal.sqlite"
    fill(
        journal,
        (
            message(nobody if n in POISON else owner, "loja", f"55119800000{n % 3:02d}", n)
            for n in range(ENTRIES)
        ),
    )
    runtime.start()
    until(lambda: runtime.queue()["pending"] == 0, seconds=60, what="the queue is empty")
    figures = runtime.queue()
    assert (figures["stored"], figures["deadLetters"]) == (ENTRIES - len(POISON), len(POISON))
    rows = runtime.backend.query(
        "select a.numero_cliente, m.conteudo from whatsapp_mensagens m"
        " join whatsapp_atendimentos a on a.id = m.atendimento_id"
        " where m.owner_id = %s order by m.ordem",
        owner,
    )
    expected = [f"mensagem {n}" for n in range(ENTRIES) if n not in POISON]
    assert [text for _, text in rows] == expected
    assert runtime.stop() == 0
    letters = tables_of(journal)["letters"]
    assert {payload["conteudo"] for payload, _, _ in letters} == {f"mensagem {n}" for n in POISON}
    assert {code for _, _, code in letters} == {"23503"}
    assert all(raw is not None for _, raw, _ in letters)
