"""Examples of whole answers, composed from those of their fields. Pure."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_OF_FORMAT = {
    "date-time": "2026-03-01T12:00:00Z",
    "uuid": "0d8c3a52-64b7-4b36-9d3d-5a1c9e3b7f10",
}
_OF_TYPE = {"string": "…", "boolean": True, "integer": 1, "number": 1.0, "null": None}


def complete(document: Schema) -> None:
    """Give every JSON answer of an OpenAPI document an example, where it has none."""
    schemas = document["components"]["schemas"]
    for methods in document["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                media = answer.get("content", {}).get("application/json")
                if media is not None and "schema" in media and "examples" not in media:
                    media.setdefault("example", example(media["schema"], schemas))


def example(schema: Schema, schemas: Schema) -> Any:
    """A value of a schema: its own example, or one made of those of its parts."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas)
    for name in ("examples", "enum"):
        if schema.get(name):
            return schema[name][0]
    if "const" in schema:
        return schema["const"]
    if "default" in schema and schema["default"] in (None, [], {}):
        return schema["default"]
    if "anyOf" in schema:
        return example(schema["anyOf"][0], schemas)
    return _of_type(schema, schemas)


def _of_type(schema: Schema, schemas: Schema) -> Any:
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: example(one, schemas) for name, one in properties.items()}
        case "array":
            return [example(schema["items"], schemas)] if schema.get("items") else []
        case "string" if schema.get("format") in _OF_FORMAT:
            return _OF_FORMAT[schema["format"]]
        case kind:
            return _OF_TYPE.get(str(kind))
