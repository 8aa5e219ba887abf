"""The lock files: hashed, complete, and free of any registry's address."""

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("runtime", "dev", "bootstrap", "audit")


def locked(name: str) -> dict[str, str]:
    """Distribution → what the lock says about it, as text."""
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    return {re.split(r"[=\[ ]", entry, maxsplit=1)[0]: entry for entry in entries}


def canonical(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", LOCKS)
def test_everything_is_pinned_and_hashed(name):
    for entry in locked(name).values():
        assert re.match(r"\S+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("name", LOCKS)
def test_no_address_and_no_path_of_a_machine(name):
    text = (ROOT / "requirements" / f"{name}.lock").read_text()

    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)


def test_every_direct_dependency_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    direct = {canonical(requirement) for requirement in project["project"]["dependencies"]}

    assert direct - set(locked("runtime")) == set()
    assert set(locked("runtime")) | set(locked("bootstrap")) <= set(locked("dev"))


def test_the_locks_agree_on_versions():
    dev = locked("dev")

    for name in ("runtime", "bootstrap"):
        assert {key: value for key, value in locked(name).items() if dev[key] != value} == {}


def test_the_npm_lock_has_integrity_and_no_address():
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    installed = {
        path: entry
        for path, entry in packages.items()
        if path.startswith("node_modules/") and not entry.get("link")
    }

    assert [path for path, entry in installed.items() if "integrity" not in entry] == []
    assert [path for path, entry in installed.items() if "resolved" in entry] == []


def test_every_direct_dependency_has_its_reason():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    python = [
        canonical(requirement)
        for requirements in (
            project["project"]["dependencies"],
            *project["dependency-groups"].values(),
        )
        for requirement in requirements
        if isinstance(requirement, str)
    ]
    node = [
        name
        for file in ("package.json", "bridge/package.json", "simulator/package.json")
        for kind in ("dependencies", "devDependencies", "optionalDependencies")
        for name in json.loads((ROOT / file).read_text()).get(kind, {})
    ]
    reasons = (ROOT / "docs" / "dependencies.md").read_text()

    assert [name for name in {*python, *node} if f"`{name}`" not in reasons] == []
