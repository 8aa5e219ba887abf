"""No log of any product that the suite runs holds a secret, a text or a number that it used.

The rigs tell `use` what they send, and hand each product's directory to `check` when it closes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

SHORTEST = 8
"""Shorter texts occur in logs by chance."""
MOST_OF_A_LIST = 50
"""Of the texts of one bulk so many are remembered."""
_TELLING = frozenset({"text", "texts", "caption", "conversation", "content", "number"})
_SECRETS = re.compile(
    r"eyJ[\w-]{20,}\.[\w-]+"  # a JWT
    r"|\bzv_\w{20,}"  # an API key
    r"|\bwhsec_\S+"  # a webhook's secret
    # The bridge's token; one digit over and over is an identifier that a caller made up.
    r"|(?<![0-9a-f])(?!([0-9a-f])\1{63})[0-9a-f]{64}(?![0-9a-f])"
)
_ROOT = Path(__file__).resolve().parents[1]
_SOURCES = (
    *((place, "*.py") for place in ("http_api", "runtime", "supervisors")),
    ("bridge/src", "*.ts"),
)
_used: set[str] = set()


def use(body: Any) -> None:
    """Remember what a request to the product or the simulator has to say."""
    if isinstance(body, Mapping):
        for name, value in body.items():
            if name in _TELLING:
                _remember(value)
            elif isinstance(value, Mapping):
                use(value)


def _remember(value: Any) -> None:
    for text in value[:MOST_OF_A_LIST] if isinstance(value, list) else [value]:
        if isinstance(text, str) and len(text.strip()) >= SHORTEST and not _is_ours(text.strip()):
            _used.add(text.strip())


def _is_ours(text: str) -> bool:
    """Whether the product may say it by itself; a number is in no log, whoever else shows it."""
    return re.search(r"\d", text) is None and text in _our_words()


@functools.cache
def _our_words() -> str:
    """All that the product is written in."""
    sources = "\n".join(
        path.read_text(encoding="utf-8")
        for place, pattern in _SOURCES
        for path in sorted((_ROOT / place).rglob(pattern))
    )
    return re.sub(r'"\s+f?"', "", sources)  # a sentence may be written in several lines


def used_request(request: httpx.Request) -> None:
    """An event hook of httpx clients."""
    if request.headers.get("content-type") == "application/json":
        with contextlib.suppress(ValueError):  # some tests send what is no JSON
            use(json.loads(request.content))


def files(directory: Path) -> list[Path]:
    """Every log of a product that ran in this directory."""
    return sorted((*directory.glob("server.log*"), *directory.glob("logs/*.log*")))


def found(text: str, *secrets: str) -> list[str]:
    """What a log holds and should not."""
    held = [match[0] for match in _SECRETS.finditer(text)]
    return held + [one for one in (*secrets, *_used) if one in text]


def check(directory: Path, *secrets: str) -> None:
    """AssertionError when a log in this directory holds one of ``secrets`` or what was used."""
    for path in files(directory):
        held = found(path.read_text(encoding="utf-8", errors="replace"), *secrets)
        assert held == [], f"{path.name} holds {held[:10]}"
