"""Keys over the API: made, listed, rotated, revoked; noticed at once; limited; written down."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
import trio
import trio.testing
from conftest import INTEGRATION, connect
from fake_application import OWNER, STRANGER

from http_api.keys import KeyScope, KeyStore

KEYS = "/api/whatsapp-bootstrap/keys"


async def make(client, **body):
    response = await client.post(KEYS, json={"name": "chave", "role": "admin", **body})
    assert response.status_code == 200, response.text
    return response.json()["data"]


async def status_with(api, key, path=f"{INTEGRATION}/connections", method="GET"):
    async with connect(api, {"X-Api-Key": key}) as one:
        return (await one.request(method, path)).status_code


async def test_a_key_is_made_with_its_reach_and_shown_once(client, api):
    made = await make(
        client, role="owner", ownerId=OWNER, permissions=["read"], expiresAt="2999-01-01"
    )
    assert made["key"].startswith("zv_")
    listed = (await client.get(KEYS)).json()["data"]
    assert [one["id"] for one in listed] == ["environment", made["id"]]
    (one,) = [each for each in listed if each["id"] == made["id"]]
    assert one == {name: value for name, value in made.items() if name != "key"}
    assert (one["role"], one["ownerId"], one["permissions"]) == ("owner", OWNER, ["read"])
    assert (one["expiresAt"], one["expired"]) == ("2999-01-01T00:00:00+00:00", False)
    assert (one["lastUsedAt"], one["ratePerMinute"]) == (None, 600)
    assert await status_with(api, made["key"]) == 200
    listed = (await client.get(KEYS)).json()["data"]
    assert all(each["lastUsedAt"] for each in listed)


async def test_a_connection_key_belongs_to_the_owner_of_its_connection(client, loja):
    made = await make(client, role="connection", connectionId=loja)
    assert (made["ownerId"], made["connectionId"]) == (OWNER, loja)
    body = {"name": "x", "role": "connection", "connectionId": loja, "ownerId": STRANGER}
    response = await client.post(KEYS, json=body)
    assert (response.status_code, response.json()["code"]) == (400, "invalid_key_scope")
    response = await client.post(KEYS, json={**body, "connectionId": "nobody"})
    assert (response.status_code, response.json()["code"]) == (404, "connection_not_found")


@pytest.mark.parametrize(
    "change",
    [
        {"name": " "},
        {"name": None},
        {"role": "king"},
        {"role": None},
        {"permissions": []},
        {"permissions": ["fly"]},
        {"role": "owner"},
        {"role": "admin", "ownerId": OWNER},
        {"role": "admin", "connectionId": "loja"},
        {"role": "owner", "ownerId": OWNER, "connectionId": "loja"},
        {"role": "connection"},
        {"role": "connection", "ownerId": OWNER},
        {"expiresAt": "2001-01-01T00:00:00Z"},
        {"expiresAt": "soon"},
        {"ratePerMinute": 0},
        {"ratePerMinute": "x"},
    ],
)
async def test_a_senseless_key_is_refused(client, change):
    response = await client.post(KEYS, json={"name": "x", "role": "admin", **change})
    assert response.status_code == 400, response.text
    assert len((await client.get(KEYS)).json()["data"]) == 1


async def test_rotation_ends_the_old_secret_at_once(client, api):
    made = await make(client)
    rotated = (await client.post(f"{KEYS}/{made['id']}/rotate")).json()["data"]
    assert (rotated["id"], rotated["name"]) == (made["id"], made["name"])
    assert await status_with(api, made["key"]) == 401
    assert await status_with(api, rotated["key"]) == 200


async def test_revocation_ends_a_key_at_once(client, api):
    made = await make(client)
    assert await status_with(api, made["key"]) == 200
    assert (await client.delete(f"{KEYS}/{made['id']}")).status_code == 200
    assert await status_with(api, made["key"]) == 401
    response = await client.delete(f"{KEYS}/{made['id']}")
    assert (response.status_code, response.json()["code"]) == (404, "key_not_found")


@pytest.mark.parametrize(("method", "suffix"), [("POST", "/rotate"), ("DELETE", "")])
async def test_the_key_of_the_environment_stays(client, method, suffix):
    response = await client.request(method, f"{KEYS}/environment{suffix}")
    assert (response.status_code, response.json()["code"]) == (409, "key_from_environment")


async def test_what_another_process_does_to_the_file_counts_at_once(client, api, settings):
    elsewhere = KeyStore.load(settings)
    key, plaintext = elsewhere.create(KeyScope("de fora"))
    assert await status_with(api, plaintext) == 200
    elsewhere.revoke(key.id)
    assert await status_with(api, plaintext) == 401


async def test_a_damaged_file_leaves_the_known_keys_in_force(client, api, settings):
    made = await make(client)
    (settings.data_dir / "api_keys.json").write_text("{")
    assert await status_with(api, made["key"]) == 200
    assert await status_with(api, "zv_other") == 401


async def test_two_processes_lose_no_key_of_each_other(client, settings):
    elsewhere = KeyStore.load(settings)
    made = await make(client)
    other, _ = elsewhere.create(KeyScope("de fora"))
    assert {made["id"], other.id} <= {one.id for one in KeyStore.load(settings).all()}


def test_an_expired_key_is_told_apart(settings):
    store = KeyStore.load(settings)
    soon = datetime.now(UTC) + timedelta(seconds=60)
    key, plaintext = store.create(KeyScope("x", expires_at=soon))
    assert store.verify(plaintext) == key
    assert not key.expired(soon - timedelta(seconds=1))
    assert key.expired(soon)


async def test_when_a_key_was_used_survives_a_restart(settings):
    store = KeyStore.load(settings)
    key, _ = store.create(KeyScope("x"))
    now = datetime.now(UTC)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.keep_used)
        store.mark_used(key, now)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert KeyStore.load(settings).last_used(key) == now


async def test_a_key_has_a_rate(client, api, autojump_clock):
    made = await make(client, ratePerMinute=60)
    async with connect(api, {"X-Api-Key": made["key"]}) as one:
        path = f"{INTEGRATION}/connections"
        answers = [await one.get(path) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [429]
        refusal = answers[-1]
        assert refusal.json()["code"] == "rate_limited"
        assert refusal.headers["retry-after"] == "1"
        # Others are not concerned.
        assert (await client.get(path)).status_code == 200


# --- the audit log


def audited(caplog):
    return [vars(record) for record in caplog.records if record.name == "zapvisor.audit"]


async def test_control_calls_are_written_down_without_secrets(client, api, caplog, loja):
    caplog.set_level(logging.INFO)
    caplog.clear()  # of what made the connection
    made = await make(client, role="owner", ownerId=OWNER)
    async with connect(api, {"X-Api-Key": made["key"]}) as owner:
        await owner.post("/api/whatsapp-bootstrap/shutdown")
        await owner.post(f"{INTEGRATION}/connections/{loja}/restart")
        await owner.get(f"{INTEGRATION}/connections/{loja}")
        body = {"connectionId": loja, "to": "+5511987654321", "content": "segredo"}
        await owner.post(f"{INTEGRATION}/messages/send", json=body)
    async with connect(api, {"X-Api-Key": "zv_wrong"}) as stranger:
        await stranger.post("/api/whatsapp-bootstrap/restart")
    records = audited(caplog)
    assert [(one["who"], one["method"], one["route"], one["status"]) for one in records] == [
        ("key:environment", "POST", KEYS, 200),
        (f"key:{made['id']}", "POST", "/api/whatsapp-bootstrap/shutdown", 403),
        (f"key:{made['id']}", "POST", f"{INTEGRATION}/connections/{{id}}/restart", 200),
        (f"key:{made['id']}", "POST", f"{INTEGRATION}/messages/send", 200),
        (None, "POST", None, 401),
    ]
    assert [one["connection"] for one in records] == [None, None, loja, loja, None]
    assert [one["code"] for one in records] == [None, "forbidden", None, None, None]
    assert records[2]["target"] == {"id": loja}
    assert (records[1]["credential"], records[1]["role"]) == ("chave", "owner")
    for secret in (made["key"], "zv_", "segredo", "98765"):
        assert secret not in caplog.text
        assert secret not in repr(records)
