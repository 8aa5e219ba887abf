"""What ships may be shipped: every licence is on a list, and the exceptions are named."""

import importlib.metadata
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PERMISSIVE = {
    *("0BSD", "Apache-2.0", "BlueOak-1.0.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"),
    *("MIT-0", "MPL-2.0", "PSF-2.0"),
}
# docs/dependencies.md says what these ask for.
WEAK_COPYLEFT = {
    *("psycopg", "psycopg-binary"),  # LGPL-3.0-only
    "@img/*",  # libvips, LGPL-3.0-or-later, as separate shared libraries
}
STRONG_COPYLEFT = {"libsignal"}  # GPL-3.0, below Baileys
# Metadata from before licence expressions.
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
WINDOWS_ONLY = {"tzdata", "colorama"}
INSTALL_SCRIPTS = {"node_modules/baileys", "node_modules/protobufjs"}


def permitted(expression: str) -> bool:
    """Of an SPDX expression without parentheses: one alternative of which all parts are listed."""
    return any(
        all(part.strip() in PERMISSIVE for part in alternative.split(" AND "))
        for alternative in expression.split(" OR ")
    )


def python_licences() -> dict[str, str]:
    lock = (ROOT / "requirements" / "runtime.lock").read_text()
    names = set(re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE)) - WINDOWS_ONLY
    return {name: python_licence(name) for name in names}


def python_licence(name: str) -> str:
    metadata = importlib.metadata.metadata(name)
    if expression := metadata.get("License-Expression"):
        return expression
    classifiers = metadata.get_all("Classifier") or []
    named = [entry.split(" :: ")[-1] for entry in classifiers if entry.startswith("License ::")]
    from_classifiers = " AND ".join(CLASSIFIERS.get(entry, entry) for entry in named)
    return from_classifiers or metadata.get("License") or "unknown"


def shipped_node_packages() -> dict[str, dict]:
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    return {
        path: entry
        for path, entry in packages.items()
        if "node_modules/" in path and not entry.get("link") and not entry.get("dev")
    }


def node_licences() -> dict[str, str]:
    return {
        path.rpartition("node_modules/")[2]: entry.get("license", "unknown")
        for path, entry in shipped_node_packages().items()
    }


def not_permitted(licences: dict[str, str]) -> set[str]:
    return {
        "@img/*" if name.startswith("@img/") else name
        for name, expression in licences.items()
        if not permitted(expression)
    }


def test_every_licence_is_permitted_or_a_named_exception():
    python, node = python_licences(), node_licences()

    assert len(python) > 40
    assert len(node) > 40
    assert not_permitted(python) | not_permitted(node) == WEAK_COPYLEFT | STRONG_COPYLEFT


def test_the_exceptions_are_explained():
    explained = (ROOT / "docs" / "dependencies.md").read_text().partition("## Licences")[2]

    assert [name for name in WEAK_COPYLEFT | STRONG_COPYLEFT if f"`{name}`" not in explained] == []


def test_no_install_script_of_a_package_runs():
    settings = (ROOT / ".npmrc").read_text().splitlines()
    declared = {
        path for path, entry in shipped_node_packages().items() if entry.get("hasInstallScript")
    }

    assert "ignore-scripts=true" in settings
    # Named, so that a new one is noticed; neither is needed for what we use.
    assert declared == INSTALL_SCRIPTS
