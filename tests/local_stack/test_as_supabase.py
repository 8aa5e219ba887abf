"""What clients of a Supabase project rely on."""

from __future__ import annotations

import stat
import time
import uuid
from contextlib import suppress

import httpx
import jwt
import psutil
import psycopg
import pytest

from .conftest import Host


@pytest.mark.parametrize(
    ("headers", "message"),
    [({}, "No API key found in request"), ({"apikey": "wrong"}, "Invalid API key")],
)
def test_a_key_is_required(shared: Host, headers: dict[str, str], message: str) -> None:
    response = shared.client.get("/whatsapp_mensagens", headers=headers)
    assert response.status_code == 401
    assert response.json()["message"] == message


def test_the_key_may_be_in_the_address(shared: Host) -> None:
    response = shared.client.get(f"/whatsapp_mensagens?apikey={shared.stack.anon_key}&limit=1")
    assert (response.status_code, response.json()) == (200, [])


def test_a_browser_may_ask_first(shared: Host) -> None:
    response = shared.client.options(
        "/whatsapp_mensagens",
        headers={"Origin": "https://crm.example", "Access-Control-Request-Method": "GET"},
    )
    assert response.status_code == 200
    assert "access-control-allow-origin" in response.headers


def test_other_services_have_no_route(shared: Host) -> None:
    assert httpx.get(f"{shared.stack.url}/auth/v1/health").status_code == 404


def test_owners_read_and_write_their_own_rows_only(shared: Host) -> None:
    mine, other = shared.headers(shared.owner), shared.headers(uuid.uuid4())
    row = {"owner_id": str(shared.owner), "numero_cliente": "5511900000001"}
    created = shared.client.post(
        "/whatsapp_atendimentos", json=row, headers={**mine, "Prefer": "return=representation"}
    )
    assert created.status_code == 201
    address = f"/whatsapp_atendimentos?id=eq.{created.json()[0]['id']}"
    assert len(shared.client.get(address, headers=mine).json()) == 1
    assert shared.client.get(address, headers=other).json() == []
    refused = shared.client.post("/whatsapp_atendimentos", json=row, headers=other)
    assert (refused.status_code, refused.json()["code"]) == (403, "42501")


def test_the_functions_are_closed_to_users(shared: Host) -> None:
    for headers in (shared.headers(shared.owner), {"apikey": shared.stack.anon_key}):
        response = shared.client.post("/rpc/zapvisor_ingest", json={"items": []}, headers=headers)
        assert response.json()["code"] == "42501"


def test_expired_and_forged_tokens_are_refused(shared: Host) -> None:
    claims = {"role": "service_role", "exp": int(time.time()) - 60}
    for token in (
        jwt.encode(claims, shared.stack.jwt_secret, "HS256"),
        jwt.encode({"role": "service_role"}, "x" * 40, "HS256"),
    ):
        headers = {"apikey": shared.stack.anon_key, "Authorization": f"Bearer {token}"}
        response = shared.client.get("/whatsapp_mensagens", headers=headers)
        assert (response.status_code, response.json()["code"]) == (401, "PGRST301")


def test_a_select_returns_a_thousand_rows_at_most(shared: Host) -> None:
    items = [
        {
            "kind": "message",
            "seq": number,
            "id": str(uuid.uuid4()),
            "owner_id": str(shared.owner),
            "connection_id": "loja",
            "numero_cliente": "5511900000002",
            "conteudo": "x" * 1000,
            "tipo": "TEXTO",
            "remetente": "CLIENTE",
            "timestamp": "2026-01-31T12:00:00+00:00",
        }
        for number in range(1100)
    ]
    answer = shared.ingest(*items)
    assert len(answer) == 1100
    place = answer[0]["atendimento_id"]
    response = shared.client.get(
        f"/whatsapp_mensagens?atendimento_id=eq.{place}&order=timestamp,ordem",
        headers=shared.headers(shared.owner),
    )
    assert [row["ordem"] for row in response.json()] == list(range(1000))


def test_hosted_timeouts(shared: Host) -> None:
    with psycopg.connect(shared.stack.dsn) as connection:
        settings = connection.execute(
            "select rolname, rolconfig from pg_roles where rolconfig is not null order by 1"
        ).fetchall()
    assert dict(settings) == {
        "anon": ["statement_timeout=3s"],
        "authenticated": ["statement_timeout=8s"],
        "authenticator": ["statement_timeout=8s", "lock_timeout=8s"],
    }


def test_create_owner_is_idempotent(shared: Host) -> None:
    with psycopg.connect(shared.stack.dsn) as connection:
        found = connection.execute("select id, email from auth.users").fetchall()
    assert found == [(shared.owner, "dona@example.test")]
    assert shared.stack._create_owner("dona@example.test") == shared.owner


def test_no_secret_is_on_a_command_line_or_readable(shared: Host) -> None:
    assert shared.process is not None
    below = psutil.Process(shared.process.pid).children(recursive=True)
    secrets = (shared.directory / "secrets.json").read_text()
    words = [word for word in secrets.split('"') if len(word) > 30]
    assert len(words) == 4
    for process in below:
        with suppress(psutil.NoSuchProcess):
            line = " ".join(process.cmdline())
            assert not any(word in line for word in words)
    assert stat.S_IMODE((shared.directory / "secrets.json").stat().st_mode) == 0o600


def test_everything_listens_on_loopback_or_on_private_sockets(shared: Host) -> None:
    assert shared.process is not None
    tree = psutil.Process(shared.process.pid)
    listening = []
    for process in (tree, *tree.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # a server process of a connection that just ended
            listening += [
                connection.laddr
                for connection in process.net_connections("inet")
                if connection.status == psutil.CONN_LISTEN
            ]
    assert listening == [("127.0.0.1", shared.stack.port)]


def test_passwordless_access_is_for_our_own_account(shared: Host) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(shared.stack.dsn)
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host=parts["host"], user="authenticator", dbname="postgres")
