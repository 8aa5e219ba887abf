"""Every route by every kind of credential, against one table."""

import pytest
from access_table import OWNER_A, OWNER_B, ROW, TABLE, A, B
from conftest import connect
from credentials import CREDENTIALS, key_store, verifier
from fastapi.routing import APIRoute

from http_api.app import create_app
from runtime.errors import NotFound, StorageUnavailable
from runtime.settings import Settings

LOOKS = {"atendimento", "list_atendimentos", "find_media", "message"}
"""Calls by which a route learns which connection something is of."""

MARK = "segredo-de-a"
"""In everything that belongs to A, and nowhere else."""


class Runtime:
    """Knows the connections and rows of A and B; answers nothing else, but remembers the call."""

    jwt_secret = None

    def __init__(self, settings):
        self.settings = settings
        self.calls = []

    async def connection(self, connection_id, *, closely=False):
        owners = {A: OWNER_A, "outra-de-a": OWNER_A, B: OWNER_B}
        if connection_id not in owners:
            raise NotFound("Conexão não encontrada.", code="connection_not_found")
        mark = MARK if owners[connection_id] == OWNER_A else "de b"
        return {"id": connection_id, "ownerId": owners[connection_id], "name": mark, "qrCode": "q"}

    async def connections(self, *, closely=False):
        return [await self.connection(one) for one in (A, "outra-de-a", B)]

    async def atendimento(self, atendimento_id, owner_id):
        self.calls.append(("atendimento", atendimento_id, owner_id))
        if str(owner_id) not in (OWNER_A, "None"):
            raise NotFound("Atendimento não encontrado.", code="atendimento_not_found")
        return {"id": str(atendimento_id), **self._row(OWNER_A, A)}

    async def active_atendimentos(self, owner_id, company_id):
        return self._rows(owner_id)

    async def active_sessions(self, owner_id):
        return self._rows(owner_id)

    async def supabase_stats(self):
        return {"isHealthy": True, "queueStats": {"x": MARK}, "timestamp": "2026-01-01T00:00:00Z"}

    def _rows(self, owner_id):
        connections = (A, "outra-de-a") if str(owner_id) == OWNER_A else (B,)
        return [self._row(str(owner_id), one) for one in connections]

    def _row(self, owner_id, connection_id):
        mark = f"{MARK} {connection_id}" if owner_id == OWNER_A else "de b"
        return {"owner_id": owner_id, "connection_id": connection_id, "mark": mark}

    def __getattr__(self, name):
        def call(*arguments, **named):
            self.calls.append((name, *arguments, *named.values()))
            raise StorageUnavailable("Além da guarda.")

        return call


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """One application for the whole matrix."""
    settings = Settings(_env_file=None, ZAPVISOR_DATA_DIR=tmp_path_factory.mktemp("matrix"))
    return create_app(Runtime(settings), keys=key_store(), tokens=verifier())


@pytest.fixture
def runtime(guarded):
    guarded.state.application.calls.clear()
    return guarded.state.application


def declared(app):
    """Every route under /api, with the requirements that it declares."""

    def routes(some):
        for one in some:
            if isinstance(one, APIRoute):
                yield one
            elif (inner := getattr(one, "original_router", None)) is not None:
                yield from routes(inner.routes)

    def requirements(dependant):
        for one in dependant.dependencies:
            if (found := getattr(one.call, "requirement", None)) is not None:
                yield found
            yield from requirements(one)

    for route in routes(app.router.routes):
        if route.path.startswith("/api"):
            for method in route.methods:
                yield method, route.path, list(requirements(route.dependant))


def test_every_route_declares_one_requirement_and_is_in_the_table(guarded):
    expected = {(r.method, r.path): (r.permission, set(r.roles.split())) for r in TABLE}
    found = {}
    for method, path, requirements in declared(guarded):
        assert len(requirements) == 1, f"{method} {path} must take one guard of http_api.guards"
        found[method, path] = (requirements[0].permission, set(requirements[0].roles))
    assert found == expected


def verdict(route, who):
    """What the table says: the status, or the set of statuses, and whether A's mark may show."""
    if who.role is None:
        return 401
    if who.role not in route.roles.split():
        return 403
    if route.permission not in who.permissions:
        return 403
    if who.role == "admin" or who.owner == OWNER_A:
        if who.connection not in (None, A) and route.reach == "connection":
            return 404
        return "through"
    return 404 if route.reach == "connection" else "through"


async def ask(app, route, who, **query):
    async with connect(app, who.headers) as client:
        return await client.request(
            route.method, route.url, json=route.body, params={**route.query, **query}
        )


# A matrix of a thousand requests; one test per route keeps the report readable.
@pytest.mark.parametrize("route", TABLE, ids=str)
async def test_matrix(guarded, runtime, route):
    for who in CREDENTIALS:
        expected = verdict(route, who)
        if route.reach == "stream" and expected == "through":
            continue
        runtime.calls.clear()
        response = await ask(guarded, route, who)
        where = f"{route} as {who}: {response.text[:200]}"
        envelope = response.json()
        if expected != "through":
            assert response.status_code == expected, where
            assert envelope["success"] is False, where
            assert runtime.calls == [], where
            if expected == 401:
                assert envelope["code"] == who.code, where
            if expected == 404:
                assert envelope["code"] == "connection_not_found", where
        else:
            assert response.status_code not in (401, 403, 405, 500), where
            if who.role != "admin":
                check_reach(route, who, runtime, where)
        if who.role != "admin" and who.owner != OWNER_A:
            assert MARK not in response.text, where
        if who.connection not in (None, A):
            assert f"{MARK} {A}" not in response.text, where


def check_reach(route, who, runtime, where):
    """What a route asks of the runtime for somebody is about that somebody alone."""
    assert all(who.owner in repr(call) for call in runtime.calls if route.reach != "connection"), (
        f"{where}: {runtime.calls}"
    )
    if route.reach in ("row", "create"):
        assert runtime.calls, where
    if route.reach == "row" and who.connection not in (None, A):
        # It may look which connection the row is of, and go on only to list its own.
        assert {name for name, *_ in runtime.calls} <= LOOKS, where


@pytest.mark.parametrize("route", TABLE, ids=str)
async def test_nobody_widens_its_reach_by_naming_another_owner(guarded, runtime, route):
    for who in (one for one in CREDENTIALS if one.role in ("owner", "connection")):
        other = OWNER_A if who.owner == OWNER_B else OWNER_B
        runtime.calls.clear()
        response = await ask(guarded, route, who, ownerId=other)
        assert response.status_code == 403, f"{route} as {who}: {response.text}"
        if route.body is not None:
            body = {**route.body, "ownerId": other}
            async with connect(guarded, who.headers) as client:
                response = await client.request(route.method, route.url, json=body)
            assert response.status_code == 403, f"{route} as {who}: {response.text}"
        assert runtime.calls == []


@pytest.mark.parametrize("route", [r for r in TABLE if r.reach == "connection"], ids=str)
async def test_what_is_anothers_answers_as_what_does_not_exist(guarded, route):
    (b,) = [one for one in CREDENTIALS if one.name == "owner-b"]
    theirs = await ask(guarded, route, b)
    async with connect(guarded, b.headers) as client:
        body = route.body and {**route.body, "connectionId": "nobody"}
        query = {name: value.replace(A, "nobody") for name, value in route.query.items()}
        nobodys = await client.request(
            route.method, route.url.replace(A, "nobody"), json=body, params=query
        )
    assert (theirs.status_code, theirs.json()) == (nobodys.status_code, nobodys.json())


@pytest.mark.parametrize("route", [r for r in TABLE if r.reach == "create"], ids=str)
async def test_an_owner_may_leave_its_id_out_and_an_admin_may_not(guarded, runtime, route):
    by_name = {one.name: one for one in CREDENTIALS}
    await ask(guarded, route, by_name["hs256-b"])
    assert OWNER_B in repr(runtime.calls)
    response = await ask(guarded, route, by_name["admin"])
    assert response.status_code == 400
    assert [one["field"] for one in response.json()["details"]] == ["ownerId"]


async def test_a_list_of_a_connection_key_is_narrowed_to_that_connection(guarded, runtime):
    (one,) = [who for who in CREDENTIALS if who.name == "connection-a2"]
    async with connect(guarded, one.headers) as client:
        listed = (await client.get("/api/whatsapp-integration/connections")).json()["data"]
        assert [each["id"] for each in listed] == ["outra-de-a"]
        await client.get("/api/whatsapp-integration/atendimentos")
        assert runtime.calls[-1][1].connection_id == "outra-de-a"
        answer = await client.get("/api/whatsapp-integration/atendimentos?connectionId=loja-a")
        assert answer.status_code == 404
        answer = await client.get(f"/api/whatsapp-integration/messages/{ROW}")
        assert answer.json()["code"] == "atendimento_not_found"


@pytest.mark.parametrize(
    ("name", "shown"), [("owner-a", True), ("owner-a-read-only", False), ("admin-read-only", False)]
)
async def test_the_qr_code_is_for_those_who_may_pair(guarded, name, shown):
    (who,) = [one for one in CREDENTIALS if one.name == name]
    async with connect(guarded, who.headers) as client:
        data = (await client.get(f"/api/whatsapp-integration/connections/{A}")).json()["data"]
    assert (data["qrCode"] == "q") is shown
