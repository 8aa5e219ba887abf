"""Health, metrics and documentation."""

import re

import trio
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from runtime.distribution import Distribution
from runtime.readings import Reading

API = "/api/whatsapp-integration"


async def test_live(stranger, application):
    assert (await stranger.get("/health/live")).json()["data"] == {"status": "alive"}
    application.alive = False
    response = await stranger.get("/health/live")
    assert response.status_code == 503
    assert response.json()["code"] == "not_alive"


async def test_ready_with_parts(stranger, application):
    response = await stranger.get("/health/ready")
    assert response.status_code == 200
    assert response.json()["data"] == {"journal": "ready"}
    application.is_ready = False
    response = await stranger.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["code"] == "not_ready"
    assert response.json()["details"] == {"journal": "ready"}
    assert response.headers["retry-after"] == "5"


async def samples(client):
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


async def test_metrics_of_the_runtime_in_every_kind(client, application):
    seconds = Distribution((0.1, 1.0))
    for one in (0.05, 0.5, 5.0):
        seconds.add(one)
    application.told = [
        Reading("journal_pending", 3),
        Reading("journal_accepted", 9),
        Reading("connections", 1, ("connecting",)),
        Reading("connections", 2, ("connected",)),
        Reading("supabase_response_seconds", seconds),
    ]
    values = await samples(client)
    assert values["zapvisor_journal_pending", ()] == 3
    assert values["zapvisor_journal_accepted_total", ()] == 9
    assert values["zapvisor_connections", (("status", "connecting"),)] == 1
    assert values["zapvisor_connections", (("status", "connected"),)] == 2
    assert values["zapvisor_supabase_response_seconds_bucket", (("le", "0.1"),)] == 1
    assert values["zapvisor_supabase_response_seconds_bucket", (("le", "1.0"),)] == 2
    assert values["zapvisor_supabase_response_seconds_bucket", (("le", "+Inf"),)] == 3
    assert values["zapvisor_supabase_response_seconds_count", ()] == 3
    assert values["zapvisor_supabase_response_seconds_sum", ()] == 5.55
    assert ("zapvisor_journal_stored_total", ()) not in values


async def test_openmetrics_for_those_who_ask_for_it(client, application):
    application.told = [Reading("journal_accepted", 9)]
    accept = "application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.2"
    response = await client.get("/metrics", headers={"Accept": accept})
    assert response.headers["content-type"].startswith(
        "application/openmetrics-text; version=1.0.0"
    )
    assert "Accept" in response.headers["vary"]
    assert response.text.endswith("# EOF\n")
    (family,) = (
        family
        for family in openmetrics(response.text)
        if family.name == "zapvisor_journal_accepted"
    )
    assert family.type == "counter"
    assert [(sample.name, sample.value) for sample in family.samples] == [
        ("zapvisor_journal_accepted_total", 9)
    ]


async def test_metrics_of_requests_name_routes_and_never_ids(client):
    await client.get(f"{API}/connections/5511987654321")
    await client.get("/5511987654321")
    await client.request("BREW5511987654321", "/docs")
    values = await samples(client)
    labels = (("method", "GET"), ("route", f"{API}/connections/{{id}}"), ("status", "404"))
    assert values["zapvisor_http_requests_total", labels] == 1
    labels = (("method", "GET"), ("route", "none"), ("status", "404"))
    assert values["zapvisor_http_requests_total", labels] == 1
    route = (("route", f"{API}/connections/{{id}}"),)
    assert values["zapvisor_http_request_seconds_count", route] == 1
    assert values["zapvisor_http_requests_active", ()] == 1
    assert not any("5511987654321" in str(key) for key in values)


async def test_metrics_survive_a_runtime_in_trouble(client, application, autojump_clock):
    application.failure = RuntimeError("no readings")
    assert ("zapvisor_http_requests_active", ()) in await samples(client)
    application.failure = None
    application.told = [Reading("journal_pending", 3)]
    application.delay = 1000
    values = await samples(client)
    assert ("zapvisor_http_requests_active", ()) in values
    assert ("zapvisor_journal_pending", ()) not in values


async def test_the_runtime_is_asked_once_a_second_at_most(client, application, autojump_clock):
    application.told = [Reading("journal_pending", 3)]
    for _ in range(5):
        assert (await samples(client))["zapvisor_journal_pending", ()] == 3
    await trio.sleep(1)
    application.told = [Reading("journal_pending", 4)]
    assert (await samples(client))["zapvisor_journal_pending", ()] == 4
    assert application.calls.count(("readings",)) == 2


# --- documentation


async def test_openapi_describes_every_call_of_the_contract(stranger):
    spec = (await stranger.get("/openapi.json")).json()
    assert spec["openapi"].startswith("3.1")
    calls = {(m, p) for p, methods in spec["paths"].items() for m in methods}
    bootstrap = "/api/whatsapp-bootstrap"
    assert calls >= {
        ("post", f"{bootstrap}/initialize"),
        ("get", f"{bootstrap}/status"),
        ("get", f"{bootstrap}/stats"),
        ("post", f"{bootstrap}/test"),
        ("post", f"{bootstrap}/test-connection"),
        ("post", f"{bootstrap}/restart"),
        ("post", f"{bootstrap}/shutdown"),
        ("post", f"{API}/connections"),
        ("get", f"{API}/connections"),
        ("get", f"{API}/connections/{{id}}"),
        ("delete", f"{API}/connections/{{id}}"),
        ("get", f"{API}/connections/{{id}}/qr"),
        ("post", f"{API}/connections/{{id}}/restart"),
        ("post", f"{API}/connections/{{id}}/logout"),
        ("get", f"{API}/connections/{{id}}/archives"),
        ("post", f"{API}/connections/{{id}}/restore"),
        ("post", f"{API}/messages/send"),
        ("get", f"{API}/messages/{{atendimentoId}}"),
        ("get", f"{API}/atendimentos/active"),
        ("get", f"{API}/atendimentos"),
        ("get", f"{API}/atendimentos/{{id}}"),
        ("patch", f"{API}/atendimentos/{{id}}"),
        ("post", f"{API}/robot"),
        ("get", f"{API}/robot"),
        ("get", f"{API}/robot/{{id}}"),
        ("patch", f"{API}/robot/{{id}}"),
        ("delete", f"{API}/robot/{{id}}"),
        ("get", f"{API}/sessions/active"),
        ("get", f"{API}/stats/supabase"),
        ("post", f"{API}/queue/clear"),
        ("get", "/health/live"),
        ("get", "/health/ready"),
        ("get", "/metrics"),
    }


async def test_openapi_documents_failures_and_sign_in(api):
    spec = api.openapi()
    ids = []
    for path, methods in spec["paths"].items():
        for operation in methods.values():
            ids.append(operation["operationId"])
            assert operation["summary"]
            assert operation["tags"]
            if path.startswith("/api/"):
                assert operation["security"] == [{"HTTPBearer": []}, {"APIKeyHeader": []}]
                assert {"200", "400", "401", "503"} <= set(operation["responses"])
    assert len(ids) == len(set(ids))
    assert "HTTPValidationError" not in spec["components"]["schemas"]


async def test_docs_need_neither_scripts_nor_the_internet(stranger, api):
    response = await stranger.get("/docs")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    page = response.text
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!/openapi\.json")', page)
    for path in api.openapi()["paths"]:
        assert f"<code>{path}</code>" in page
