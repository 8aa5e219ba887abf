"""supabase-py on trio against a scripted transport: what is sent, what is made of the answers."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID

import httpx
import pytest
import trio

from runtime.errors import Invalid, NotFound, StorageUnavailable, TooLarge
from runtime.storage import Action, Supabase, SupabaseError, UnexpectedAnswer, answers, classify
from runtime.storage.errors import read_refusal

ATENDIMENTO = UUID("22222222-2222-4222-8222-222222222222")
OWNER = UUID("11111111-1111-4111-8111-111111111111")


@asynccontextmanager
async def client(answer):
    """A client whose requests ``answer`` handles; yields it and the requests it made."""
    requests = []

    async def handle(request):
        requests.append(request)
        made = answer(request)
        return await made if hasattr(made, "__await__") else made

    transport = httpx.MockTransport(handle)
    async with Supabase("http://supabase.test", "secret-key", transport=transport) as supabase:
        yield supabase, requests


async def test_ingest_sends_one_rpc_with_the_service_role_key():
    result = [{"seq": 1, "result": "inserted", "atendimento_id": "a"}]
    async with client(lambda _: httpx.Response(200, json=result)) as (supabase, requests):
        assert await supabase.ingest([{"seq": 1, "conteudo": "olá"}]) == result
    (request,) = requests
    assert (request.method, request.url.path) == ("POST", "/rest/v1/rpc/zapvisor_ingest")
    assert request.headers["authorization"] == "Bearer secret-key"
    assert request.headers["apikey"] == "secret-key"
    assert json.loads(request.content) == {"items": [{"seq": 1, "conteudo": "olá"}]}


@pytest.mark.parametrize(
    "answer", [None, [], {"seq": 1}, [{"seq": 2}], [1], [{"seq": 1}, {"seq": 2}]]
)
async def test_answers_that_do_not_belong_to_the_items_are_refused(answer):
    async with client(lambda _: httpx.Response(200, json=answer)) as (supabase, _):
        with pytest.raises(UnexpectedAnswer):
            await supabase.ingest([{"seq": 1}])


async def test_a_refusal_keeps_status_code_and_retry_after():
    body = {"code": "PGRST003", "message": "pool timeout", "details": None, "hint": None}

    def answer(_):
        return httpx.Response(504, json=body, headers={"Retry-After": "3"})

    async with client(answer) as (supabase, _):
        with pytest.raises(SupabaseError) as caught:
            await supabase.ingest([])
    error = caught.value
    assert (error.status, error.code, error.retry_after) == (504, "PGRST003", 3.0)


LOST = [
    httpx.RemoteProtocolError("Server disconnected without sending a response."),
    httpx.ReadError("reset"),
    httpx.WriteError("broken pipe"),
]


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
async def test_a_read_that_met_a_closing_connection_is_sent_once_more(error):
    made = []

    def answer(_):
        made.append(1)
        if len(made) == 1:
            raise error
        return httpx.Response(200, json=[{"id": "a"}])

    async with client(answer) as (supabase, requests):
        query = supabase.table("whatsapp_mensagens").select("id")
        assert await supabase.fetch(query) == [{"id": "a"}]
        assert [request.method for request in requests] == ["GET", "GET"]
        assert supabase.statistics().failures == 0


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
async def test_a_write_is_never_sent_twice_and_a_dead_line_is_told(error):
    def answer(_):
        raise error

    async with client(answer) as (supabase, requests):
        table = supabase.table("whatsapp_mensagens")
        for query, methods in (
            (table.insert({"id": "a"}), ["POST"]),
            (table.update({"lida": True}).eq("id", "a"), ["PATCH"]),
            (table.select("id"), ["GET", "GET"]),
        ):
            requests.clear()
            with pytest.raises(StorageUnavailable):
                await supabase.fetch(query)
            assert [request.method for request in requests] == methods


async def test_a_call_has_a_deadline_of_its_own(autojump_clock):
    async def hang(_):
        await trio.sleep_forever()

    async with client(hang) as (supabase, _):
        with pytest.raises(trio.TooSlowError):
            await supabase.schema_version()
        with pytest.raises(StorageUnavailable):
            await supabase.ping()
        assert supabase.statistics().failures == 2


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(409, json={"code": "23503", "message": "owner"}), Invalid),
        (httpx.Response(503, json={"code": "PGRST000", "message": "down"}), StorageUnavailable),
        (httpx.Response(401, json={"code": "PGRST301", "message": "jwt"}), StorageUnavailable),
        (httpx.Response(502, text="<html>"), StorageUnavailable),
        (httpx.Response(302, headers={"Location": "http://else.test"}), StorageUnavailable),
    ],
)
async def test_callers_get_errors_of_our_own(response, error):
    async with client(lambda _: response) as (supabase, requests):
        with pytest.raises(error) as caught:
            await supabase.ingest_checked({"seq": 0})
    assert "secret-key" not in str(caught.value.details)
    assert len(requests) == 1


@pytest.mark.parametrize("status", [200, 400, 404, 410, 413, 422])
@pytest.mark.parametrize(
    "page",
    [
        {"text": "<html>Acesso bloqueado</html>", "headers": {"Content-Type": "text/html"}},
        {"html": '{"code": "22P02", "message": "x"}'},
        {"text": "<!DOCTYPE html>", "headers": {"Content-Type": "text/plain"}},
    ],
)
async def test_a_page_of_something_on_the_way_is_no_verdict(status, page):
    async with client(lambda _: httpx.Response(status, **page)) as (supabase, _):
        with pytest.raises((SupabaseError, UnexpectedAnswer)) as caught:
            await supabase.ingest([{"seq": 1}])
        verdict = classify(caught.value)
        assert verdict.action in (Action.PAUSE, Action.RETRY) or not verdict.final
        for call in (supabase.sessions(OWNER), supabase.messages(ATENDIMENTO, OWNER, 5, 0)):
            with pytest.raises(StorageUnavailable):
                await call
        with pytest.raises(StorageUnavailable):
            await supabase.ingest_checked({"seq": 1})


@pytest.mark.parametrize("answer", ["x", {"a": 1}, [1], 7])
async def test_what_should_be_rows_and_is_not_is_unavailable(answer):
    async with client(lambda _: httpx.Response(200, json=answer)) as (supabase, _):
        with pytest.raises(StorageUnavailable):
            await supabase.sessions(OWNER)


async def test_messages_are_asked_for_in_order_and_by_owner():
    async with client(lambda _: httpx.Response(200, json=[{"id": "m"}])) as (supabase, requests):
        assert await supabase.messages(ATENDIMENTO, OWNER, 50, 100) == [{"id": "m"}]
    (request,) = requests
    assert request.url.path == "/rest/v1/whatsapp_mensagens"
    query = dict(request.url.params)
    assert query["atendimento_id"] == f"eq.{ATENDIMENTO}"
    assert query["owner_id"] == f"eq.{OWNER}"
    assert query["order"] == "timestamp.asc,ordem.asc,id.asc"
    assert (query["offset"], query["limit"]) == ("100", "50")


async def test_messages_of_an_unknown_atendimento_are_not_found():
    async with client(lambda _: httpx.Response(200, json=[])) as (supabase, requests):
        with pytest.raises(NotFound):
            await supabase.messages(ATENDIMENTO, OWNER, 50, 0)
    assert len(requests) == 2


async def test_a_page_behind_the_last_message_is_empty():
    def answer(request):
        known = request.url.path.endswith("whatsapp_atendimentos")
        return httpx.Response(200, json=[{"owner_id": str(OWNER)}] if known else [])

    async with client(answer) as (supabase, _):
        assert await supabase.messages(ATENDIMENTO, None, 50, 1000) == []


async def test_active_atendimentos_and_sessions():
    async with client(lambda _: httpx.Response(200, json=[])) as (supabase, requests):
        assert await supabase.active_atendimentos(OWNER, ATENDIMENTO) == []
        assert await supabase.sessions(OWNER) == []
    first, second = (dict(request.url.params) for request in requests)
    assert first["status"] == "in.(AGUARDANDO,EM_ATENDIMENTO)"
    assert first["company_id"] == f"eq.{ATENDIMENTO}"
    assert first["order"] == "ultima_mensagem.desc"
    assert second["owner_id"] == f"eq.{OWNER}"


async def test_an_answer_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(answers, "MAX_BYTES", 1000)

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self):
            while True:
                yield b" " * 100
                await trio.lowlevel.checkpoint()

    async with client(lambda _: httpx.Response(200, stream=Endless())) as (supabase, _):
        with pytest.raises(TooLarge) as refusal:
            await supabase.sessions(OWNER)
    assert refusal.value.code == "answer_too_large"


async def test_response_times_are_kept():
    async with client(lambda _: httpx.Response(200, json=1)) as (supabase, _):
        assert supabase.statistics().p50_ms is None
        for _ in range(5):
            assert await supabase.schema_version() == 1
        figures = supabase.statistics()
    assert figures.calls == 5
    assert 0 <= figures.p50_ms <= figures.p95_ms <= figures.p99_ms


async def test_cancelling_leaves_nothing_behind(autojump_clock):
    async def hang(_):
        await trio.sleep_forever()

    async with client(hang) as (supabase, _):
        with trio.move_on_after(1) as scope:
            await supabase.ingest([{"seq": 1}])
        assert scope.cancelled_caught


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>", None),
        (b"[1]", None),
        (b'{"code": 5}', None),
        (b'{"code":"X1"}', "X1"),
        (b'{"code":"PGRST301"}', "PGRST301"),
        (b'{"code":"sb_secret_of_a_talkative_proxy"}', None),
    ],
)
def test_any_body_can_be_read(body, code):
    assert read_refusal(500, {}, body).code == code


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("12", 12.0),
        ("soon", None),
        ("-3", None),
        ("\u00b2", None),
        ("9" * 20, None),
        ("999999", 300.0),
    ],
)
def test_retry_after_in_seconds(value, seconds):
    assert read_refusal(429, {"retry-after": value}, b"").retry_after == seconds


def test_retry_after_as_a_date():
    when = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 57 <= read_refusal(429, {"retry-after": when}, b"").retry_after <= 60
