"""The key set of Supabase Auth: fetched when needed, seldom, and not trusted to answer."""

import time

import httpx
import pytest
import trio
from access_table import OWNER_A
from conftest import INTEGRATION, connect
from credentials import EC_KEY, RSA_KEY, key_set_document, token
from fake_application import JWT_SECRET

from http_api.app import create_app
from http_api.keys import KeyStore
from http_api.tokens import FETCH_INTERVAL, KEYS_FRESH, InvalidToken, KeySet, TokenVerifier
from runtime.settings import Settings

PATH = f"{INTEGRATION}/connections"


class Auth:
    """Serves a key set; ``answer`` replaces it by something else."""

    def __init__(self):
        self.fetched = 0
        self.document = key_set_document()
        self.answer = None

    async def __call__(self, request):
        self.fetched += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer == "hangs":
            await trio.sleep_forever()
        return self.answer or httpx.Response(200, json=self.document)


@pytest.fixture
def auth():
    return Auth()


@pytest.fixture
def api(application, auth):
    keys = KeySet("https://auth.example/jwks.json", httpx.MockTransport(auth))
    return create_app(application, keys=KeyStore(), tokens=TokenVerifier(None, keys))


def signed(kid="ec", key=EC_KEY, algorithm="ES256", **changes):
    changes.setdefault("exp", 4_000_000_000)
    return token(OWNER_A, key, algorithm, kid, **changes)


async def status_with(api, text):
    async with connect(api, {"Authorization": f"Bearer {text}"}) as client:
        response = await client.get(PATH)
    return response.status_code, response.json().get("code"), response.headers.get("retry-after")


OK = (200, None, None)
REFUSED = (401, "invalid_credential", None)


async def test_the_set_is_fetched_once_for_many_tokens(api, auth, autojump_clock):
    assert auth.fetched == 0
    async with trio.open_nursery() as nursery:
        for kid, key, algorithm in (("ec", EC_KEY, "ES256"), ("rsa", RSA_KEY, "RS256")) * 3:
            nursery.start_soon(status_with, api, signed(kid, key, algorithm))
    assert await status_with(api, signed()) == OK
    assert auth.fetched == 1


async def test_unknown_ids_do_not_make_us_fetch_more_often(api, auth, autojump_clock):
    assert await status_with(api, signed()) == OK
    for number in range(20):
        assert await status_with(api, signed(f"kid-{number}")) == REFUSED
    assert auth.fetched == 1
    await trio.sleep(FETCH_INTERVAL)
    for number in range(20):
        assert await status_with(api, signed(f"kid-{number}")) == REFUSED
    assert auth.fetched == 2


async def test_a_new_key_is_found_and_a_withdrawn_one_ends(api, auth, autojump_clock):
    assert await status_with(api, signed()) == OK
    auth.document = {"keys": [{**auth.document["keys"][0], "kid": "new"}]}
    await trio.sleep(FETCH_INTERVAL)
    assert await status_with(api, signed("new")) == OK
    assert await status_with(api, signed()) == REFUSED
    auth.document = {"keys": []}
    await trio.sleep(KEYS_FRESH)
    assert await status_with(api, signed("new")) == REFUSED


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("down"),
        httpx.Response(500),
        httpx.Response(302, headers={"Location": "https://evil.example"}),
        httpx.Response(200, text="no json"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"keys": "x"}),
        httpx.Response(200, text=" " * 300_000),
        "hangs",
    ],
    ids=repr,
)
async def test_an_outage_of_auth_is_told_as_such(api, auth, autojump_clock, answer):
    auth.answer = answer
    assert await status_with(api, signed()) == (503, "auth_unavailable", "5")
    auth.answer = None
    await trio.sleep(FETCH_INTERVAL)
    assert await status_with(api, signed()) == OK


async def test_an_outage_later_signs_nobody_out(api, auth, autojump_clock):
    assert await status_with(api, signed()) == OK
    auth.answer = httpx.ConnectError("down")
    await trio.sleep(KEYS_FRESH * 3)
    assert await status_with(api, signed()) == OK


@pytest.mark.parametrize(
    ("environment", "secret", "kinds"),
    [
        ({}, "local", {"secret"}),
        ({"SUPABASE_URL": "https://x.supabase.co"}, None, {"keys"}),
        ({"SUPABASE_URL": "https://x.supabase.co/"}, "s" * 40, {"secret", "keys"}),
        ({"SUPABASE_URL": "https://x.supabase.co"}, "", {"keys"}),
    ],
)
def test_what_an_installation_accepts(tmp_path, environment, secret, kinds):
    settings = Settings(_env_file=None, ZAPVISOR_DATA_DIR=tmp_path, **environment)
    verifier = TokenVerifier.of(settings, secret, 600)
    assert {name for name in ("secret", "keys") if getattr(verifier, f"_{name}")} == kinds
    if "keys" in kinds:
        assert verifier._keys.url == "https://x.supabase.co/auth/v1/.well-known/jwks.json"


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({"exp": -1}, True),
        ({"exp": -3600}, False),
        ({"nbf": 20}, True),
        ({"nbf": 3600}, False),
        ({"iat": 20}, True),
    ],
)
async def test_clocks_may_differ_a_little(changes, accepted):
    now = int(time.time())
    text = token(**{name: now + seconds for name, seconds in changes.items()})
    verified = TokenVerifier(JWT_SECRET).verify(text)
    if accepted:
        assert str((await verified).owner_id) == OWNER_A
    else:
        with pytest.raises(InvalidToken):
            await verified


async def test_a_user_has_a_rate(application, autojump_clock):
    tokens = TokenVerifier(application.jwt_secret, rate_per_minute=60)
    api = create_app(application, keys=KeyStore(), tokens=tokens)
    headers = {"Authorization": f"Bearer {token(exp=4_000_000_000)}"}
    async with connect(api, headers) as client:
        statuses = [(await client.get(PATH)).status_code for _ in range(12)]
        assert statuses == [200] * 10 + [429] * 2
        await trio.sleep(1)
        assert (await client.get(PATH)).status_code == 200
