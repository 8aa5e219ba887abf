"""The documentation as one self-contained HTML page: no script, nothing from the internet. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """\
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--get:#0a7;--post:#26d;--delete:#c33}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1.5rem}
h1{margin-bottom:0}h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
details{border:1px solid var(--line);border-radius:.5rem;margin:.5rem 0;padding:.2rem .8rem}
summary{cursor:pointer;padding:.3rem 0}code,pre{font:13px/1.45 ui-monospace,monospace}
pre{background:var(--soft);padding:.8rem;border-radius:.4rem;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92em}
td,th{border-top:1px solid var(--line);text-align:left;padding:.3rem .5rem;vertical-align:top}
b.m{display:inline-block;min-width:4.2em;font-family:ui-monospace,monospace}
.get{color:var(--get)}.post{color:var(--post)}.delete{color:var(--delete)}
"""
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

Spec = Mapping[str, Any]


def page(spec: Spec) -> str:
    """The whole page for an OpenAPI 3.1 document."""
    return "".join(_document(spec))


def _document(spec: Spec) -> Iterator[str]:
    info = spec["info"]
    yield '<!doctype html><html lang="pt-BR"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<title>{escape(info['title'])}: API</title><style>{_STYLE}</style></head><body>"
    yield f"<h1>{escape(info['title'])}</h1>"
    for paragraph in info["description"].strip().split("\n\n"):
        yield f"<p>{_inline(paragraph)}</p>"
    yield '<p>Documento OpenAPI: <a href="/openapi.json">/openapi.json</a></p>'
    by_tag: dict[str, list[str]] = {}
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            section = by_tag.setdefault(operation.get("tags", ["API"])[0], [])
            section.append("".join(_operation(spec, path, method, operation)))
    for tag, operations in by_tag.items():
        yield f"<h2>{escape(tag)}</h2>{''.join(operations)}"
    yield "</body></html>"


def _operation(spec: Spec, path: str, method: str, operation: Spec) -> Iterator[str]:
    yield f'<details id="{escape(operation["operationId"])}"><summary>'
    yield f'<b class="m {method}">{method.upper()}</b> <code>{escape(path)}</code> '
    yield f"{escape(operation['summary'])}</summary>"
    yield f"<p>{_inline(operation.get('description', ''))}</p>"
    parameters = [(p["name"], p, p.get("required", False)) for p in operation.get("parameters", [])]
    body = _body_schema(spec, operation)
    if body is not None:
        required = body.get("required", [])
        parameters += [(n, p, n in required) for n, p in body.get("properties", {}).items()]
    if parameters:
        yield "<table><tr><th>Campo</th><th>Onde</th><th></th><th>Descrição</th></tr>"
        for name, field, mandatory in parameters:
            yield f"<tr><td><code>{escape(name)}</code></td><td>{field.get('in', 'corpo')}</td>"
            yield f"<td>{'obrigatório' if mandatory else ''}</td>"
            yield f"<td>{_inline(field.get('description', ''))}</td></tr>"
        yield "</table>"
    yield f"<pre>{escape(_curl(path, method, body, operation))}</pre><table>"
    for status, answer in operation["responses"].items():
        yield f"<tr><td>{escape(status)}</td><td>{_inline(answer['description'])}"
        yield from _shown(answer.get("content", {}).get("application/json", {}))
        yield "</td></tr>"
    yield "</table></details>"


def _shown(media: Spec) -> Iterator[str]:
    """The example of a success; the codes of a failure."""
    if "example" in media:
        text = json.dumps(media["example"], ensure_ascii=False, indent=1)
        yield f"<pre>{escape(text)}</pre>"
    codes = " ".join(f"`{code}`" for code in media.get("examples", {}))
    yield f"<br>{_inline(codes)}" if codes else ""


def _body_schema(spec: Spec, operation: Spec) -> Spec | None:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    shapes = content["schema"].get("anyOf", [content["schema"]])  # one of several: an optional body
    name = next(shape["$ref"] for shape in shapes if "$ref" in shape).rsplit("/", 1)[1]
    schema: Spec = spec["components"]["schemas"][name]
    return schema


def _curl(path: str, method: str, body: Spec | None, operation: Spec) -> str:
    lines = [f"curl -X {method.upper()} 'http://127.0.0.1:3001{path}'"]
    if operation.get("security"):
        lines.append('-H "X-Api-Key: $ZAPVISOR_API_KEY"')
    if body is not None:
        example = {
            name: field.get("examples", ["…"])[0]
            for name, field in body["properties"].items()
            if name in body.get("required", []) or name == "content"
        }
        lines.append("-H 'Content-Type: application/json'")
        lines.append(f"-d '{json.dumps(example, ensure_ascii=False)}'")
    return " \\\n  ".join(lines)


def _inline(text: str) -> str:
    """Escaped text in which `code` spans are marked."""
    parts = escape(text).split("`")
    return "".join(f"<code>{p}</code>" if i % 2 else p for i, p in enumerate(parts))
