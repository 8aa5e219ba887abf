"""A write that is not understood whole is refused, and says what it does not know."""

import httpx
import pytest
from access_table import TABLE
from conftest import INTEGRATION, KEY, connect
from fake_application import OWNER, FakeApplication

from http_api.app import create_app
from http_api.keys import KeyStore
from runtime.settings import Settings

READING = {"get", "head", "options"}
BODIES = {(route.method, route.path): route.body for route in TABLE}


def writes(document):
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method not in READING and path.startswith("/api")
    ]


def is_form(operation):
    return "multipart/form-data" in operation.get("requestBody", {}).get("content", {})


def filled(path):
    for name in ("{id}", "{messageId}", "{atendimentoId}", "{delivery}", "{seq}"):
        known = "7" if name in ("{delivery}", "{seq}") else OWNER
        path = path.replace(name, known)
    return path


def unsupported(response):
    body = response.json()
    assert response.status_code == 400, body
    assert body["code"] == "unsupported_field", body
    for detail in body["details"]:
        assert detail["field"] in body["error"]
    return [detail["field"] for detail in body["details"]]


def test_every_write_is_tried(api):
    routes = {(method, path) for method, path, _ in writes(api.openapi())}
    assert len(routes) > 30
    assert routes <= BODIES.keys()


async def test_every_write_refuses_a_query_parameter_that_it_does_not_know(
    api, client, application
):
    for method, path, operation in writes(api.openapi()):
        body = None if is_form(operation) else BODIES[method, path]
        response = await client.request(method, filled(path), params={"dryRun": "true"}, json=body)
        assert unsupported(response) == ["dryRun"], (method, path)
    assert [call for call in application.calls if call[0] != "connection"] == []


async def test_every_write_refuses_a_field_that_it_does_not_know(api, client, application):
    for method, path, operation in writes(api.openapi()):
        if is_form(operation):
            continue  # see the tests of uploads
        body = {**(BODIES[method, path] or {}), "sendAt": "2030-01-01T00:00:00Z"}
        response = await client.request(method, filled(path), json=body)
        told = {one["field"]: one["code"] for one in response.json()["details"]}
        assert told.pop("sendAt") == "unsupported_field", (method, path)
        assert told in ({}, {"ownerId": "validation_error"}), (method, path)
    assert [call for call in application.calls if call[0] != "connection"] == []


async def test_every_write_still_takes_an_empty_object(api, client):
    for method, path, operation in writes(api.openapi()):
        if "requestBody" not in operation:
            response = await client.request(method, filled(path), json={})
            assert response.json().get("code") != "unsupported_field", (method, path)


MESSAGE = {"connectionId": "loja", "to": "11987654321", "content": "oi"}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("mediaURL", "mediaUrl"),
        ("media_url", "mediaUrl"),
        ("conteudo", None),
        ("filename", "fileName"),
        ("quotedMessageID", "quotedMessageId"),
        ("sendAt", None),
        ("mention", "mentions"),
    ],
)
async def test_what_was_meant_is_suggested(client, loja, application, given, meant):
    response = await client.post(f"{INTEGRATION}/messages/send", json={**MESSAGE, given: "x"})
    assert unsupported(response) == [given]
    hint = f"{given} não é um campo desta chamada"
    expected = hint if meant is None else f"{hint} (quis dizer {meant}?)"
    assert response.json()["details"][0]["message"] == expected
    assert "send_message" not in {call[0] for call in application.calls}


async def test_inside_of_a_field_too(client, loja):
    body = {**MESSAGE, "type": "contact", "contacts": [{"name": "Ana", "phone": "11987654321"}]}
    response = await client.post(f"{INTEGRATION}/messages/send", json=body)
    fields = {one["field"]: one["message"] for one in response.json()["details"]}
    assert fields["contacts.0.phone"].endswith("(quis dizer phones?)")
    body = {**MESSAGE, "type": "location", "location": {"latitude": 1, "longitude": 2, "lat": 1}}
    response = await client.post(f"{INTEGRATION}/messages/send", json=body)
    assert unsupported(response) == ["location.lat"]


async def test_all_of_them_are_named_beside_what_else_is_wrong(client):
    body = {"conectionId": "loja", "name": "Loja", "ownerId": OWNER, "color": "red"}
    response = await client.post(f"{INTEGRATION}/connections", json=body)
    assert response.status_code == 400
    assert response.json()["code"] == "validation_error"
    fields = {one["field"]: one["code"] for one in response.json()["details"]}
    assert fields == {
        "connectionId": "validation_error",
        "conectionId": "unsupported_field",
        "color": "unsupported_field",
    }


async def test_an_enormous_name_is_not_sent_back(client):
    response = await client.post(f"{INTEGRATION}/messages/send", json={**MESSAGE, "x" * 500_000: 1})
    assert unsupported(response) == ["x" * 64]


async def test_reads_go_on_to_tolerate_them(client):
    response = await client.get(f"{INTEGRATION}/connections", params={"_": "1712"})
    assert response.status_code == 200


async def test_a_permission_is_looked_at_first(stranger):
    response = await stranger.post(f"{INTEGRATION}/messages/send", json={**MESSAGE, "sendAt": "x"})
    assert response.status_code == 401


async def test_a_setting_keeps_the_earlier_leniency(tmp_path):
    settings = Settings(
        _env_file=None,
        ZAPVISOR_DATA_DIR=tmp_path,
        ZAPVISOR_API_KEY=KEY,
        ZAPVISOR_LENIENT_FIELDS="true",
    )
    application = FakeApplication(settings)
    api = create_app(application, keys=KeyStore.load(settings))
    async with connect(api, {"X-Api-Key": KEY}) as client:
        body = {"connectionId": "loja", "name": "Loja", "ownerId": OWNER, "color": "red"}
        response = await client.post(f"{INTEGRATION}/connections?x=1", json=body)
        assert response.status_code == 200
        body = {
            **MESSAGE,
            "sendAt": "2030",
            "contacts": [{"name": "A", "phones": ["11987654321"], "x": 1}],
        }
        assert (await client.post(f"{INTEGRATION}/messages/send", json=body)).status_code == 200
        response = await client.post(f"{INTEGRATION}/connections/loja/restart", json={"force": 1})
        assert response.status_code == 200


async def test_what_the_earlier_front_end_sends_is_known(client):
    """Bodies as the earlier back end documented them."""
    calls: list[tuple[str, dict | None]] = [
        (
            f"{INTEGRATION}/connections",
            {"connectionId": "loja", "name": "Loja", "ownerId": OWNER, "companyId": None},
        ),
        (
            f"{INTEGRATION}/messages/send",
            {
                "connectionId": "loja",
                "to": "5511987654321@s.whatsapp.net",
                "content": "oi",
                "type": "text",
                "mediaUrl": None,
            },
        ),
        ("/api/whatsapp-bootstrap/initialize", None),
        ("/api/whatsapp-bootstrap/test-connection", {"ownerId": OWNER, "companyId": None}),
        ("/api/whatsapp-bootstrap/test", {}),
        (f"{INTEGRATION}/queue/clear", {}),
    ]
    for path, body in calls:
        response: httpx.Response = await client.post(path, json=body)
        assert response.status_code in (200, 202), (path, response.text)
