"""Bad input to the running product: the right 4xx, Portuguese text, a code; nothing crashes."""

from __future__ import annotations

import uuid

import pytest

from .harness import API_KEY

BASE = "/api/whatsapp-integration"
SOMEBODY = str(uuid.uuid4())


def refused(product, status, code, method, path, **options):
    response = product.call(method, path, **options)
    body = response.json()
    assert (response.status_code, body["code"]) == (status, code), body
    assert body["success"] is False
    assert body["error"]
    return body


@pytest.fixture(autouse=True)
def still_running(shared_product):
    """Whatever a test sent, the tree behind the API went on undisturbed."""
    before = restarts(shared_product)
    yield
    assert shared_product.call("GET", "/health/ready").status_code == 200
    assert restarts(shared_product) == before


def restarts(product):
    def walk(node):
        yield node["restarts"]
        for child in node["children"]:
            if child["name"] != "self_tests":
                yield from walk(child)

    return sum(walk(product.data("GET", "/api/whatsapp-bootstrap/stats")["tree"]))


def test_missing_fields_are_all_named(shared_product):
    body = refused(shared_product, 400, "validation_error", "POST", f"{BASE}/connections", json={})
    assert {detail["field"] for detail in body["details"]} == {"connectionId", "name", "ownerId"}


@pytest.mark.parametrize(
    "change",
    [{"ownerId": "nobody"}, {"ownerId": 7}, {"name": ["x"]}, {"companyId": "x"}, {"name": ""}],
)
def test_wrong_types_are_refused(shared_product, change):
    body = {"connectionId": "bad", "name": "Bad", "ownerId": SOMEBODY, **change}
    response = shared_product.call("POST", f"{BASE}/connections", json=body)
    assert response.status_code == 400, response.text
    assert [detail["field"] for detail in response.json()["details"]] == [*change]


def test_an_owner_that_supabase_does_not_know_is_refused_at_once(shared_product):
    body = {"connectionId": "nobodys", "name": "x", "ownerId": SOMEBODY}
    refused(shared_product, 400, "unknown_owner", "POST", f"{BASE}/connections", json=body)
    refused(shared_product, 404, "connection_not_found", "GET", f"{BASE}/connections/nobodys")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b", "a\\b", "..", ".", "a b", "ação", "x" * 65, ""]
)
def test_path_tricks_in_a_connection_id(shared_product, name):
    body = {"connectionId": name, "name": "x", "ownerId": SOMEBODY}
    refused(shared_product, 400, "invalid_connection_id", "POST", f"{BASE}/connections", json=body)


@pytest.mark.parametrize("name", ["..%2f..%2fetc", "%2e%2e", "a%00b", "a%5cb"])
def test_path_tricks_in_the_path(shared_product, name):
    for path in (f"{BASE}/connections/{name}", f"{BASE}/connections/{name}/qr"):
        assert shared_product.call("GET", path).status_code in (400, 404)


def test_unknown_ids(shared_product):
    for method, path in [
        ("GET", "/connections/nope"),
        ("DELETE", "/connections/nope"),
        ("GET", "/connections/nope/qr"),
        ("POST", "/connections/nope/restart"),
        ("POST", "/connections/nope/logout"),
    ]:
        refused(shared_product, 404, "connection_not_found", method, BASE + path)
    message = {"connectionId": "nope", "to": "11987654321", "content": "x", "type": "text"}
    refused(
        shared_product, 404, "connection_not_found", "POST", f"{BASE}/messages/send", json=message
    )
    refused(
        shared_product,
        404,
        "atendimento_not_found",
        "GET",
        f"{BASE}/messages/{uuid.uuid4()}",
        params={"ownerId": SOMEBODY},
    )


def test_a_connection_exists_once(shared_product):
    owner = shared_product.owner()
    body = {"connectionId": "once", "name": "Once", "ownerId": str(owner)}
    shared_product.data("POST", f"{BASE}/connections", json=body)
    refused(shared_product, 409, "connection_exists", "POST", f"{BASE}/connections", json=body)
    shared_product.data("DELETE", f"{BASE}/connections/once")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"content": ""}, "validation_error"),
        ({"content": "a\x00b"}, "invalid_text"),
        ({"to": "isto não é um número"}, "invalid_phone"),
        ({"to": "1@g.us"}, "invalid_recipient"),
    ],
)
def test_what_cannot_be_sent(shared_product, change, code):
    owner = shared_product.owner()
    connection = f"cannot-{uuid.uuid4().hex[:8]}"
    body = {"connectionId": connection, "name": "x", "ownerId": str(owner)}
    shared_product.data("POST", f"{BASE}/connections", json=body)
    message = {"connectionId": connection, "to": "11987654321", "content": "x", "type": "text"}
    response = shared_product.call("POST", f"{BASE}/messages/send", json=message | change)
    assert (response.status_code, response.json()["code"]) == (400, code)
    shared_product.data("DELETE", f"{BASE}/connections/{connection}")


def test_lone_surrogates(shared_product):
    raw = b'{"connectionId":"x","to":"11987654321","content":"\\ud800","type":"text"}'
    refused(
        shared_product,
        400,
        "invalid_text",
        "POST",
        f"{BASE}/messages/send",
        content=raw,
        headers={"Content-Type": "application/json"},
    )


def test_huge_bodies(shared_product):
    body = {"connectionId": "x", "name": "x" * 3_000_000, "ownerId": SOMEBODY}
    refused(shared_product, 413, "body_too_large", "POST", f"{BASE}/connections", json=body)


def test_broken_json(shared_product):
    headers = {"Content-Type": "application/json"}
    refused(
        shared_product,
        400,
        "malformed_json",
        "POST",
        f"{BASE}/messages/send",
        content=b"{oops",
        headers=headers,
    )


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Authorization": ""}, "missing_credential"),
        ({"Authorization": "Bearer zv_wrong"}, "invalid_credential"),
        ({"Authorization": f"Basic {API_KEY}"}, "invalid_credential"),
        ({"Authorization": "", "X-Api-Key": "é"}, "invalid_credential"),
    ],
)
def test_no_or_a_wrong_key(shared_product, headers, code):
    raw = {name: value.encode() for name, value in headers.items()}
    response = shared_product.client.get(f"{BASE}/connections", headers=raw)
    assert (response.status_code, response.json()["code"]) == (401, code)


def test_the_other_header_works_too(shared_product):
    headers = {"Authorization": "", "X-Api-Key": API_KEY}
    assert shared_product.call("GET", f"{BASE}/connections", headers=headers).status_code == 200
