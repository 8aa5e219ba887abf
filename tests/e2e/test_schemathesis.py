"""Calls made up from the OpenAPI document, on the running product: no 5xx, no answer outside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from http_api.schemas import UUID_EXAMPLE

from .harness import API_KEY

HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
SECONDS = 240  # a deadline for a loaded machine
CHECKS = (
    "no_server_error,status_code_conformance,content_type_conformance,"
    "response_headers_conformance,response_schema_conformance"
)
# What ends the tree under the other calls, and the stream that has no end.
LEFT_OUT = "^/api/whatsapp-bootstrap/(restart|shutdown|initialize|test)$|/events$"


@pytest.mark.timeout(SECONDS + 120)
def test_every_answer_is_as_the_document_says(own_product, tmp_path: Path) -> None:
    # The owner and the connection of the document's examples: these calls find something.
    owner = UUID_EXAMPLE
    own_product.query("insert into auth.users (id) values (%s) returning id", owner)
    body = {"connectionId": "loja-centro", "name": "Loja", "ownerId": owner}
    own_product.data("POST", "/api/whatsapp-integration/connections", json=body)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"http://127.0.0.1:{own_product.port}/openapi.json",
        "--checks",
        CHECKS,
        "--exclude-path-regex",
        LEFT_OUT,
        "--phases",
        "examples,coverage,fuzzing",
        "--max-examples",
        "2",
        "--request-timeout",
        "20",
        "--generation-deterministic",
        "--suppress-health-check",
        "all",
        "--header",
        f"X-Api-Key: {API_KEY}",
        "--no-color",
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    report = done.stdout[-20_000:] + done.stderr[-2_000:]
    assert done.returncode == 0, report
    [(selected, tested)] = re.findall(r"Selected: (\d+)/\d+\s+Tested: (\d+)", report)
    assert selected == tested, report
    assert own_product.call("GET", "/health/ready").status_code == 200
