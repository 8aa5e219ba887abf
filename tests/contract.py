"""Answers held against the OpenAPI document: their schema, and the codes of failures."""

import functools
import json
from types import SimpleNamespace

from jsonschema_rs import Draft202012Validator

from http_api.app import create_app
from http_api.keys import KeyStore
from runtime.settings import Settings


class Contract:
    """What a document promises."""

    def __init__(self, document):
        self._document = document
        self._validators = {}

    def fits(self, schema, value):
        """Whether a value is of a schema of the document."""
        return self._validator(schema).is_valid(value)

    def broken_by(self, method, path, status, body):
        """What an answer in JSON does that the document does not say; None if nothing.

        Of a path that no route has nothing is said.
        """
        operation = self._operation(method, path)
        if operation is None:
            return None
        answer = operation["responses"].get(str(status), operation["responses"].get("default"))
        if answer is None:
            return f"{method} {path}: no word of {status}"
        media = answer.get("content", {}).get("application/json")
        if media is None:
            return f"{method} {path}: no word of JSON at {status}"
        for error in self._validator(media["schema"]).iter_errors(body):
            return f"{method} {path}: {status}: {error.message[:500]} at {error.instance_path}"
        if status >= 400 and body["code"] not in media["examples"]:
            return f"{method} {path}: no word of {body['code']}"
        return None

    def knows(self, method, path, body=None):
        """Whether a route takes this call, with this body."""
        operation = self._operation(method, path)
        if operation is None or body is None:
            return operation is not None
        content = operation["requestBody"]["content"]
        return self.fits(content["application/json"]["schema"], body)

    def _validator(self, schema):
        key = json.dumps(schema, sort_keys=True)
        if key not in self._validators:
            whole = {**schema, "components": self._document["components"]}
            self._validators[key] = Draft202012Validator(whole)
        return self._validators[key]

    def _operation(self, method, path):
        """The operation of the most literal route that a path is of."""
        parts = path.removesuffix("/").split("/")
        found = [
            (template.count("{"), methods[method.lower()])
            for template, methods in self._document["paths"].items()
            if method.lower() in methods and _is_of(parts, template.split("/"))
        ]
        return min(found, key=lambda one: one[0], default=(0, None))[1]


@functools.cache
def contract():
    """What this version of the API promises."""
    settings = Settings(_env_file=None)
    application = SimpleNamespace(settings=settings, jwt_secret=None)
    return Contract(create_app(application, keys=KeyStore()).openapi())


def check(response):
    """Fail for an answer in JSON of which the document does not tell."""
    if response.headers.get("content-type") != "application/json":
        return
    request = response.request
    broken = contract().broken_by(
        request.method, request.url.path, response.status_code, response.json()
    )
    assert broken is None, broken


def _is_of(parts, template):
    return len(parts) == len(template) and all(
        wanted == part or (wanted.startswith("{") and part)
        for part, wanted in zip(parts, template, strict=True)
    )
