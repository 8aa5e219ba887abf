"""The API over a fake runtime, in memory; keys, limits and clients as fixtures."""

import httpx
import pytest
from fake_application import OWNER, FakeApplication

from http_api.app import create_app
from http_api.keys import KeyStore
from http_api.limits import Limits
from runtime.settings import Settings
from tests.contract import check

KEY = "zv_test-key-of-the-api-tests"
INTEGRATION = "/api/whatsapp-integration"


@pytest.fixture
def settings(tmp_path):
    return Settings(
        _env_file=None,
        ZAPVISOR_DATA_DIR=tmp_path,
        ZAPVISOR_API_KEY=KEY,
        CORS_ORIGIN="https://crm.example, http://localhost:5173",
        PORT=0,
    )


@pytest.fixture
def application(settings):
    return FakeApplication(settings)


@pytest.fixture
def limits():
    return Limits()


@pytest.fixture
def api(application, settings, limits):
    return create_app(application, keys=KeyStore.load(settings), limits=limits)


@pytest.fixture
async def client(api):
    """A client that sends the right key."""
    async with connect(api, {"X-Api-Key": KEY}) as one:
        yield one


@pytest.fixture
async def stranger(api):
    """A client that sends no key."""
    async with connect(api, {}) as one:
        yield one


def connect(api, headers):
    """A client; every refusal that it gets must be one that the OpenAPI document tells of."""

    async def refusals(response):
        if response.status_code >= 400:
            await response.aread()
            check(response)

    transport = httpx.ASGITransport(app=api)
    return httpx.AsyncClient(
        transport=transport,
        base_url="http://zapvisor",
        headers=headers,
        event_hooks={"response": [refusals]},
    )


@pytest.fixture
async def loja(client):
    """A connection that exists; its id."""
    body = {"connectionId": "loja", "name": "Loja", "ownerId": OWNER}
    assert (await client.post(f"{INTEGRATION}/connections", json=body)).status_code == 200
    return "loja"
