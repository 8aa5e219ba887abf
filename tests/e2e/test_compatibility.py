"""The calls of the earlier back end's front end, replayed: envelope, field names, order."""

from __future__ import annotations

import base64
import time
from datetime import datetime

import pytest

from tests.contract import check

from .conftest import fresh_number
from .harness import until

BOOT = "/api/whatsapp-bootstrap"
API = "/api/whatsapp-integration"

STATUS = {
    "isInitialized": bool,
    "supabaseConnected": bool,
    "integrationServiceRunning": bool,
    "watchdogRunning": bool,
    "errors": list,
    "startTime": str,
}
CONNECTION = {
    "id": str,
    "name": str,
    "isConnected": bool,
    "status": str,
    "phoneNumber": (str, type(None)),
    "lastSeen": (str, type(None)),
    "ownerId": str,
    "companyId": (str, type(None)),
}
SESSION = (
    "id owner_id session_name status qr_code connected_at disconnected_at created_at updated_at "
    "connection_id phone_number whatsapp_id whatsapp_info"
)
ATENDIMENTO = (
    "id owner_id company_id numero_cliente nome_cliente status data_inicio data_fim "
    "ultima_mensagem atendente_id prioridade tags observacoes canal created_at updated_at"
)
MENSAGEM = (
    "id owner_id atendimento_id conteudo tipo remetente timestamp lida midia_url midia_tipo "
    "midia_nome midia_tamanho created_at"
)


def has(data, shape):
    for name, kind in shape.items():
        assert name in data, (name, data)
        assert isinstance(data[name], kind), (name, data[name])


def has_columns(row, names):
    assert set(names.split()) <= set(row), row


@pytest.fixture
def front_end(shared_product):
    """Calls as the front end does: JSON, an envelope, and nothing but the credential is new."""

    def call(method, path, **options):
        response = shared_product.call(method, path, **options)
        assert response.headers["content-type"] == "application/json", response.text
        check(response)
        body = response.json()
        assert body["success"] is (response.status_code < 400), body
        if response.status_code >= 400:
            assert isinstance(body["error"], str)
            assert isinstance(body["code"], str)
        return body

    return call


def test_a_day_of_the_earlier_front_end(shared_product, simulator, front_end):
    owner = str(shared_product.owner())
    number, maria = fresh_number(), fresh_number("55219")
    simulator.post("/phones", number=number, name="Loja")
    simulator.post("/contacts", number=maria, name="Maria")

    # It starts the system, which may run already.
    for _ in range(2):
        body = front_end("POST", f"{BOOT}/initialize")
        assert body["message"]
        has(body["data"], STATUS)
        assert body["data"]["isInitialized"] is True
    has(front_end("GET", f"{BOOT}/status")["data"], STATUS)

    # It creates a connection and shows the QR code, asking until it is there.
    created = front_end(
        "POST",
        f"{API}/connections",
        json={"connectionId": "compat", "name": "Loja", "ownerId": owner},
    )["data"]
    has(created, {"connectionId": str, "name": str, "status": str, "qrCode": (str, type(None))})

    def qr():
        body = front_end("GET", f"{API}/connections/compat/qr")
        return body["data"] if body["success"] else None

    shown = until(qr, what="a QR code")
    has(shown, {"connectionId": str, "qrCode": str, "qrCodePng": str, "isConnected": bool})
    assert base64.b64decode(shown["qrCodePng"].partition(",")[2]).startswith(b"\x89PNG")
    simulator.post(f"/phones/{number}/scan", qr=shown["qrCode"])

    # It polls the connection until the phone is paired.
    def connected():
        one = front_end("GET", f"{API}/connections/compat")["data"]
        return one["isConnected"] and one

    one = until(connected, seconds=30, what="the connection is open")
    has(one, CONNECTION)
    assert (one["status"], one["phoneNumber"], one["qrCode"]) == ("connected", number, None)
    listed = front_end("GET", f"{API}/connections")["data"]
    [mine] = [each for each in listed if each["id"] == "compat"]
    has(mine, CONNECTION)
    [session] = front_end("GET", f"{API}/sessions/active", params={"ownerId": owner})["data"]
    has_columns(session, SESSION)
    assert (session["owner_id"], session["connection_id"]) == (owner, "compat")

    # Customers write; it lists the conversations and reads one.
    for text in ("Oi", "Tem pão?"):
        simulator.post(f"/contacts/{maria}/send", to=number, text=text)
        time.sleep(0.01)

    def conversation():
        query = {"ownerId": owner, "companyId": ""}
        rows = front_end("GET", f"{API}/atendimentos/active", params=query)["data"]
        if not rows:
            return None
        has_columns(rows[0], ATENDIMENTO)
        query = {"ownerId": owner, "limit": 50, "offset": 0}
        messages = front_end("GET", f"{API}/messages/{rows[0]['id']}", params=query)["data"]
        return len(messages) == 2 and (rows, messages)

    [atendimento], messages = until(conversation, what="both messages")
    assert (atendimento["numero_cliente"], atendimento["status"]) == (maria, "AGUARDANDO")
    for row in messages:
        has_columns(row, MENSAGEM)
    assert [(row["conteudo"], row["remetente"], row["tipo"]) for row in messages] == [
        ("Oi", "CLIENTE", "TEXTO"),
        ("Tem pão?", "CLIENTE", "TEXTO"),
    ]
    times = [datetime.fromisoformat(row["timestamp"]) for row in messages]
    assert times == sorted(times)

    # It answers, without saying that it is a text.
    sent = front_end(
        "POST",
        f"{API}/messages/send",
        json={"connectionId": "compat", "to": f"{maria}@s.whatsapp.net", "content": "Temos!"},
    )["data"]
    has(sent, {"messageId": str, "status": str, "sentAt": (str, type(None))})
    until(
        lambda: [m["text"] for m in simulator.get(f"/contacts/{maria}/inbox")] == ["Temos!"],
        what="the answer reaches the customer",
    )

    # It looks after the system, and cleans up.
    stats = front_end("GET", f"{BOOT}/stats")["data"]
    has(stats, {**STATUS, "uptime": (int, float), "timestamp": str, "memory": dict})
    health = front_end("GET", f"{API}/stats/supabase")["data"]
    has(health, {"isHealthy": bool, "queueStats": dict, "timestamp": str})
    has(front_end("POST", f"{API}/queue/clear")["data"], {"message": str, "archived": int})
    temporary = front_end("POST", f"{BOOT}/test-connection", json={"ownerId": owner})["data"]
    has(temporary, {"connectionId": str, "message": str})
    for identifier in (temporary["connectionId"], "compat"):
        deleted = front_end("DELETE", f"{API}/connections/{identifier}")
        has(deleted["data"], {"message": str})
    assert front_end("GET", f"{API}/connections/compat")["success"] is False
    # The messages stay.
    query = {"ownerId": owner}
    rows = front_end("GET", f"{API}/messages/{atendimento['id']}", params=query)["data"]
    assert [row["conteudo"] for row in rows][:2] == ["Oi", "Tem pão?"]


def test_what_it_did_wrong_is_told_in_the_old_envelope(front_end):
    for method, path, options in (
        ("POST", f"{API}/connections", {"json": {}}),
        ("GET", f"{API}/connections/nobody", {}),
        ("GET", f"{API}/atendimentos/active", {}),
        ("POST", f"{API}/messages/send", {"json": {"connectionId": "nobody", "to": "x"}}),
    ):
        body = front_end(method, path, **options)
        assert body["success"] is False
        assert "data" not in body


def test_paths_with_a_slash_at_the_end_and_unknown_fields_are_taken(front_end, shared_product):
    query = {"ownerId": str(shared_product.owner()), "_": "1700000000"}
    assert front_end("GET", f"{API}/sessions/active/", params=query)["data"] == []
