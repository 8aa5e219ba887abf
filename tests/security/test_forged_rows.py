"""Two tenants, every route, every way to write a row: none reaches the other, none costs a 500."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e import talk
from tests.e2e.harness import API_KEY, until

from .forgeries import Forgery, atendimento, forgeries, message, robot, session
from .scene import (
    API,
    NEEDS_A_PHONE,
    VICTIMS_NAME,
    VICTIMS_TEXT,
    Scene,
)

HONEST = {
    "whatsapp_mensagens": message,
    "whatsapp_atendimentos": atendimento,
    "whatsapp_sessions": session,
    "whatsapp_configuracoes": robot,
}
BODIES = {
    ("POST", f"{API}/messages/{{messageId}}/reaction"): {"emoji": "😈"},
    ("PATCH", f"{API}/messages/{{messageId}}"): {"content": "mudado pelo intruso"},
    ("PATCH", f"{API}/atendimentos/{{id}}"): {"observacoes": "do intruso", "tags": ["x"]},
    ("PATCH", f"{API}/robot/{{id}}"): {"nome": "do intruso"},
}
PREFIXES = {
    "whatsapp_mensagens": (f"{API}/messages/{{messageId}}", f"{API}/media/{{messageId}}"),
    "whatsapp_atendimentos": (f"{API}/atendimentos/{{", f"{API}/messages/{{atendimentoId}}"),
    "whatsapp_configuracoes": (f"{API}/robot/{{",),
    "whatsapp_sessions": (),
}
"""Where in the API a row of a table is named."""
LISTS = ("atendimentos", "atendimentos/active", "sessions/active", "robot")


@pytest.fixture(scope="module")
def attack(scene: Scene) -> Attack:
    return Attack(scene, scene.key("intruso", role="owner", ownerId=str(scene.attacker.owner)))


class Attack:
    """Calls with one credential, whose answers are watched."""

    def __init__(self, scene: Scene, key: str, *, sees_all: bool = False) -> None:
        self._scene, self._sees_all = scene, sees_all
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{scene.product.port}",
            headers={"X-Api-Key": key},
            timeout=60,
        )
        self._wrong: list[str] = []
        document = self._client.get("/openapi.json").json()
        self._operations = [
            (method.upper(), path)
            for path, methods in document["paths"].items()
            for method in methods
        ]

    def with_row(self, table: str, row_id: str) -> list[str]:
        """Try all calls that take the id of such a row, and all lists; what was wrong."""
        for method, path in self._operations:
            if path.startswith(PREFIXES[table]):
                url = re.sub(r"\{[^}]+\}", row_id, path)
                self._call(method, url, json=BODIES.get((method, path)))
        if table == "whatsapp_mensagens":
            body = {
                "connectionId": self._scene.attacker.name,
                "to": f"+{self._scene.attackers_customer}",
                "content": "cita",
                "quotedMessageId": row_id,
            }
            self._call("POST", f"{API}/messages/send", json=body)
        for name in LISTS:
            self._call("GET", f"{API}/{name}")
        self.pages()
        wrong, self._wrong = self._wrong, []
        return wrong

    def pages(self) -> list[dict[str, Any]]:
        """All atendimentos, by the cursor."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            answer = self._call("GET", f"{API}/atendimentos", params={"limit": 7, **cursor})
            data = answer.json().get("data") or {"items": [], "nextCursor": None}
            found += data["items"]
            if data["nextCursor"] is None:
                return found
            cursor = {"cursor": data["nextCursor"]}
            assert len(found) < 5000, "the pages have no end"

    def _call(self, method: str, path: str, **options: Any) -> httpx.Response:
        response = self._client.request(method, path, **options)
        if response.status_code >= 500 and not (
            response.status_code == 503 and response.json()["code"] in NEEDS_A_PHONE
        ):
            self._note("a fault of ours", method, path, response)
        if not self._sees_all and (VICTIMS_TEXT in response.text or VICTIMS_NAME in response.text):
            self._note("a foreign row", method, path, response)
        return response

    def _note(self, what: str, method: str, path: str, response: httpx.Response) -> None:
        answer = f"{response.status_code} {response.text[:300]}"
        self._wrong.append(f"{what}: {method} {path}: {answer}")


def written(scene: Scene, forgery: Forgery) -> Iterator[tuple[str, str]]:
    """Every way in which the row comes to be there: (way, id)."""
    if scene.insert(forgery.table, forgery.row).is_success:
        yield "inserted", forgery.row["id"]
        scene.remove(forgery.table, forgery.row["id"])
    honest = HONEST[forgery.table](scene)
    assert scene.insert(forgery.table, honest).is_success, f"{forgery.table}: an honest row"
    if scene.update(forgery.table, honest["id"], forgery.changed).is_success:
        yield "updated", honest["id"]
    scene.remove(forgery.table, honest["id"])
    planted = {**HONEST[forgery.table](scene), **forgery.changed}
    if scene.plant(forgery.table, planted):
        yield "planted", planted["id"]
        scene.remove(forgery.table, planted["id"])


@pytest.mark.timeout(900)
def test_no_row_of_mine_reaches_what_is_anothers(scene: Scene, attack: Attack) -> None:
    before = scene.victims_rows()
    restarts = scene.restarts()
    shown = talk.inbox(scene.victim, scene.victims_customer)
    ways = {"inserted": 0, "updated": 0, "planted": 0}
    wrong: list[str] = []
    for forgery in forgeries(scene):
        for way, row_id in written(scene, forgery):
            ways[way] += 1
            wrong += [f"{forgery} ({way}): {one}" for one in attack.with_row(forgery.table, row_id)]
            if (now := scene.victims_rows()) != before:
                wrong.append(f"{forgery} ({way}): the victim's rows are others")
                before = now
    assert wrong == []
    assert min(ways.values()) > 10, ways  # all ways were tried

    assert talk.inbox(scene.victim, scene.victims_customer) == shown
    assert scene.restarts_since(restarts) == {}


def test_rows_of_no_sane_shape_end_nobodys_lists(scene: Scene) -> None:
    planted = [
        one
        for one in forgeries(scene)
        if one.table == "whatsapp_atendimentos" and scene.plant(one.table, one.row)
    ]
    assert len(planted) > 10
    everything = scene.product.query("select id::text from whatsapp_atendimentos")
    listed = {one["id"] for one in Attack(scene, API_KEY, sees_all=True).pages()}
    assert listed == {row_id for (row_id,) in everything}
    for one in planted:
        scene.remove(one.table, one.row["id"])


def test_the_victim_works_on_among_all_that(scene: Scene) -> None:
    """Hostile rows stay in the tables; the victim's customer is stored, answered and told."""
    planted = [one for one in forgeries(scene) if scene.plant(one.table, one.row)]
    configurations = [robot(scene) for _ in range(5001)]
    for row in configurations:
        row["ativo"] = False
    with_robots = json.dumps(configurations)
    scene.product.query(
        "insert into whatsapp_configuracoes (id, owner_id, company_id, nome, mensagem_boas_vindas,"
        " mensagem_menu, mensagem_despedida, ativo)"
        " select id, owner_id, company_id, nome, mensagem_boas_vindas, mensagem_menu,"
        " mensagem_despedida, ativo"
        " from jsonb_populate_recordset(null::whatsapp_configuracoes, %s::jsonb) returning id",
        with_robots,
    )
    restarts = scene.restarts()
    victim = scene.victim
    scene.product.data(
        "POST",
        f"{API}/robot",
        json={
            "ownerId": str(victim.owner),
            "nome": "Robô",
            "mensagemBoasVindas": "Olá da vítima",
            "mensagemMenu": "1 - Vendas",
            "mensagemDespedida": "Adeus da vítima",
        },
    )
    try:
        customer = scene._customer(victim, "Cliente nova", "oi")

        def texts() -> list[str]:
            return [one["text"] for one in talk.inbox(victim, customer)]

        until(lambda: "Olá da vítima" in texts(), seconds=40, what="the victim's robot answers")
        row = talk.wait_row(victim, conteudo="oi", numero_cliente=customer)
        path = f"{API}/atendimentos/{row['atendimento_id']}"
        scene.product.data("PATCH", path, json={"status": "FINALIZADO"})
        until(lambda: "Adeus da vítima" in texts(), seconds=40, what="the victim's goodbye")
        assert scene.restarts_since(restarts) == {}
    finally:
        scene.product.query(
            "delete from whatsapp_configuracoes where owner_id = %s returning id",
            scene.attacker.owner,
        )
        for one in planted:
            scene.remove(one.table, one.row["id"])


def test_an_honest_user_works_with_its_rows(scene: Scene) -> None:
    """What front ends do with the tables goes on working, and the API with what they wrote."""
    row = atendimento(scene)
    assert scene.insert("whatsapp_atendimentos", row).is_success
    text = {**message(scene), "atendimento_id": row["id"], "whatsapp_id": None}
    assert scene.insert("whatsapp_mensagens", text).is_success
    changes = {"nome_cliente": "João (Padaria)", "status": "FINALIZADO", "tags": ["vip"]}
    assert scene.update("whatsapp_atendimentos", row["id"], changes).is_success
    assert scene.update("whatsapp_mensagens", text["id"], {"lida": True}).is_success
    own = scene.attackers_message
    reaction = {"emoji": "👍"}
    scene.product.data("POST", f"{API}/messages/{own['id']}/reaction", json=reaction)
    until(
        lambda: any(
            one["kind"] == "reactionMessage"
            for one in talk.inbox(scene.attacker, scene.attackers_customer)
        ),
        what="the reaction is shown",
    )
    earlier = {name: value for name, value in message(scene).items() if name != "connection_id"}
    assert scene.insert("whatsapp_mensagens", earlier).is_success
