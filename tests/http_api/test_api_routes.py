"""Every call of the API: what it asks of the runtime, its status and its envelope."""

import base64

import pytest
import trio
import trio.testing
from fake_application import ATENDIMENTO, NOT_ON_WHATSAPP, OWNER, QR, STRANGER, supabase_down

from http_api import control, schemas
from runtime.errors import Conflict, Invalid, JournalUnavailable, ZapvisorError

BOOTSTRAP = "/api/whatsapp-bootstrap"
INTEGRATION = "/api/whatsapp-integration"


def data_of(response, status=200):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    envelope = response.json()
    assert envelope["success"] is True
    return envelope["data"]


def failure_of(response, status, code):
    assert response.status_code == status, response.text
    envelope = response.json()
    assert envelope["success"] is False
    assert envelope["code"] == code
    assert envelope["error"]
    schemas.FailureBody.model_validate(envelope)
    return envelope


@pytest.mark.parametrize(
    ("method", "path", "model"),
    [
        ("POST", f"{BOOTSTRAP}/initialize", control.Status),
        ("GET", f"{BOOTSTRAP}/status", control.Status),
        ("GET", f"{BOOTSTRAP}/stats", control.Stats),
        ("POST", f"{BOOTSTRAP}/test", control.SelfTest),
        ("POST", f"{BOOTSTRAP}/restart", schemas.Message),
        ("POST", f"{BOOTSTRAP}/shutdown", schemas.Message),
        ("GET", f"{INTEGRATION}/connections/loja", schemas.ConnectionDetail),
        ("GET", f"{INTEGRATION}/connections/loja/qr", schemas.Qr),
        ("POST", f"{INTEGRATION}/connections/loja/restart", schemas.Message),
        ("POST", f"{INTEGRATION}/connections/loja/logout", schemas.Message),
        ("POST", f"{INTEGRATION}/connections/loja/restore", schemas.CredentialArchive),
        ("DELETE", f"{INTEGRATION}/connections/loja", schemas.Message),
        ("GET", f"{INTEGRATION}/stats/supabase", control.SupabaseStats),
        ("POST", f"{INTEGRATION}/queue/clear", control.QueueCleared),
        ("GET", "/health/live", control.Alive),
    ],
)
async def test_call_answers_in_the_shape_that_is_documented(client, loja, method, path, model):
    model.model_validate(data_of(await client.request(method, path)))


async def test_status_has_the_field_names_of_the_earlier_back_end(client):
    data = data_of(await client.get(f"{BOOTSTRAP}/status"))
    assert data["isInitialized"] is True
    assert data["startTime"] == "2026-01-31T12:00:00+00:00"


@pytest.mark.parametrize("call", ["restart", "shutdown"])
async def test_control_calls_carry_their_message_twice(client, application, call):
    response = await client.post(f"{BOOTSTRAP}/{call}")
    assert data_of(response)["message"] == response.json()["message"]
    assert application.calls == [(call,)]


async def test_temporary_connection_gets_an_id_of_its_own(client, application):
    body = {"ownerId": OWNER}
    first = data_of(await client.post(f"{BOOTSTRAP}/test-connection", json=body))
    second = data_of(await client.post(f"{BOOTSTRAP}/test-connection", json=body))
    assert first["connectionId"] != second["connectionId"]
    assert {first["connectionId"], second["connectionId"]} == set(application.book)


async def test_create_connection_passes_typed_values(client, application):
    body = {"connectionId": "a_B-1", "name": " Loja ", "ownerId": OWNER, "companyId": STRANGER}
    data = data_of(await client.post(f"{INTEGRATION}/connections", json=body))
    assert data == {"connectionId": "a_B-1", "name": "Loja", "status": "connecting", "qrCode": QR}
    name, connection_id, label, owner, company = application.calls[0]
    assert (name, connection_id, label) == ("create_connection", "a_B-1", "Loja")
    assert (str(owner), str(company)) == (OWNER, STRANGER)


@pytest.mark.parametrize("company", [None, "", "  "])
async def test_blank_company_is_no_company(client, application, company):
    body = {"connectionId": "x", "name": "X", "ownerId": OWNER, "companyId": company}
    data_of(await client.post(f"{INTEGRATION}/connections", json=body))
    assert application.calls[0][-1] is None


async def test_same_connection_twice_is_a_conflict(client, loja):
    body = {"connectionId": loja, "name": "Loja", "ownerId": OWNER}
    response = await client.post(f"{INTEGRATION}/connections", json=body)
    failure_of(response, 409, "connection_exists")


async def test_list_of_connections(client, loja):
    (one,) = data_of(await client.get(f"{INTEGRATION}/connections"))
    schemas.Connection.model_validate(one)
    assert one["ownerId"] == OWNER


@pytest.mark.parametrize(
    ("method", "suffix"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/qr"),
        ("POST", "/restart"),
        ("POST", "/logout"),
        ("GET", "/archives"),
        ("POST", "/restore"),
    ],
)
async def test_unknown_connection_is_not_found(client, method, suffix):
    response = await client.request(method, f"{INTEGRATION}/connections/nobody{suffix}")
    failure_of(response, 404, "connection_not_found")


async def test_qr_as_json_has_the_raw_text_and_an_image(client, loja):
    data = data_of(await client.get(f"{INTEGRATION}/connections/{loja}/qr"))
    assert data["qrCode"] == QR
    kind, _, encoded = data["qrCodePng"].partition(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(encoded).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("query", "accept"), [("?format=png", "*/*"), ("", "image/png"), ("", "image/avif,image/png")]
)
async def test_qr_as_image(client, loja, query, accept):
    response = await client.get(
        f"{INTEGRATION}/connections/{loja}/qr{query}", headers={"Accept": accept}
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == "image/png"
    assert response.headers["cache-control"] == "no-store"
    assert response.content.startswith(b"\x89PNG")


async def test_qr_for_a_terminal(client, loja):
    response = await client.get(f"{INTEGRATION}/connections/{loja}/qr?format=terminal")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    lines = response.text.splitlines()
    assert {len(line) for line in lines} == {len(lines[0])}
    assert set(response.text) <= set(" ▀▄█\n")


async def test_no_qr_now(client, application, loja):
    application.book[loja]["qrCode"] = None
    data = data_of(await client.get(f"{INTEGRATION}/connections/{loja}/qr"))
    assert (data["qrCode"], data["qrCodePng"], data["isConnected"]) == (None, None, False)
    for query in ("?format=png", "?format=terminal"):
        response = await client.get(f"{INTEGRATION}/connections/{loja}/qr{query}")
        failure_of(response, 404, "qr_not_available")


@pytest.mark.parametrize(
    ("parked", "code"), [("qr_expired", "qr_expired"), ("banned", "connection_parked")]
)
async def test_why_there_will_be_no_qr(client, application, loja, parked, code):
    why = {"statusCode": parked, "statusReason": "Reinicie a conexão com POST …/restart."}
    application.book[loja] |= {"qrCode": None, **why}
    data = data_of(await client.get(f"{INTEGRATION}/connections/{loja}/qr"))
    assert (data["qrCode"], data["code"]) == (None, parked)
    assert "restart" in data["reason"]
    for query in ("?format=png", "?format=terminal"):
        response = await client.get(f"{INTEGRATION}/connections/{loja}/qr{query}")
        failure_of(response, 409, code)
        assert "restart" in response.json()["error"]


async def test_qr_of_a_connected_connection_is_null(client, application, loja):
    application.book[loja] |= {"qrCode": None, "isConnected": True}
    data = data_of(await client.get(f"{INTEGRATION}/connections/{loja}/qr"))
    assert data == {
        "connectionId": loja,
        "qrCode": None,
        "qrCodePng": None,
        "isConnected": True,
        "expiresAt": None,
        "code": None,
        "reason": None,
    }
    response = await client.get(f"{INTEGRATION}/connections/{loja}/qr?format=png")
    failure_of(response, 409, "already_connected")


@pytest.mark.parametrize(("state", "status"), [("sent", 200), ("queued", 202), ("read", 200)])
async def test_send_tells_by_status_whether_it_waits(client, application, state, status):
    application.send_status = state
    body = {"connectionId": "loja", "to": "(11) 98765-4321", "content": "Olá"}
    data = data_of(await client.post(f"{INTEGRATION}/messages/send", json=body), status)
    assert (data["messageId"], data["status"]) == ("3EB0AA", state)
    schemas.Sent.model_validate(data)
    assert application.calls == [("send_message", "loja", "(11) 98765-4321", "Olá", "text", None)]


@pytest.mark.parametrize(
    ("headers", "field"),
    [({"Idempotency-Key": "k 1"}, None), ({}, "k 1"), ({"Idempotency-Key": "k 1"}, "k 1")],
)
async def test_idempotency_key_from_header_or_body(client, application, headers, field):
    body = {"connectionId": "loja", "to": "+5511987654321", "content": "Olá"}
    body |= {"idempotencyKey": field}
    data_of(await client.post(f"{INTEGRATION}/messages/send", json=body, headers=headers))
    assert application.calls[0][-1] == "k 1"


@pytest.mark.parametrize("kind", ["image", "video", "audio", "document", "sticker"])
async def test_a_file_needs_its_url(client, application, kind):
    body = {"connectionId": "l", "to": "+5511987654321", "type": kind}
    response = await client.post(f"{INTEGRATION}/messages/send", json=body)
    failure_of(response, 400, "missing_media_url")
    assert application.calls == []


async def test_number_without_whatsapp_is_unsendable(client):
    body = {"connectionId": "loja", "to": NOT_ON_WHATSAPP, "content": "Olá"}
    response = await client.post(f"{INTEGRATION}/messages/send", json=body)
    failure_of(response, 422, "not_on_whatsapp")


async def test_messages_of_an_atendimento(client, application):
    url = f"{INTEGRATION}/messages/{ATENDIMENTO}"
    assert data_of(await client.get(url))[0]["conteudo"] == "Olá"
    data_of(await client.get(url, params={"ownerId": OWNER, "limit": 7, "offset": 3}))
    assert [(str(c[2]), c[3], c[4]) for c in application.calls] == [("None", 50, 0), (OWNER, 7, 3)]
    response = await client.get(url, params={"ownerId": STRANGER})
    failure_of(response, 404, "atendimento_not_found")


async def test_active_atendimentos_and_sessions(client, application):
    query = {"ownerId": OWNER, "companyId": "", "unknown": "tolerated"}
    rows = data_of(await client.get(f"{INTEGRATION}/atendimentos/active", params=query))
    assert rows[0]["owner_id"] == OWNER
    assert data_of(await client.get(f"{INTEGRATION}/sessions/active", params=query)) == []
    assert [str(call[1]) for call in application.calls] == [OWNER, OWNER]
    assert application.calls[0][2] is None


async def test_clear_queue_reports_what_was_archived(client):
    data = data_of(await client.post(f"{INTEGRATION}/queue/clear"))
    assert data["archived"] == 2
    assert data["message"]


async def test_path_with_a_trailing_slash_is_the_same_path(client):
    assert data_of(await client.get(f"{INTEGRATION}/connections/")) == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Invalid("Não.", code="validation_error"), 400, "validation_error"),
        (Conflict("Não.", code="connection_exists"), 409, "connection_exists"),
        (JournalUnavailable("Não.", retry_after=0.1), 503, "journal_unavailable"),
        (
            ExceptionGroup("g", [Conflict("Não.", code="connection_exists")]),
            409,
            "connection_exists",
        ),
    ],
)
async def test_errors_of_the_runtime_become_statuses(client, application, error, status, code):
    application.failure = error
    body = {"connectionId": "loja", "name": "Loja", "ownerId": OWNER}
    response = await client.post(f"{INTEGRATION}/connections", json=body)
    assert failure_of(response, status, code)["error"] == "Não."
    assert response.headers.get("retry-after") == ("1" if status == 503 else None)


async def test_supabase_down_says_when_to_try_again(client, application):
    application.failure = supabase_down()
    response = await client.get(f"{INTEGRATION}/sessions/active", params={"ownerId": OWNER})
    failure_of(response, 503, "supabase_unavailable")
    assert response.headers["retry-after"] == "3"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("secret internals"),
        ZapvisorError("secret internals"),
        ExceptionGroup("g", [ValueError("secret internals"), Conflict("x")]),
    ],
)
async def test_unforeseen_error_tells_no_internals_and_is_logged(
    client, application, caplog, error
):
    application.failure = error
    response = await client.get(f"{INTEGRATION}/connections/5511987654321")
    failure_of(response, 500, "internal_error")
    assert "secret" not in response.text
    assert response.headers["x-content-type-options"] == "nosniff"
    (record,) = [r for r in caplog.records if r.levelname == "ERROR"]
    assert record.exc_info is not None
    assert "5511987654321" not in record.getMessage()


async def test_sends_that_take_long_do_not_hold_up_reads(client, application, loja, autojump_clock):
    async def slow(**_message):
        await trio.sleep(20)
        return {"messageId": "3EB0AA", "status": "queued", "sentAt": None}

    application.send_message = slow
    body = {"connectionId": loja, "to": "+5511987654321", "content": "Olá"}
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(lambda: client.post(f"{INTEGRATION}/messages/send", json=body))
        await trio.testing.wait_all_tasks_blocked()
        with trio.fail_after(1):
            assert (await client.get(f"{INTEGRATION}/connections/{loja}")).status_code == 200
