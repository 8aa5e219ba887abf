"""An atendimento that is closed while a message for it is being stored."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.types.json import Jsonb

from .conftest import Project
from .items import message


def test_the_call_is_to_be_repeated_and_then_opens_a_new_one(project: Project) -> None:
    (before,) = project.ingest(message(project.owner, 1))
    late = message(project.owner, 2)
    with (
        psycopg.connect(project.dsn) as attendant,
        psycopg.connect(project.dsn, autocommit=True) as writer,
        ThreadPoolExecutor(1) as pool,
    ):
        attendant.execute("update whatsapp_atendimentos set status = 'FINALIZADO'")
        storing = pool.submit(writer.execute, "select public.zapvisor_ingest(%s)", [Jsonb([late])])
        while not project.rows("select from pg_locks where not granted"):
            assert not storing.done(), storing.result()
        attendant.commit()
        with pytest.raises(psycopg.errors.SerializationFailure):
            storing.result(10)
    assert len(project.rows("select from whatsapp_mensagens")) == 1
    (answer,) = project.ingest(late)
    assert answer["result"] == "inserted"
    assert answer["atendimento_id"] != before["atendimento_id"]


def test_what_was_stored_before_it_was_closed_stays_a_duplicate(project: Project) -> None:
    item = message(project.owner, 1)
    (before,) = project.ingest(item)
    project.rows("update whatsapp_atendimentos set status = 'CANCELADO' returning id")
    assert project.ingest(item) == [{**before, "result": "duplicate"}]
