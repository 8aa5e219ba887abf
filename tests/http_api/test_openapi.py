"""The OpenAPI document: complete enough that nobody needs to read the code."""

import ast
import json
import re
from pathlib import Path

import pytest
from conftest import connect

from http_api.codes import CODES
from http_api.principal import Forbidden
from runtime import errors
from tests.contract import Contract

ROOT = Path(__file__).resolve().parents[2]


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
            if status[0] in "45d":
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


def test_every_field_of_an_answer_is_described(document):
    missing = [
        f"{name}.{field}"
        for name, model in document["components"]["schemas"].items()
        for field, schema in model.get("properties", {}).items()
        if not _is_described(schema)
    ]
    assert missing == []


def test_every_answer_has_an_example_of_its_schema(document, operations):
    contract = Contract(document)
    for name, operation in operations:
        for status, answer in operation["responses"].items():
            media = answer.get("content", {}).get("application/json")
            if media is None:
                continue
            shown = media.get("examples") or {"example": {"value": media.get("example")}}
            for code, one in shown.items():
                assert contract.fits(media["schema"], one["value"]), (name, status, one)
                if code != "example":
                    assert one["value"]["code"] == code
                    assert status in (str(CODES[code].status), "default"), (name, code)


def test_the_codes_are_those_that_failures_are_raised_with():
    raised = {
        code: status
        for directory in ("runtime", "http_api")
        for path in (ROOT / directory).rglob("*.py")
        if "cli" not in path.parts
        for code, status in _raised(ast.parse(path.read_text()))
    }
    for code, status in raised.items():
        assert code in CODES, f"{code} is not in http_api/codes.py"
        assert CODES[code].status == status, code


STATUSES = {
    "Invalid": 400,
    "Forbidden": 403,
    "NotFound": 404,
    "Conflict": 409,
    "UnreadableRow": 409,
    "TooLarge": 413,
    "UnsupportedMedia": 415,
    "Unsendable": 422,
    "Throttled": 429,
    "Unavailable": 503,
    "JournalUnavailable": 503,
    "StorageUnavailable": 503,
}
AT_THE_START = {"missing_service_role_key"}  # before there is an API


def _raised(tree):
    """The codes, with their statuses, that a module names where it makes a failure."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = getattr(call.func, "id", None)
        if name in STATUSES:
            code = next((one.value for one in call.keywords if one.arg == "code"), None)
            if code is None:
                yield getattr(errors, name, Forbidden).code, STATUSES[name]
            elif isinstance(code, ast.Constant) and code.value not in AT_THE_START:
                yield code.value, STATUSES[name]
        elif name == "Failure" and all(isinstance(one, ast.Constant) for one in call.args[:2]):
            status, code = call.args[:2]
            yield code.value, status.value
        elif name == "custom_error" and isinstance(call.args[0], ast.Constant):
            yield call.args[0].value, 400


async def test_the_document_is_served(api, document):
    async with connect(api, {}) as anybody:
        assert (await anybody.get("/openapi.json")).json() == document


def test_the_calls_of_the_documentation_are_calls_of_the_api(document):
    contract = Contract(document)
    http = (ROOT / "docs" / "zapvisor.http").read_text()
    values = dict(re.findall(r"^@(\w+) = (\S+)$", http, re.MULTILINE))
    for _ in range(2):  # some are made of others
        for name, value in values.items():
            http = http.replace(f"{{{{{name}}}}}", value)
    requests = re.findall(r"^(GET|POST|PATCH|DELETE) (\S+)((?:\n.+)*)(\n\n[{][^#]*)?", http, re.M)
    assert len(requests) > 10
    for method, url, _headers, body in requests:
        path = url.removeprefix(values["host"]).partition("?")[0]
        parsed = json.loads(body) if body else None
        assert contract.knows(method, path, parsed), f"{method} {path} {body}"


def test_the_paths_in_the_guides_are_paths_of_the_api(document):
    contract = Contract(document)
    prefixes = {"$API": "/api/whatsapp-integration", "localhost:3001": ""}
    found = 0
    for name in ("docs/api.md", "docs/webhooks.md", "README.md", "README.pt-BR.md"):
        text = (ROOT / name).read_text()
        for start, path in re.findall(r"(\$API|localhost:3001)(/[\w$/.-]*)", text):
            whole = prefixes[start] + path
            if start == "$API" and path.startswith("/../"):
                whole = whole.replace("whatsapp-integration/../", "")
            if whole in ("/", "/docs"):
                continue
            found += 1
            methods = ("GET", "POST", "PATCH", "DELETE")
            assert any(contract.knows(one, whole) for one in methods), f"{name}: {whole}"
    assert found > 10
