"""Two owners on one running product: what each sees, whatever it asks for."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from typing import Any

import httpx
import jwt
import pytest

from tests.contract import check

from .harness import API_KEY, until

API = "/api/whatsapp-integration"
CONTROL = "/api/whatsapp-bootstrap"
SECRET_TEXT = "só para a loja rosa"


class Caller:
    """The API with one credential."""

    def __init__(self, product, credential: str) -> None:
        self._url = f"http://127.0.0.1:{product.port}"
        self._headers = {"Authorization": f"Bearer {credential}"}

    def __call__(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        response = httpx.request(
            method, self._url + path, headers=self._headers, timeout=30, **options
        )
        check(response)
        body = response.json()
        return response.status_code, body["data"] if body["success"] else body["code"]


@pytest.fixture(scope="module")
def shops(shared_product, simulator):
    """Two owners with a connection each; Rosa's has a conversation."""
    from .conftest import fresh_number
    from .harness import Shop

    rosa = Shop(shared_product, simulator, "tenant-rosa", fresh_number()).pair()
    azul = Shop(shared_product, simulator, "tenant-azul", fresh_number()).pair()
    maria = fresh_number("55219")
    simulator.post("/contacts", number=maria, name="Maria")
    simulator.post(f"/contacts/{maria}/send", to=rosa.number, text=SECRET_TEXT)
    until(rosa.rows, what="the conversation of Rosa")
    [(rosa.atendimento,)] = shared_product.query(
        "select id::text from whatsapp_atendimentos where owner_id = %s", rosa.owner
    )
    rosa.customer = maria
    return rosa, azul


@pytest.fixture(scope="module")
def users(shared_product, shops):
    return [Caller(shared_product, shared_product.stack.user_token(shop.owner)) for shop in shops]


def test_an_owner_works_with_a_token_of_supabase_auth(shared_product, shops, users, simulator):
    rosa, _ = shops
    user, _ = users
    assert [one["id"] for one in user("GET", f"{API}/connections")[1]] == [rosa.name]
    [atendimento] = user("GET", f"{API}/atendimentos/active")[1]
    assert atendimento["id"] == rosa.atendimento
    [message] = user("GET", f"{API}/messages/{rosa.atendimento}")[1]
    assert message["conteudo"] == SECRET_TEXT
    assert [one["connection_id"] for one in user("GET", f"{API}/sessions/active")[1]] == [rosa.name]
    body = {"connectionId": rosa.name, "to": rosa.customer, "content": "resposta"}
    status, sent = user("POST", f"{API}/messages/send", json=body)
    assert status in (200, 202), sent
    until(
        lambda: (
            "resposta" in [one["text"] for one in simulator.get(f"/contacts/{rosa.customer}/inbox")]
        ),
        what="the answer reaches the customer",
    )


def test_nobody_reaches_anothers_things(shared_product, shops, users):
    rosa, azul = shops
    _, other = users
    owner = str(rosa.owner)
    for of_owner in ({}, {"ownerId": str(azul.owner)}):
        assert [one["id"] for one in other("GET", f"{API}/connections", params=of_owner)[1]] == [
            azul.name
        ]
        assert other("GET", f"{API}/atendimentos/active", params=of_owner) == (200, [])
        listed = other("GET", f"{API}/atendimentos", params=of_owner)[1]
        assert listed["items"] == []
        missing = (404, "atendimento_not_found")
        assert other("GET", f"{API}/messages/{rosa.atendimento}", params=of_owner) == missing
        one = f"{API}/atendimentos/{rosa.atendimento}"
        assert other("GET", one, params=of_owner) == missing
        assert other("PATCH", one, json={"observacoes": "minha"}, params=of_owner) == missing
    for path in ("connections", "atendimentos", "atendimentos/active", "sessions/active"):
        refused = other("GET", f"{API}/{path}", params={"ownerId": owner})
        assert refused == (403, "forbidden_owner")
    named = {"connectionId": "mine", "name": "x", "ownerId": owner}
    assert other("POST", f"{API}/connections", json=named) == (403, "forbidden_owner")
    hidden = (404, "connection_not_found")
    for method, suffix in (
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/qr"),
        ("POST", "/restart"),
        ("POST", "/logout"),
    ):
        assert other(method, f"{API}/connections/{rosa.name}{suffix}") == hidden
        assert other(method, f"{API}/connections/no-such{suffix}") == hidden
    body = {"connectionId": rosa.name, "to": rosa.customer, "content": "intruso"}
    assert other("POST", f"{API}/messages/send", json=body) == hidden
    assert rosa.texts(rosa.customer, "ATENDENTE") in ([], ["resposta"])
    assert shared_product.connection(rosa.name)["isConnected"]


def test_nobody_reaches_anothers_messages_robots_and_events(shared_product, shops, users):
    rosa, _ = shops
    mine, other = users
    [[message]] = shared_product.query(
        "select id::text from whatsapp_mensagens where owner_id = %s and conteudo = %s",
        rosa.owner,
        SECRET_TEXT,
    )
    one = f"{API}/messages/{message}"
    for method, path, body in (
        ("GET", f"{API}/media/{message}", None),
        ("POST", f"{one}/media/retry", None),
        ("POST", f"{one}/read", None),
        ("POST", f"{one}/reaction", {"emoji": "👍"}),
        ("PATCH", one, {"content": "outra"}),
        ("DELETE", one, None),
    ):
        theirs = other(method, path, json=body)
        assert theirs[0] == 404, (method, path)
        nobodys = other(method, path.replace(message, str(uuid.uuid4())), json=body)
        assert theirs == nobodys, (method, path)

    texts = {
        "nome": "Robô",
        "mensagemBoasVindas": SECRET_TEXT,
        "mensagemMenu": "1 - Vendas",
        "mensagemDespedida": "",
        "ativo": False,
    }
    status, robot = mine("POST", f"{API}/robot", json=texts)
    assert (status, robot["owner_id"]) == (200, str(rosa.owner))
    path = f"{API}/robot/{robot['id']}"
    assert other("GET", f"{API}/robot") == (200, [])
    for method, body in (("GET", None), ("PATCH", {"nome": "meu"}), ("DELETE", None)):
        assert other(method, path, json=body) == (404, "robot_not_found")
    assert mine("DELETE", path)[0] == 200

    _recent_events(shared_product, rosa.owner)
    seen = _recent_events(shared_product, shops[1].owner)
    assert str(rosa.owner) not in seen
    assert rosa.name not in seen


def _recent_events(product, owner) -> str:
    """The stream as its user sees it, up to the first pause after something of the user's own."""
    own = str(owner)
    return until(
        lambda: text if own in (text := _replay(product, owner)) else None, what="own events"
    )


def _replay(product, owner) -> str:
    text = ""
    headers = {"Authorization": f"Bearer {product.stack.user_token(owner)}"}
    url = f"http://127.0.0.1:{product.port}{API}/events"
    with (
        contextlib.suppress(httpx.ReadTimeout),
        httpx.stream("GET", url, params={"recent": 100}, headers=headers, timeout=2) as stream,
    ):
        for piece in stream.iter_text():
            text += piece
    return text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{CONTROL}/stats"),
        ("POST", f"{CONTROL}/shutdown"),
        ("GET", f"{CONTROL}/keys"),
        ("POST", f"{CONTROL}/keys"),
        ("GET", f"{API}/dead-letters"),
        ("POST", f"{API}/queue/clear"),
    ],
)
def test_control_is_for_admins(users, method, path):
    assert users[0](method, path) == (403, "forbidden")


def test_forged_tokens_are_refused(shared_product, shops):
    rosa, _ = shops
    claims = {"sub": str(rosa.owner), "aud": "authenticated", "exp": 4_000_000_000}
    forged = [
        jwt.encode(claims, "not-the-secret-of-this-installation-0000", "HS256"),
        jwt.encode(claims, None, "none"),
        shared_product.stack.anon_key,
        shared_product.stack.service_role_key,
    ]
    for token in forged:
        assert Caller(shared_product, token)("GET", f"{API}/connections") == (
            401,
            "invalid_credential",
        )


def test_a_key_of_one_connection(shared_product, shops, simulator):
    rosa, azul = shops
    admin = Caller(shared_product, API_KEY)
    made = admin(
        "POST",
        f"{CONTROL}/keys",
        json={
            "name": "só rosa",
            "role": "connection",
            "connectionId": rosa.name,
            "permissions": ["read"],
        },
    )[1]
    assert made["ownerId"] == str(rosa.owner)
    caller = Caller(shared_product, made["key"])
    assert [one["id"] for one in caller("GET", f"{API}/connections")[1]] == [rosa.name]
    assert caller("GET", f"{API}/messages/{rosa.atendimento}")[1][0]["conteudo"] == SECRET_TEXT
    assert caller("GET", f"{API}/connections/{azul.name}") == (404, "connection_not_found")
    body = {"connectionId": rosa.name, "to": rosa.customer, "content": "não"}
    assert caller("POST", f"{API}/messages/send", json=body) == (403, "missing_permission")
    assert admin("DELETE", f"{CONTROL}/keys/{made['id']}")[0] == 200
    assert caller("GET", f"{API}/connections") == (401, "invalid_credential")


def test_the_command_line_makes_keys_that_count_at_once(shared_product, shops):
    _, azul = shops

    def zapvisor(*arguments: str) -> str:
        environment = {
            **os.environ,
            "ZAPVISOR_DATA_DIR": str(shared_product.directory / "data"),
        }
        command = [sys.executable, "-m", "http_api.cli", "keys", *arguments]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    options = ["--role", "owner", "--owner", str(azul.owner), "--permission", "read"]
    made = json.loads(zapvisor("create", "azul", *options, "--json"))
    caller = Caller(shared_product, made["key"])
    assert [one["id"] for one in caller("GET", f"{API}/connections")[1]] == [azul.name]
    rotated = json.loads(zapvisor("rotate", made["id"], "--json"))
    assert caller("GET", f"{API}/connections") == (401, "invalid_credential")
    caller = Caller(shared_product, rotated["key"])
    assert caller("GET", f"{API}/connections")[0] == 200
    assert made["key"] not in zapvisor("list") + zapvisor("list", "--json")
    zapvisor("revoke", made["id"])
    assert caller("GET", f"{API}/connections") == (401, "invalid_credential")


def test_the_audit_log_names_who_and_what(shared_product, shops, users):
    rosa, _ = shops
    users[0]("POST", f"{CONTROL}/restart")
    admin_key = Caller(shared_product, API_KEY)
    admin_key("DELETE", f"{CONTROL}/keys/none")
    log = shared_product.directory / "logs" / "audit.log"

    def found():
        records = [json.loads(line) for line in log.read_text().splitlines()]
        facts = [(one["who"], one["method"], one["route"], one["status"]) for one in records]
        wanted = [
            (f"user:{rosa.owner}", "POST", f"{CONTROL}/restart", 403),
            ("key:environment", "DELETE", f"{CONTROL}/keys/{{id}}", 404),
        ]
        return all(one in facts for one in wanted)

    until(found, what="both calls are in the audit log")
    text = log.read_text()
    assert API_KEY not in text
    assert SECRET_TEXT not in text
