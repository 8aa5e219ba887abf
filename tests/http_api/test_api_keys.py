"""Who gets in, who does not, and how keys are kept."""

import json
import stat

import pytest

from http_api.keys import KeyFileUnreadable, KeyStore, KeyTooShort
from runtime.settings import Settings

KEY = "zv_test-key-of-the-api-tests"
API = "/api/whatsapp-integration/connections"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Api-Key": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY} "},
        {"X-Api-Key": KEY, "Authorization": "Bearer token-of-an-end-user"},
    ],
)
async def test_right_key(stranger, headers):
    assert (await stranger.get(API, headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_credential"),
        ({"Authorization": ""}, "missing_credential"),
        ({"X-Api-Key": " "}, "missing_credential"),
        ({"X-Api-Key": "wrong"}, "invalid_credential"),
        ({"X-Api-Key": KEY + "x"}, "invalid_credential"),
        ({"X-Api-Key": KEY[:-1]}, "invalid_credential"),
        ({"X-Api-Key": "ol\xe1"}, "invalid_credential"),
        ({"Authorization": "Bearer"}, "invalid_credential"),
        ({"Authorization": "Bearer wrong"}, "invalid_credential"),
        ({"Authorization": f"Basic {KEY}"}, "invalid_credential"),
        ({"Authorization": KEY}, "invalid_credential"),
        ({"X-Api-Key": "wrong", "Authorization": f"Bearer {KEY}"}, "invalid_credential"),
    ],
)
async def test_wrong_or_no_key(stranger, application, headers, code):
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    response = await stranger.get(API, headers=raw)
    assert response.status_code == 401
    assert response.json()["code"] == code
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert application.calls == []


async def test_key_in_the_query_does_not_count(stranger):
    response = await stranger.get(API, params={"api_key": KEY, "X-Api-Key": KEY})
    assert response.status_code == 401


async def test_every_route_under_api_needs_a_key(stranger, api, application):
    tried = 0
    for path, methods in api.openapi()["paths"].items():
        if path.startswith("/api/"):
            for method in methods:
                response = await stranger.request(method, path.replace("{", "").replace("}", ""))
                assert response.status_code == 401, (method, path)
                tried += 1
    assert tried >= 28
    assert application.calls == []


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/none", f"{API}/", f"{API}/x/../y"])
async def test_unknown_paths_under_api_tell_nothing_without_a_key(stranger, path):
    assert (await stranger.get(path)).status_code == 401


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs"]
)
async def test_public_routes(stranger, path):
    assert (await stranger.get(path)).status_code == 200


async def test_bad_body_without_a_key_is_about_the_key(stranger):
    response = await stranger.post(API, content=b"{", headers={"Content-Type": "text/plain"})
    assert response.status_code == 401


# --- the store


def settings_in(path, **more):
    return Settings(_env_file=None, ZAPVISOR_DATA_DIR=path, **more)


def test_first_run_makes_a_key_once(tmp_path):
    settings = settings_in(tmp_path / "new")
    plaintext = KeyStore.ensure(settings)
    assert plaintext is not None
    assert plaintext.startswith("zv_")
    assert len(plaintext) >= 3 + 43  # 256 bits in base64
    assert KeyStore.ensure(settings) is None
    store = KeyStore.load(settings)
    assert store.verify(plaintext) is not None
    assert store.verify(plaintext.encode()) is not None
    assert store.verify(f"{plaintext} ") is None


def test_only_the_hash_is_on_disk_and_only_for_us(tmp_path):
    plaintext = KeyStore.ensure(settings_in(tmp_path))
    file = tmp_path / "api_keys.json"
    assert {one.name for one in tmp_path.iterdir()} == {"api_keys.json", "api_keys.lock"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert plaintext not in file.read_text()
    (entry,) = json.loads(file.read_text())["keys"]
    assert (entry["role"], entry["permissions"]) == ("admin", ["manage", "read", "send"])


def test_two_installations_have_different_keys(tmp_path):
    first = KeyStore.ensure(settings_in(tmp_path / "a"))
    assert first != KeyStore.ensure(settings_in(tmp_path / "b"))


def test_key_from_the_environment_is_an_admin_beside_those_of_the_file(tmp_path):
    generated = KeyStore.ensure(settings_in(tmp_path))
    settings = settings_in(tmp_path, ZAPVISOR_API_KEY="an-operator's-chave-é")
    assert KeyStore.ensure(settings) is None
    store = KeyStore.load(settings)
    assert store.verify("an-operator's-chave-é").principal().is_admin
    assert store.verify(generated) is not None


def test_key_from_the_environment_writes_nothing(tmp_path):
    assert KeyStore.ensure(settings_in(tmp_path, ZAPVISOR_API_KEY="x" * 16)) is None
    assert list(tmp_path.iterdir()) == []


def test_short_key_from_the_environment_is_refused(tmp_path):
    with pytest.raises(KeyTooShort, match="16"):
        KeyStore.ensure(settings_in(tmp_path, ZAPVISOR_API_KEY="x" * 15))


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"keys": [{}]}', "null"])
def test_damaged_file_is_reported_and_kept(tmp_path, content):
    file = tmp_path / "api_keys.json"
    file.write_text(content)
    with pytest.raises(KeyFileUnreadable, match=r"api_keys\.json"):
        KeyStore.ensure(settings_in(tmp_path))
    assert file.read_text() == content


def test_no_key_lets_nobody_in(tmp_path):
    store = KeyStore.load(settings_in(tmp_path))
    assert len(store) == 0
    assert store.verify("") is None
