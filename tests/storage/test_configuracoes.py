"""All robots of all owners: pages end where there are no more, and nobody crowds others out."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import httpx
import pytest

from runtime.errors import StorageUnavailable
from runtime.storage import Supabase, answers, configuracoes
from runtime.storage.configuracoes import PAGE, Configuracoes

OWNERS = [str(UUID(int=number + 1)) for number in range(4)]


def robot(owner, **columns):
    return {
        "id": str(uuid4()),
        "owner_id": owner,
        "company_id": str(uuid4()),
        "ativo": True,
        "mensagem_boas_vindas": "Olá",
        "mensagem_menu": "",
        "mensagem_despedida": "",
        "tempo_resposta": 300,
        "max_tentativas": 3,
        "updated_at": "2026-01-31T12:00:00+00:00",
        **columns,
    }


class Body(httpx.AsyncByteStream):
    """Comes in pieces, as from a network."""

    def __init__(self, content):
        self._content = content

    async def __aiter__(self):
        for begin in range(0, len(self._content), 10_000):
            yield self._content[begin : begin + 10_000]


@asynccontextmanager
async def table(rows):
    """The table with these rows, as PostgREST answers from it; the number of calls."""
    ordered = sorted(rows, key=lambda row: (row["owner_id"] or "", row["id"]))
    calls = []

    def answer(request):
        calls.append(request)
        query = request.url.params
        found, limit = ordered, int(query["limit"])
        if "or" in query:
            owner = re.search(r"owner_id\.gt\.([0-9a-f-]+)", query["or"])[1]
            behind = re.search(r"id\.gt\.([0-9a-f-]+)\)\)", query["or"])
            assert query["owner_id"] == f"gte.{owner}"
            found = [
                row
                for row in ordered
                if row["owner_id"] > owner
                or (behind is not None and row["owner_id"] == owner and row["id"] > behind[1])
            ]
        names = query["select"].replace(" ", "").split(",")
        found = [{name: row[name] for name in names} for row in found[:limit]]
        return httpx.Response(200, stream=Body(json.dumps(found).encode()))

    transport = httpx.MockTransport(answer)
    async with Supabase("http://supabase.test", "key", transport=transport) as supabase:
        yield Configuracoes(supabase), calls


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE + 7])
async def test_all_pages_are_read(count):
    rows = [robot(OWNERS[number % 3]) for number in range(count)]
    async with table(rows) as (robots, _):
        found = await robots.all()
    assert {one.id for one in found} == {row["id"] for row in rows}
    assert len(found) == count


async def test_a_crowd_of_one_owner_leaves_room_for_all_others():
    crowd = [robot(OWNERS[1]) for _ in range(5001)]
    honest = [robot(OWNERS[0]), robot(OWNERS[2]), robot(OWNERS[3])]
    async with table(crowd + honest) as (robots, calls):
        found = {one.id for one in await robots.all()}
    assert {row["id"] for row in honest} <= found
    assert len(found) < 1000 + 2 * PAGE
    assert len(calls) < 12


async def test_what_was_changed_last_is_at_the_end_and_what_has_no_time_before():
    times = ["2026-02-01T00:00:00+00:00", "infinity", "2026-01-01T00:00:00+00:00", None]
    async with table([robot(OWNERS[0], updated_at=at, mensagem_menu=str(at)) for at in times]) as (
        robots,
        _,
    ):
        found = [one.menu for one in await robots.all()]
    assert found[2:] == ["2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"]


async def test_texts_without_end_silence_only_their_owner(monkeypatch):
    monkeypatch.setattr(answers, "MAX_BYTES", 50_000)
    monkeypatch.setattr(configuracoes, "MAX_CHARACTERS", 45_000)
    crowd = [robot(OWNERS[1], mensagem_menu="x" * 9_000) for _ in range(300)]
    giant = [robot(OWNERS[2], mensagem_menu="x" * 90_000)]
    honest = [robot(OWNERS[0]), robot(OWNERS[3])]
    async with table(crowd + giant + honest) as (robots, _):
        found = await robots.all()
    active = {one.id for one in found if one.active}
    assert {row["id"] for row in honest} <= active
    assert giant[0]["id"] not in active
    assert len(active) < 15


async def test_another_failure_is_one():
    transport = httpx.MockTransport(lambda _: httpx.Response(503, json={"code": "PGRST000"}))
    async with Supabase("http://supabase.test", "key", transport=transport) as supabase:
        with pytest.raises(StorageUnavailable):
            await Configuracoes(supabase).all()


@pytest.mark.parametrize("columns", [{"ativo": 5}, {"mensagem_menu": [1]}, {"tempo_resposta": {}}])
async def test_a_row_of_another_shape_is_read_as_far_as_it_goes(columns):
    async with table([robot(OWNERS[0], **columns), robot(OWNERS[1])]) as (robots, _):
        assert len(await robots.all()) == 2
