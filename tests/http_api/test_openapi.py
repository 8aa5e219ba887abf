"""The OpenAPI document: complete enough that nobody needs to read the code."""

import re

import pytest
from conftest import connect


@pytest.fixture
def document(api):
    return api.openapi()


@pytest.fixture
def operations(document):
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_says_what_it_is(operations):
    identifiers = [operation["operationId"] for _, operation in operations]
    assert len(set(identifiers)) == len(identifiers)
    for name, operation in operations:
        assert operation["summary"], name
        assert operation.get("description"), name
        assert len(operation["tags"]) == 1, name


def test_every_operation_documents_its_success_and_its_failures(operations):
    for name, operation in operations:
        answers = operation["responses"]
        assert any(status.startswith("2") for status in answers), name
        if " /api/" not in name:
            continue
        assert {"400", "401", "403", "429", "503", "default"} <= set(answers), name
        for status, answer in answers.items():
            assert answer["description"], (name, status)
            if status[0] in "45d" and status != "416":
                schema = answer["content"]["application/json"]["schema"]
                assert schema["$ref"].endswith("/FailureBody"), (name, status)
        if "{" in name:
            assert "404" in answers, name
        if "requestBody" in operation:
            assert {"413", "415"} <= set(answers), name


def test_every_call_of_the_api_tells_how_to_sign_in(document, operations):
    assert set(document["components"]["securitySchemes"]) == {"HTTPBearer", "APIKeyHeader"}
    for name, operation in operations:
        signed = {scheme for one in operation.get("security", []) for scheme in one}
        assert signed == ({"HTTPBearer", "APIKeyHeader"} if " /api/" in name else set()), name


def test_every_parameter_and_every_field_of_a_request_is_described(document, operations):
    missing = [
        f"{name}: {parameter['name']}"
        for name, operation in operations
        for parameter in operation.get("parameters", [])
        if parameter["name"] not in ("limit", "offset", "id")
        if not (parameter.get("description") or _is_described(parameter["schema"]))
    ]
    for name in _request_models(document, operations):
        model = document["components"]["schemas"][name]
        for field, schema in model["properties"].items():
            if not _is_described(schema):
                missing.append(f"{name}.{field}")
            if field in model.get("required", []) and not schema.get("examples"):
                missing.append(f"{name}.{field}: an example")
    assert sorted(missing) == []


def _is_described(schema):
    branches = [schema, *schema.get("anyOf", [])]
    return any(one.get("description") or one.get("examples") or "enum" in one for one in branches)


def _request_models(document, operations):
    found = set()
    for _, operation in operations:
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        for reference in re.findall(r"schemas/(\w+)", str(content.get("schema", {}))):
            found.add(reference)
    return found


async def test_the_document_is_served(api, document):
    async with connect(api, {}) as anybody:
        assert (await anybody.get("/openapi.json")).json() == document
