"""Requests made up from the OpenAPI document, with real ids of either tenant among the nonsense.

Seeded: the same document and seed give the same requests, so whoever sees a failure sees it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

DEEP: Any = "x"
for _ in range(60):
    DEEP = [DEEP]

NONSENSE: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**40, 1.5, 1e308, -0.0),
    *("", " ", "\x00", "\ud800", "'", '"', "\\", "%", "%00", "../../etc/passwd", "null", "NaN"),
    *("infinity", "-infinity", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00"),
    *("a" * 300, "é" * 5000, "\u202e\u200f", "🦜" * 40, "1" * 400, "0x10", "1e5", "true"),
    *("');drop table x;--", ",and(owner_id.not.is.null)", "*", "eq.1", "{}", "[]"),
    *([], {}, [[]], [None], {"": ""}, {"$ref": "#"}, DEEP, list(range(500))),
)
"""What may stand for any value."""


@dataclass
class Request:
    """One call; ``body`` is None for none."""

    method: str
    path: str
    route: str
    query: list[tuple[str, str]] = field(default_factory=list)
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        body = repr(self.body)
        return f"{self.method} {self.path} {self.query} {self.headers} {body[:300]}"


class Requests:
    """Makes them.

    Args:
        document: the OpenAPI document.
        ids: values that exist, of both tenants: for query and body by the name that the document
            gives to the place, for the path by the path to there (``/webhooks/{id}``).
        left_out: routes (``"POST /path"``) that are not called.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        ids: Mapping[str, Sequence[Any]],
        left_out: frozenset[str],
        seed: int,
    ) -> None:
        self._document, self._ids, self._random = document, ids, Random(seed)
        self.routes = [
            (method.upper(), path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if f"{method.upper()} {path}" not in left_out
        ]

    def of_each(self, count: int) -> Iterator[Request]:
        """``count`` requests to each route, in the order of the document."""
        for method, path, operation in self.routes:
            for _ in range(count):
                yield self._request(method, path, operation)

    def _request(self, method: str, path: str, operation: Mapping[str, Any]) -> Request:
        random = self._random
        request = Request(method, path, f"{method} {path}")
        for parameter in operation.get("parameters", ()):
            name, place = parameter["name"], parameter["in"]
            if place == "path":
                kind = f"{path.partition('{')[0]}{{{name}}}"  # the thing whose id it is
                value = _text(self._value(parameter["schema"], kind)) or "x"
                request.path = request.path.replace(f"{{{name}}}", _quoted(value))
            elif place == "query" and random.random() < 0.6:
                request.query.append((name, _text(self._value(parameter["schema"], name))))
            elif place == "header" and random.random() < 0.3:
                text = _text(self._value(parameter["schema"], name))
                request.headers[name] = re.sub(r"[^ -~]", "?", text)[:500]
        if random.random() < 0.1:
            request.query.append(("semSentido", "1"))
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if schema is not None:
            request.body = self._value(schema["schema"], "")
        return request

    def _value(self, schema: Mapping[str, Any], name: str, depth: int = 0) -> Any:
        random = self._random
        if random.random() < 0.08:
            return random.choice(NONSENSE)
        known = self._ids.get(name)
        if known and random.random() < 0.8:
            return random.choice(known)
        schema = self._resolved(schema)
        examples = schema.get("examples") or ([schema["example"]] if "example" in schema else [])
        if examples and random.random() < 0.5:
            return random.choice(examples)
        if "enum" in schema:
            return random.choice(schema["enum"])
        if "const" in schema:
            return schema["const"]
        match schema.get("type"):
            case "object" if depth < 6:
                return self._object(schema, depth)
            case "array" if depth < 6:
                count = random.choice((0, 1, 1, 2, 3, 30))
                items = schema.get("items", {})
                return [self._value(items, name, depth + 1) for _ in range(count)]
            case "integer":
                low, high = int(schema.get("minimum", 0)), int(schema.get("maximum", 1000))
                return random.choice((low, high, low - 1, high + 1, random.randint(low, high)))
            case "number":
                return random.choice((0.0, -1.5, 91.0, 1e20, random.random()))
            case "boolean":
                return random.random() < 0.5
            case _:
                return random.choice(("x", "Olá", "2026-01-01T00:00:00Z", random.choice(NONSENSE)))

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        random = self._random
        required = schema.get("required", ())
        made = {
            name: self._value(inner, name, depth + 1)
            for name, inner in schema.get("properties", {}).items()
            if random.random() < (0.93 if name in required else 0.35)
        }
        if random.random() < 0.08:
            made["campoDesconhecido"] = random.choice(NONSENSE)
        return made

    def _resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while True:
            if "$ref" in schema:
                found: Any = self._document
                for part in schema["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
                schema = found
            elif choices := schema.get("anyOf") or schema.get("oneOf"):
                schema = self._random.choice(choices)
            elif schema.get("allOf"):
                schema = schema["allOf"][0]
            else:
                return schema


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)[:2000]


def _quoted(text: str) -> str:
    """As one part of a path."""
    return "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or byte in b"-_." else f"%{byte:02X}"
        for byte in text[:2000].encode("utf-8", "replace")
    )
