"""Whatever a client sends wrong is answered by the right 4xx, in Portuguese, with a code."""

import json

import pytest
from fake_application import ATENDIMENTO, OWNER
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

INTEGRATION = "/api/whatsapp-integration"
SEND = f"{INTEGRATION}/messages/send"
GOOD = {"connectionId": "loja", "to": "+5511987654321", "content": "Olá"}
JSON = {"Content-Type": "application/json"}


def refused(response, status, code):
    assert response.status_code == status, response.text
    envelope = response.json()
    assert envelope["success"] is False
    assert envelope["code"] == code, envelope
    return envelope


def fields(envelope):
    return [detail["field"] for detail in envelope["details"]]


async def test_every_missing_field_is_named(client):
    envelope = refused(
        await client.post(f"{INTEGRATION}/connections", json={}), 400, "validation_error"
    )
    assert fields(envelope) == ["connectionId", "name", "ownerId"]
    assert "ownerId é obrigatório" in envelope["error"]


async def test_every_wrong_type_is_named(client):
    body = {"connectionId": 1, "name": ["x"], "ownerId": "nobody", "companyId": 5}
    envelope = refused(
        await client.post(f"{INTEGRATION}/connections", json=body), 400, "validation_error"
    )
    assert fields(envelope) == ["connectionId", "name", "ownerId", "companyId"]
    assert [detail["message"] for detail in envelope["details"]] == [
        "connectionId deve ser um texto",
        "name deve ser um texto",
        "ownerId deve ser um UUID",
        "companyId deve ser um UUID",
    ]


@pytest.mark.parametrize("name", ["", "   ", "x" * 101])
async def test_bad_names(client, name):
    body = {"connectionId": "a", "name": name, "ownerId": OWNER}
    envelope = refused(
        await client.post(f"{INTEGRATION}/connections", json=body), 400, "validation_error"
    )
    assert fields(envelope) == ["name"]


@pytest.mark.parametrize(
    "connection_id",
    ["", "../etc/passwd", "..", "a/b", "a\\b", "a b", "ação", "x" * 65, "a\n", "%2e%2e", "a.b"],
)
async def test_bad_connection_ids_in_bodies(client, application, connection_id):
    body = {"connectionId": connection_id, "name": "X", "ownerId": OWNER}
    response = await client.post(f"{INTEGRATION}/connections", json=body)
    assert fields(refused(response, 400, "invalid_connection_id")) == ["connectionId"]
    response = await client.post(SEND, json=GOOD | {"connectionId": connection_id})
    refused(response, 400, "invalid_connection_id")
    assert application.calls == []


@pytest.mark.parametrize("connection_id", ["..%2fqr", "%00", "a%20b", "%ff", "a.b", "x" * 65])
@pytest.mark.parametrize("suffix", ["", "/qr", "/x"])
async def test_path_tricks_never_reach_the_runtime(client, application, connection_id, suffix):
    response = await client.get(f"{INTEGRATION}/connections/{connection_id}{suffix}")
    assert response.status_code in (400, 404)
    assert response.json()["code"] in ("invalid_connection_id", "route_not_found")
    assert application.calls == []


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"to": "nobody"}, "to", "invalid_phone"),
        ({"to": "123"}, "to", "invalid_phone"),
        ({"to": ""}, "to", "invalid_phone"),
        ({"to": "x@g.us"}, "to", "invalid_recipient"),
        ({"to": 5511987654321}, "to", "validation_error"),
        ({"to": "1" * 65}, "to", "validation_error"),
        ({"to": None}, "to", "validation_error"),
        ({"content": ""}, "content", "validation_error"),
        ({"content": " \n"}, "content", "validation_error"),
        ({"content": None}, "content", "validation_error"),
        ({"content": {"text": "x"}}, "content", "validation_error"),
        ({"content": "x" * 65_537}, "content", "validation_error"),
        ({"type": "hologram"}, "type", "validation_error"),
        ({"type": None}, "type", "validation_error"),
        ({"idempotencyKey": ""}, "idempotencyKey", "validation_error"),
        ({"idempotencyKey": "x" * 256}, "idempotencyKey", "validation_error"),
        ({"idempotencyKey": "olá"}, "idempotencyKey", "invalid_idempotency_key"),
        ({"mediaUrl": 7}, "mediaUrl", "validation_error"),
    ],
)
async def test_bad_messages(client, application, change, field, code):
    envelope = refused(await client.post(SEND, json=GOOD | change), 400, code)
    assert fields(envelope) == [field]
    assert application.calls == []


async def test_text_without_content(client):
    body = {"connectionId": "loja", "to": "+5511987654321"}
    assert fields(refused(await client.post(SEND, json=body), 400, "validation_error")) == [
        "content"
    ]


async def test_different_reasons_share_the_general_code(client):
    body = {"connectionId": "..", "to": "nobody", "content": ""}
    envelope = refused(await client.post(SEND, json=body), 400, "validation_error")
    assert fields(envelope) == ["connectionId", "to", "content"]
    assert envelope["details"][0]["code"] == "invalid_connection_id"


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "ol\xe1"])
async def test_bad_idempotency_key_header(client, application, key):
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    response = await client.post(SEND, json=GOOD, headers=headers)
    assert response.status_code == 400
    assert fields(response.json()) == ["Idempotency-Key"]
    assert application.calls == []


async def test_two_different_idempotency_keys(client):
    response = await client.post(
        SEND, json=GOOD | {"idempotencyKey": "a"}, headers={"Idempotency-Key": "b"}
    )
    refused(response, 400, "invalid_idempotency_key")


@pytest.mark.parametrize(
    "content", [r"\ud800", r"a\udc00b", r"\u0000", r"ol\u00e1\ud83d", r"\udc00\ud800"]
)
async def test_lone_surrogates_and_nul_are_invalid_text(client, application, content):
    body = f'{{"connectionId": "loja", "to": "+5511987654321", "content": "{content}"}}'
    envelope = refused(await client.post(SEND, content=body, headers=JSON), 400, "invalid_text")
    assert fields(envelope) == ["content"]
    assert "content" in envelope["error"]
    assert application.calls == []


@pytest.mark.parametrize(
    "body",
    [
        r'{"extra": {"deep": [{"x": "\ud800"}]}}',
        r'{"extra": {"\u0000": 1}}',
        r'{"\ud800": 1}',
        r'["\ud800"]',
        r'"\u0000"',
    ],
)
async def test_unstorable_text_anywhere(client, body):
    refused(await client.post(SEND, content=body, headers=JSON), 400, "invalid_text")


async def test_escaped_pairs_and_emoji_are_fine(client, application):
    body = r'{"connectionId": "l", "to": "+5511987654321", "content": "\ud83d\ude00 \u00e1\n\\u0"}'
    response = await client.post(SEND, content=body, headers=JSON)
    assert response.status_code == 200
    assert application.calls[0][3] == "😀 á\n\\u0"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nope",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"\xff\xfe",
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\x00"}',
        b"\xef\xbb\xbf{}",
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
        "{}".encode("utf-16"),
        b" ",
    ],
)
async def test_malformed_json(client, application, body):
    refused(await client.post(SEND, content=body, headers=JSON), 400, "malformed_json")
    assert application.calls == []


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"1", b"true"])
async def test_json_that_is_no_object(client, body):
    envelope = refused(await client.post(SEND, content=body, headers=JSON), 400, "validation_error")
    assert fields(envelope) == ["body"]


async def test_no_body_at_all(client):
    envelope = refused(await client.post(SEND, headers=JSON), 400, "validation_error")
    assert envelope["error"] == "Dados inválidos: o corpo é obrigatório."


async def test_deep_nesting_in_unknown_fields_is_tolerated_or_refused(client):
    body = b'{"x":' + b"[" * 900 + b"]" * 900 + b"}"
    response = await client.post(SEND, content=body, headers=JSON)
    assert response.status_code == 400


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/jsonp",
        "application",
        "json",
        ";;;",
    ],
)
async def test_other_media_types(client, content_type):
    response = await client.post(SEND, content=b"{}", headers={"Content-Type": content_type})
    refused(response, 415, "unsupported_media_type")


async def test_compressed_body(client):
    response = await client.post(SEND, content=b"{}", headers=JSON | {"Content-Encoding": "gzip"})
    refused(response, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=UTF-8", "application/vnd.x+json"]
)
async def test_other_spellings_of_json(client, content_type):
    response = await client.post(
        SEND, content=json.dumps(GOOD), headers={"Content-Type": content_type}
    )
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"/messages/{ATENDIMENTO}?limit=0", "limit"),
        (f"/messages/{ATENDIMENTO}?limit=1001", "limit"),
        (f"/messages/{ATENDIMENTO}?limit=abc", "limit"),
        (f"/messages/{ATENDIMENTO}?limit=1.5", "limit"),
        (f"/messages/{ATENDIMENTO}?limit=" + "9" * 5000, "limit"),
        (f"/messages/{ATENDIMENTO}?offset=-1", "offset"),
        (f"/messages/{ATENDIMENTO}?offset=99999999999999999999", "offset"),
        (f"/messages/{ATENDIMENTO}?ownerId=x", "ownerId"),
        ("/messages/not-a-uuid", "atendimentoId"),
        ("/messages/..%00", "atendimentoId"),
        ("/atendimentos/active", "ownerId"),
        ("/atendimentos/active?ownerId=", "ownerId"),
        (f"/atendimentos/active?ownerId={OWNER}&companyId=null", "companyId"),
        ("/sessions/active", "ownerId"),
        ("/sessions/active?ownerId=%ff%00", "ownerId"),
        ("/connections/loja/qr?format=svg", "format"),
    ],
)
async def test_bad_parameters(client, application, path, field):
    envelope = refused(await client.get(f"{INTEGRATION}{path}"), 400, "validation_error")
    assert fields(envelope) == [field]
    assert application.calls == []


@pytest.mark.parametrize("path", ["/none", "/api", "/api/none", "/favicon.ico", "/health", "/a//"])
async def test_unknown_routes(client, path):
    refused(await client.get(path), 404, "route_not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", f"{INTEGRATION}/connections", {"GET", "POST"}),
        ("GET", SEND, {"POST"}),
        ("POST", "/health/live", {"GET"}),
        ("TRACE", f"{INTEGRATION}/connections/x", {"GET", "PATCH", "DELETE"}),
        ("BREW", "/docs", {"GET"}),
    ],
)
async def test_unknown_methods(client, method, path, allowed):
    if path == SEND:  # also matches the path of the messages of an atendimento
        response = await client.request("PUT", path)
        allowed = {"GET", "POST", "PATCH", "DELETE"}
    else:
        response = await client.request(method, path)
    refused(response, 405, "method_not_allowed")
    assert set(response.headers["allow"].split(", ")) <= allowed


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([OWNER]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from(
    ["connectionId", "name", "ownerId", "companyId", "to", "content", "type", "idempotencyKey"]
)
bodies = (
    st.binary(max_size=64)
    | json_values.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(names | st.text(), json_values, max_size=9).map(
        lambda value: json.dumps(value).encode()
    )
)
paths = st.sampled_from(
    [
        SEND,
        f"{INTEGRATION}/connections",
        f"{INTEGRATION}/queue/clear",
        "/api/whatsapp-bootstrap/test-connection",
        "/api/whatsapp-bootstrap/initialize",
    ]
)


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(path=paths, body=bodies)
async def test_no_body_whatsoever_is_a_server_error(client, path, body):
    response = await client.post(path, content=body, headers=JSON)
    assert response.status_code in (200, 400, 409), response.text
    assert isinstance(response.json()["success"], bool)


segments = st.text(min_size=1, max_size=80)
tails = st.sampled_from(["", "/qr", "/qr?format=png"])
areas = st.sampled_from(["connections", "messages"])


def path_with(area, segment, tail):
    raw = "".join(f"%{byte:02x}" for byte in segment.encode("utf-8", "surrogatepass"))
    return f"{INTEGRATION}/{area}/{raw}{tail}"


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(segment=segments.filter(lambda text: "/" not in text), tail=tails, area=areas)
async def test_an_id_that_nothing_has_is_refused(client, segment, tail, area):
    """Of whatever characters: a made-up id in its place never means another route or a thing."""
    response = await client.get(path_with(area, segment, tail))
    assert response.status_code in (400, 404), response.text
    assert response.json()["success"] is False


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(parts=st.lists(segments, min_size=1, max_size=3), tail=tails, area=areas)
@example(parts=["", ""], tail="", area="connections")  # the list of connections, spelt with a slash
async def test_no_path_whatsoever_is_a_server_error(client, parts, tail, area):
    """A slash, even an escaped one, divides a path: it may well be that of another route."""
    response = await client.get(path_with(area, "/".join(parts), tail))
    assert response.status_code in (200, 400, 404), response.text
    assert response.json()["success"] is (response.status_code == 200)


@pytest.mark.parametrize("slashes", ["//", "/%2f", "%2F%2f", "///"])
async def test_only_one_slash_at_the_end_means_nothing(client, slashes):
    assert (await client.get(f"{INTEGRATION}/connections/")).status_code == 200
    refused(await client.get(f"{INTEGRATION}/connections{slashes}"), 404, "route_not_found")
