"""Bounds in memory: sizes, times, numbers, browsers and headers."""

import pytest
import trio
import trio.testing
from conftest import KEY, connect

from http_api.app import create_app
from http_api.limits import Limits

API = "/api/whatsapp-integration/connections"
SEND = "/api/whatsapp-integration/messages/send"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def limits():
    return Limits(
        body_bytes=1000,
        body_seconds=5,
        drain_bytes=5000,
        drain_seconds=2,
        concurrent_requests=2,
        request_seconds=30,
    )


async def test_body_of_the_largest_size_passes(client):
    body = b'{"x":"' + b"y" * 992 + b'"}'
    assert len(body) == 1000
    assert (await client.post(API, content=body, headers=JSON)).json()["code"] != "body_too_large"


async def chunks(*sizes, pause=0.0):
    for size in sizes:
        await trio.sleep(pause)
        yield b"x" * size


@pytest.mark.parametrize("body", [b"x" * 1001, (1001,), (600, 401), (600, 2000)])
async def test_larger_body_is_refused_announced_or_streamed(client, application, body):
    content = body if isinstance(body, bytes) else chunks(*body)
    response = await client.post(API, content=content, headers=JSON)
    assert response.status_code == 413
    assert response.json()["code"] == "body_too_large"
    assert response.json()["details"] == {"maxBytes": 1000}
    assert application.calls == []


async def test_endless_body_is_cut_off(client, autojump_clock):
    response = await client.post(API, content=chunks(*[900] * 1000), headers=JSON)
    assert response.status_code == 413
    assert response.headers["connection"] == "close"


async def test_absurd_announced_length(client):
    headers = JSON | {"Content-Length": "9" * 5000}
    response = await client.post(API, content=b"{}", headers=headers)
    assert response.status_code == 413


async def test_slow_body_times_out(client, application, autojump_clock):
    response = await client.post(API, content=chunks(*[1] * 100, pause=1), headers=JSON)
    assert response.status_code == 408
    assert response.json()["code"] == "request_timeout"
    assert application.calls == []


async def test_slow_call_is_answered_at_its_deadline(client, application, autojump_clock):
    application.delay = 1000
    began = trio.current_time()
    response = await client.get(API)
    assert response.status_code == 504
    assert response.json()["code"] == "deadline_exceeded"
    assert response.headers["retry-after"] == "5"
    assert trio.current_time() - began == pytest.approx(30, abs=0.1)


async def test_control_calls_may_take_longer(client, application, autojump_clock):
    application.delay = 100
    assert (await client.post("/api/whatsapp-bootstrap/restart")).status_code == 200
    application.delay = 121
    assert (await client.post("/api/whatsapp-bootstrap/restart")).status_code == 504


async def test_excess_requests_are_refused_and_health_still_answers(
    client, application, autojump_clock
):
    application.delay = 10
    statuses = []

    async def get(path):
        response = await client.get(path)
        statuses.append(response.status_code)
        return response

    async with trio.open_nursery() as nursery:
        nursery.start_soon(get, API)
        nursery.start_soon(get, API)
        await trio.testing.wait_all_tasks_blocked()
        refused = await get(API)
        assert refused.status_code == 503
        assert refused.json()["code"] == "overloaded"
        assert refused.headers["retry-after"] == "1"
        assert (await get("/health/live")).status_code == 200
    assert (await get(API)).status_code == 200
    assert statuses == [503, 200, 200, 200, 200]


async def test_sends_leave_room_for_reads(api, application, autojump_clock):
    """However many sends wait for WhatsApp, a list is answered at once."""
    limits = Limits(concurrent_requests=5, concurrent_sends=3)
    api = create_app(application, keys=api.state.keys, limits=limits)
    application.delay = 60
    body = {"connectionId": "loja", "to": "+5511987654321", "content": "Olá"}
    answers = []

    async def write(client):
        answers.append(await client.post(SEND, json=body))

    async with connect(api, {"X-Api-Key": KEY}) as client, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(write, client)
        await trio.testing.wait_all_tasks_blocked()
        application.delay = 0
        assert (await client.post(SEND, json=body)).json()["code"] == "overloaded"
        began = trio.current_time()
        for _ in range(10):
            assert (await client.get(API)).status_code == 200
        assert trio.current_time() - began < 1
    assert [answer.status_code for answer in answers] == [200] * 3


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (f"{API}?x={'y' * 9000}", {}, 414, "url_too_long"),
        (f"{API}/{'y' * 9000}", {}, 414, "url_too_long"),
        (API, {"X-Large": "y" * 17_000}, 431, "headers_too_large"),
        (API, {f"X-{n}": "y" for n in range(101)}, 431, "headers_too_large"),
    ],
)
async def test_oversized_requests(stranger, path, headers, status, code):
    response = await stranger.get(path, headers=headers)
    assert response.status_code == status
    assert response.json()["code"] == code


# --- browsers


@pytest.mark.parametrize("origin", ["https://crm.example", "http://localhost:5173"])
async def test_preflight_of_an_allowed_origin(stranger, origin):
    response = await stranger.options(
        API,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "x-api-key, content-type, idempotency-key",
        },
    )
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == origin


async def test_other_origins_get_no_permission(stranger):
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    response = await stranger.options(API, headers=headers)
    assert response.status_code == 400
    assert "access-control-allow-origin" not in response.headers


async def test_refusals_can_be_read_by_the_front_end(stranger):
    response = await stranger.get(API, headers={"Origin": "https://crm.example"})
    assert response.status_code == 401
    assert response.headers["access-control-allow-origin"] == "https://crm.example"


@pytest.mark.parametrize("path", [API, "/health/live", "/none", "/docs", "/metrics"])
async def test_security_headers_everywhere(client, path):
    headers = (await client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers


async def test_websockets_are_refused(api):
    sent = []

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message["type"])

    scope = {
        "type": "websocket",
        "path": API,
        "raw_path": API.encode(),
        "query_string": b"",
        "headers": [],
        "root_path": "",
        "scheme": "ws",
    }
    await api(scope, receive, send)
    assert sent == ["websocket.close"]


async def test_client_that_leaves_in_the_middle_of_its_body(api):
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = post_scope(API)
    await api(scope, receive, send)
    assert sent == []


def post_scope(path):
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (b"content-length", b"10"),
            (b"x-api-key", b"zv_test-key-of-the-api-tests"),
        ],
        "http_version": "1.1",
        "root_path": "",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
