"""Made-up requests with every kind of credential, and no rate: never a 5xx, never a foreign row."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.e2e import talk
from tests.e2e.harness import API_KEY, until

from .generated import Request, Requests
from .scene import API, CONTROL, NEEDS_A_PHONE, VICTIMS_NAME, VICTIMS_TEXT, Scene

OF_EACH_ROUTE = 12
SEED = 20_261_201

ROBOT = {
    "nome": "Robô",
    "mensagemBoasVindas": "Olá",
    "mensagemMenu": "",
    "mensagemDespedida": "",
    "ativo": False,
}
LEFT_OUT = frozenset(
    {
        # These end or pause the tree under the other calls.
        f"POST {CONTROL}/restart",
        f"POST {CONTROL}/shutdown",
        f"POST {CONTROL}/initialize",
        f"POST {CONTROL}/test",
        # Has no end, and is tried with the tenants.
        f"GET {API}/events",
    }
)
DESTROYING = frozenset(
    {
        f"DELETE {API}/connections/{{id}}",
        f"POST {API}/connections/{{id}}/logout",
        f"DELETE {CONTROL}/keys/{{id}}",
        f"POST {CONTROL}/keys/{{id}}/rotate",
    }
)
"""What an admin may do, and what would leave nothing to be looked for."""


@pytest.fixture(scope="module")
def credentials(scene: Scene) -> dict[str, str]:
    """One of each kind; all but the admins' are the attacker's."""
    owner = str(scene.attacker.owner)
    connection = {"role": "connection", "connectionId": scene.attacker.name}
    soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
    keys = {
        "admin": API_KEY,
        "admin that only reads": scene.key("a", role="admin", permissions=["read"]),
        "owner": scene.key("b", role="owner", ownerId=owner),
        "owner that only reads": scene.key("c", role="owner", ownerId=owner, permissions=["read"]),
        "connection": scene.key("d", **connection),
        "expired": scene.key("e", role="owner", ownerId=owner, expiresAt=soon),
        "user": scene.product.stack.user_token(scene.attacker.owner),
    }
    until(
        lambda: _get(scene, keys["expired"], f"{API}/connections").status_code == 401,
        what="the key is expired",
    )
    return keys


def _get(scene: Scene, key: str, path: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"http://127.0.0.1:{scene.product.port}{path}", headers=headers, timeout=30)


@pytest.fixture(scope="module")
def ids(scene: Scene) -> dict[str, list[Any]]:
    """What exists, of both tenants, by the names that the document has for it."""
    messages = [
        *(scene.victims_message["id"], scene.attackers_message["id"], str(uuid.uuid4())),
        scene.victims_answer["id"],
    ]
    atendimentos = [
        scene.victims_message["atendimento_id"],
        scene.attackers_message["atendimento_id"],
    ]
    connections = [scene.victim.name, scene.attacker.name]
    owners = [str(scene.victim.owner), str(scene.attacker.owner)]
    robots, webhooks = [], []
    for owner in owners:
        robot = {**ROBOT, "ownerId": owner}
        robots.append(scene.product.data("POST", f"{API}/robot", json=robot)["id"])
        webhook = {"url": "https://crm.example/zapvisor", "ownerId": owner}
        webhooks.append(scene.product.data("POST", f"{API}/webhooks", json=webhook)["id"])
    return {
        f"{API}/connections/{{id}}": connections,
        f"{API}/atendimentos/{{id}}": atendimentos,
        f"{API}/robot/{{id}}": robots,
        f"{API}/webhooks/{{id}}": webhooks,
        f"{API}/messages/{{messageId}}": messages,
        f"{API}/messages/{{atendimentoId}}": atendimentos,
        f"{API}/media/{{messageId}}": messages,
        "quotedMessageId": messages,
        "connectionId": connections,
        "ownerId": owners,
        "after": messages,
        "to": [f"+{scene.victims_customer}", f"+{scene.attackers_customer}"],
        "numero": [scene.victims_customer, scene.attackers_customer],
        "phones": [[f"+{scene.victims_customer}"]],
        "mediaUrl": ["http://127.0.0.1:1/x", "data:image/png;base64,AAAA", "file:///etc/passwd"],
        "url": ["http://127.0.0.1:1/x", "https://example.com/x", "http://169.254.169.254/"],
    }


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "who",
    ["admin that only reads", "owner", "owner that only reads", "connection", "expired", "admin"],
)
def test_no_request_costs_a_fault_or_shows_anothers(
    scene: Scene, credentials: dict[str, str], ids: dict[str, list[Any]], who: str
) -> None:
    admin = who.startswith("admin")
    document = scene.product.call("GET", "/openapi.json").json()
    requests = Requests(document, ids, LEFT_OUT, SEED + len(who))
    before = scene.victims_rows()
    shown = talk.inbox(scene.victim, scene.victims_customer)
    restarts = scene.restarts()
    statuses: dict[str, Counter[int]] = {}
    wrong: list[str] = []
    with httpx.Client(
        base_url=f"http://127.0.0.1:{scene.product.port}",
        headers={"X-Api-Key": credentials[who]},
        timeout=60,
    ) as client:
        for request in requests.of_each(OF_EACH_ROUTE):
            if destroys(request, scene, admin=admin):
                continue
            response = send(client, request)
            statuses.setdefault(request.route, Counter())[response.status_code] += 1
            if fault := fault_of(response, request, scene, who):
                wrong.append(f"{fault}: {request}: {response.status_code} {response.text[:300]}")
    assert wrong == []
    assert scene.restarts_since(restarts) == {}
    if not admin:
        assert scene.victims_rows() == before
        assert talk.inbox(scene.victim, scene.victims_customer) == shown
    if who in ("owner", "admin"):
        # The requests came through: most routes that the caller may call succeeded at least once.
        allowed = [one for one in statuses.values() if one[403] < OF_EACH_ROUTE / 2]
        reached = [one for one in allowed if any(status < 300 for status in one)]
        assert len(reached) > len(allowed) / 2, json.dumps(statuses, indent=1)


def destroys(request: Request, scene: Scene, *, admin: bool) -> bool:
    """Whether the caller may do what would leave nothing to be looked for."""
    return request.route in DESTROYING and (admin or scene.attacker.name in request.path)


def fault_of(response: httpx.Response, request: Request, scene: Scene, who: str) -> str | None:
    """What is wrong with this answer."""
    status, text = response.status_code, response.text
    if status >= 500 and not (status == 503 and response.json()["code"] in NEEDS_A_PHONE):
        return "a fault of ours"
    if status == 429:
        return "refused for its rate, so nothing was tried"
    if who == "expired" and request.path.startswith("/api/") and status < 400:
        return "an expired key is served"
    if not who.startswith("admin"):
        marks = [VICTIMS_TEXT, VICTIMS_NAME]
        if str(scene.victim.owner) not in str(request):
            marks.append(str(scene.victim.owner))
        if any(mark in text for mark in marks):
            return "a foreign row"
    return None


def send(client: httpx.Client, request: Request) -> httpx.Response:
    """As it is: what JSON cannot say is said all the same."""
    options: dict[str, Any] = {}
    if request.body is not None:
        text = json.dumps(request.body)
        options["content"] = text.encode("utf-8", "surrogatepass")
        options["headers"] = {"Content-Type": "application/json", **request.headers}
    elif request.headers:
        options["headers"] = request.headers
    query = [(name, value.encode("utf-8", "replace").decode()) for name, value in request.query]
    return client.request(request.method, request.path, params=query or None, **options)
