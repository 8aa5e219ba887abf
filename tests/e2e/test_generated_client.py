"""A client generated from the OpenAPI document alone, working on the running product."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from uuid import uuid4

import pytest

from .harness import API_KEY, until

PACKAGE = "zapvisor_generated_client"


@pytest.fixture(scope="module")
def generated(shared_product, tmp_path_factory) -> ModuleType:
    """The client, made from what the product serves."""
    directory = tmp_path_factory.mktemp("client")
    document = shared_product.call("GET", "/openapi.json")
    (directory / "openapi.json").write_text(json.dumps(document.json()))
    programs = Path(sys.executable).parent
    done = subprocess.run(
        [
            str(programs / "openapi-python-client"),
            "generate",
            "--path",
            "openapi.json",
            "--meta",
            "none",
            "--output-path",
            PACKAGE,
            "--fail-on-warning",
        ],
        cwd=directory,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(directory))
    try:
        yield importlib.import_module(PACKAGE)
    finally:
        sys.path.remove(str(directory))


@pytest.fixture
def operation(generated):
    """``operation("connections.create")`` → the module that the generator made of a call."""

    def find(name: str) -> ModuleType:
        [path] = (Path(generated.__file__).parent / "api").glob(f"*/{name}.py")
        return importlib.import_module(f"{PACKAGE}.api.{path.parent.name}.{name}")

    return find


@pytest.fixture
def client(generated, shared_product):
    return generated.AuthenticatedClient(
        base_url=f"http://127.0.0.1:{shared_product.port}", token=API_KEY, timeout=30
    )


def test_every_operation_got_a_function(generated, shared_product):
    document = shared_product.call("GET", "/openapi.json").json()
    wanted = sum(len(methods) for methods in document["paths"].values())
    made = [
        path
        for path in (Path(generated.__file__).parent / "api").glob("*/*.py")
        if path.name != "__init__.py"
    ]
    assert len(made) == wanted
    for path in made:
        module = importlib.import_module(f"{PACKAGE}.api.{path.parent.name}.{path.stem}")
        assert callable(module.sync_detailed)


def test_connect_send_and_read(
    generated, operation, client, shared_product, simulator, open_shop, customer
):
    models = importlib.import_module(f"{PACKAGE}.models")
    shop, maria = open_shop(shared_product, "generated"), customer("Maria")

    listed = operation("list_connections").sync(client=client, owner_id=shop.owner)
    [connection] = listed.data
    assert (connection.id, connection.is_connected, connection.owner_id) == (
        "generated",
        True,
        shop.owner,
    )

    body = models.SendMessage(connection_id="generated", to=maria, content="Olá do cliente gerado")
    sent = operation("send_message").sync(client=client, body=body)
    assert sent.data.status in ("sent", "queued")
    until(lambda: shop.texts(maria, "ATENDENTE"), what="the message is in the table")

    page = operation("list_atendimentos").sync(client=client, owner_id=shop.owner, limit=5)
    [atendimento] = page.data.items
    rows = operation("list_messages").sync(atendimento.id, client=client, owner_id=shop.owner)
    assert [row.conteudo for row in rows.data] == ["Olá do cliente gerado"]


def test_a_refusal_is_a_typed_answer(generated, operation, client):
    models = importlib.import_module(f"{PACKAGE}.models")
    body = models.CreateConnection(connection_id="x y", name="", owner_id=uuid4())
    answer = operation("create_connection").sync_detailed(client=client, body=body)
    assert answer.status_code == 400
    assert isinstance(answer.parsed, models.FailureBody)
    assert {problem.field for problem in answer.parsed.details} == {"connectionId", "name"}
    missing = operation("get_connection").sync(client=client, id="nobody")
    assert missing.code == "connection_not_found"
