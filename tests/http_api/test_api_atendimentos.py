"""Atendimentos and robots over the API: what is asked of the runtime, and what is refused."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from fake_application import ATENDIMENTO, OWNER, ROBOT, STRANGER

from http_api import attendance, schemas
from runtime.errors import Conflict
from runtime.storage import AtendimentoFilter

API = "/api/whatsapp-integration"
ONE = f"{API}/atendimentos/{ATENDIMENTO}"
TEXTS = {
    "nome": "Robô",
    "mensagemBoasVindas": "Olá",
    "mensagemMenu": "1 - Vendas",
    "mensagemDespedida": "",
}


def data_of(response):
    assert response.status_code == 200, response.text
    return response.json()["data"]


def refused(response, status, code):
    assert response.status_code == status, response.text
    envelope = response.json()
    schemas.FailureBody.model_validate(envelope)
    assert envelope["code"] == code, envelope
    return envelope


async def test_a_list_without_filters(client, application):
    page = data_of(await client.get(f"{API}/atendimentos"))
    attendance.AtendimentoPage.model_validate(page)
    assert page["nextCursor"] == "mais"
    assert application.calls == [("list_atendimentos", AtendimentoFilter())]


async def test_a_list_with_every_filter(client, application):
    params = {
        "ownerId": OWNER,
        "companyId": STRANGER,
        "status": ["AGUARDANDO, EM_ATENDIMENTO", "CANCELADO"],
        "connectionId": "loja",
        "atendenteId": STRANGER,
        "numero": "(11) 98765-4321",
        "tag": "vip",
        "search": "josé",
        "from": "2026-01-31T00:00:00-03:00",
        "to": "2026-02-01",
        "cursor": "mais",
        "limit": "7",
    }
    data_of(await client.get(f"{API}/atendimentos", params=params))
    [(_, wanted)] = application.calls
    assert wanted == AtendimentoFilter(
        owner_id=UUID(OWNER),
        company_id=UUID(STRANGER),
        status=("AGUARDANDO", "EM_ATENDIMENTO", "CANCELADO"),
        connection_id="loja",
        atendente_id=UUID(STRANGER),
        numero="(11) 98765-4321",
        tag="vip",
        search="josé",
        since=datetime(2026, 1, 31, 3, tzinfo=UTC),
        until=datetime(2026, 2, 1, tzinfo=UTC),
        cursor="mais",
        limit=7,
    )


async def test_blank_filters_are_no_filters(client, application):
    names = (
        "ownerId",
        "companyId",
        "status",
        "connectionId",
        "atendenteId",
        "numero",
        "tag",
        "search",
        "from",
        "to",
        "cursor",
    )
    data_of(await client.get(f"{API}/atendimentos", params=dict.fromkeys(names, " ")))
    assert application.calls == [("list_atendimentos", AtendimentoFilter())]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ownerId", "eu"),
        ("atendenteId", "eu"),
        ("status", "AGUARDANDO,FECHADO"),
        ("from", "ontem"),
        ("to", "2026-13-01"),
        ("limit", "0"),
        ("limit", "201"),
        ("search", "x" * 101),
        ("cursor", "x" * 257),
    ],
)
async def test_bad_filters(client, application, name, value):
    response = await client.get(f"{API}/atendimentos", params={name: value})
    envelope = refused(response, 400, "validation_error")
    assert envelope["details"][0]["field"].startswith(name)
    assert application.calls == []


async def test_active_is_not_an_id(client, application):
    data_of(await client.get(f"{API}/atendimentos/active", params={"ownerId": OWNER}))
    assert application.calls[0][0] == "active_atendimentos"


async def test_one(client):
    assert data_of(await client.get(ONE))["id"] == ATENDIMENTO
    response = await client.get(ONE, params={"ownerId": STRANGER})
    refused(response, 404, "atendimento_not_found")
    refused(await client.get(f"{API}/atendimentos/7"), 400, "validation_error")


@pytest.mark.parametrize(
    ("body", "changes"),
    [
        ({"status": "EM_ATENDIMENTO"}, {"status": "EM_ATENDIMENTO"}),
        ({"atendenteId": STRANGER}, {"atendente_id": STRANGER}),
        ({"atendenteId": None}, {"atendente_id": None}),
        ({"atendenteId": ""}, {"atendente_id": None}),
        ({"prioridade": 5, "status": None}, {"prioridade": 5}),
        ({"tags": [" vip ", "vip", "nova"]}, {"tags": ["vip", "nova"]}),
        ({"tags": None, "observacoes": None}, {"tags": None, "observacoes": None}),
        ({"observacoes": "ligar amanhã"}, {"observacoes": "ligar amanhã"}),
    ],
)
async def test_changes(client, application, body, changes):
    data_of(await client.patch(ONE, json=body))
    assert application.calls[-1] == ("changes", changes)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "nothing_to_change"),
        ({"status": None}, "nothing_to_change"),
        ({"estado": "FINALIZADO"}, "unsupported_field"),
        ({"status": "ABERTO"}, "validation_error"),
        ({"status": ["FINALIZADO"]}, "validation_error"),
        ({"atendenteId": "joana"}, "validation_error"),
        ({"prioridade": "alta"}, "validation_error"),
        ({"prioridade": -1}, "validation_error"),
        ({"tags": "vip"}, "validation_error"),
        ({"tags": [""]}, "validation_error"),
        ({"tags": [1]}, "validation_error"),
        ({"tags": ["x"] * 51}, "validation_error"),
        ({"tags": ["x" * 65]}, "validation_error"),
        ({"observacoes": "x" * 10_001}, "validation_error"),
        ({"observacoes": {}}, "validation_error"),
        ([], "validation_error"),
    ],
)
async def test_bad_changes(client, application, body, code):
    refused(await client.patch(ONE, json=body), 400, code)
    assert application.calls == []


async def test_an_illegal_transition_is_a_conflict(client, application):
    application.failure = Conflict("encerrado", code="illegal_transition", details={"allowed": []})
    refused(await client.patch(ONE, json={"status": "AGUARDANDO"}), 409, "illegal_transition")


async def test_a_front_end_may_patch_from_its_own_origin(stranger):
    response = await stranger.options(
        ONE,
        headers={
            "Origin": "https://crm.example",
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "Authorization,Content-Type",
        },
    )
    assert "PATCH" in response.headers["access-control-allow-methods"]


# --- robots


async def test_a_robot_is_created_with_defaults(client, application):
    row = data_of(await client.post(f"{API}/robot", json={"ownerId": OWNER, **TEXTS}))
    assert row["id"] == ROBOT
    assert application.calls == [
        (
            "create_robot",
            {
                "owner_id": OWNER,
                "company_id": None,
                "nome": "Robô",
                "mensagem_boas_vindas": "Olá",
                "mensagem_menu": "1 - Vendas",
                "mensagem_despedida": "",
                "tempo_resposta": 300,
                "max_tentativas": 3,
                "ativo": True,
            },
        )
    ]


async def test_robots_are_listed_read_changed_and_deleted(client, application):
    params = {"ownerId": OWNER, "companyId": STRANGER}
    assert data_of(await client.get(f"{API}/robot", params=params)) == [{"id": ROBOT}]
    assert application.calls == [("robots", UUID(OWNER), UUID(STRANGER))]
    assert data_of(await client.get(f"{API}/robot/{ROBOT}"))["id"] == ROBOT
    body = {"ativo": False, "tempoResposta": 60, "nome": None}
    data_of(await client.patch(f"{API}/robot/{ROBOT}", json=body))
    assert application.calls[-1] == ("changes", {"ativo": False, "tempo_resposta": 60})
    assert data_of(await client.delete(f"{API}/robot/{ROBOT}"))["message"]
    for method in ("GET", "DELETE"):
        response = await client.request(method, f"{API}/robot/{STRANGER}")
        refused(response, 404, "robot_not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"ownerId": "eu"},
        {"nome": " "},
        {"nome": None},
        {"mensagemMenu": None},
        {"mensagemMenu": "x" * 4097},
        {"tempoResposta": 0},
        {"tempoResposta": 86_401},
        {"tempoResposta": "já"},
        {"maxTentativas": 0},
        {"maxTentativas": 21},
        {"ativo": "talvez"},
    ],
)
async def test_bad_robots(client, application, change):
    response = await client.post(f"{API}/robot", json={"ownerId": OWNER, **TEXTS, **change})
    envelope = refused(response, 400, "validation_error")
    assert [one["field"] for one in envelope["details"]] == list(change)
    if change.keys() & {"nome", "mensagemMenu"} and None in change.values():
        return
    if "ownerId" not in change:
        refused(await client.patch(f"{API}/robot/{ROBOT}", json=change), 400, "validation_error")
    assert application.calls == []


async def test_a_second_robot_is_a_conflict(client, application):
    application.failure = Conflict("Já existe.", code="robot_exists")
    response = await client.post(f"{API}/robot", json={"ownerId": OWNER, **TEXTS})
    refused(response, 409, "robot_exists")
