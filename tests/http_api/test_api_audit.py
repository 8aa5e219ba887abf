"""The audit log: every call that acts is in it, with who, through what, and what came of it."""

import logging
from uuid import UUID

import pytest
from access_table import TABLE
from conftest import INTEGRATION, connect
from fake_application import OWNER

from runtime.errors import Conflict
from runtime.storage.rows import read_message

MESSAGE = "0d8c3a52-64b7-4b36-9d3d-5a1c9e3b7f10"
READING = ("GET", "HEAD")
ACTING = [one for one in TABLE if one.permission == "send" or one.method not in READING]


def audited(caplog):
    return [vars(one) for one in caplog.records if one.name == "zapvisor.audit"]


@pytest.fixture
def row(application):
    """The row of a message of ``loja``, for the calls that act by one."""
    found = read_message(
        {
            "id": MESSAGE,
            "owner_id": OWNER,
            "connection_id": "loja",
            "atendimento_id": MESSAGE,
            "remetente": "CLIENTE",
            "timestamp": "2026-01-31T12:00:00+00:00",
            "whatsapp_id": "3EB0",
            "whatsapp_atendimentos": {
                "owner_id": OWNER,
                "connection_id": "loja",
                "numero_cliente": "5511987654321",
            },
        }
    )

    async def message(message_id, owner_id):
        assert owner_id in (None, UUID(OWNER))
        return found

    application.message = message
    application.read_message = lambda row: _told()
    return found


async def _told():
    return {"messageId": MESSAGE, "read": 1}


@pytest.mark.parametrize("route", ACTING, ids=str)
async def test_every_call_that_acts_is_recorded_also_when_it_is_refused(api, caplog, route):
    caplog.set_level(logging.INFO, "zapvisor.audit")
    async with connect(api, {"X-Api-Key": "zv_test-key-of-the-api-tests"}) as client:
        await client.request(route.method, route.url, params=route.query, json=route.body)
    [record] = audited(caplog)
    assert (record["who"], record["method"]) == ("key:environment", route.method)
    assert record["route"] == route.path
    assert "98765" not in repr(record)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"messages/{MESSAGE}/reaction", {"emoji": "👍"}),
        ("PATCH", f"messages/{MESSAGE}", {"content": "segredo"}),
        ("DELETE", f"messages/{MESSAGE}", None),
        ("POST", f"messages/{MESSAGE}/read", None),
        ("POST", "messages/send", {"connectionId": "loja", "to": "+5511987654321", "content": "a"}),
        ("GET", "contacts/check?connectionId=loja&phones=%2B5511987654321", None),
        ("POST", "connections/loja/presence", {"state": "composing", "to": "+5511987654321"}),
        ("POST", "connections/loja/pairing-code", {"phone": "+5511987654321"}),
        ("PATCH", "connections/loja", {"name": "Outra"}),
        ("POST", "connections", {"connectionId": "loja", "name": "x", "ownerId": OWNER}),
    ],
)
async def test_the_connection_is_named_and_nothing_of_the_content(
    client, caplog, row, loja, method, path, body
):
    caplog.clear()
    caplog.set_level(logging.INFO, "zapvisor.audit")
    await client.request(method, f"{INTEGRATION}/{path}", json=body)
    [record] = audited(caplog)
    assert record["connection"] == "loja"
    for hidden in ("98765", "segredo", "👍"):
        assert hidden not in repr(record)


async def test_what_came_of_it(client, application, caplog, row):
    caplog.set_level(logging.INFO, "zapvisor.audit")

    async def refuse(*_):
        raise Conflict("Não.", code="not_own_message")

    application.change_message = refuse
    await client.delete(f"{INTEGRATION}/messages/{MESSAGE}")
    await client.patch(f"{INTEGRATION}/messages/{MESSAGE}", json={"content": ""})
    assert [(one["status"], one["code"]) for one in audited(caplog)] == [
        (409, "not_own_message"),
        (400, "validation_error"),
    ]


async def test_looking_is_not_recorded(client, caplog, loja):
    caplog.clear()
    caplog.set_level(logging.INFO, "zapvisor.audit")
    for route in TABLE:
        if route.method == "GET" and route.permission == "read" and route.reach != "stream":
            await client.get(route.url, params=route.query)
    assert audited(caplog) == []
