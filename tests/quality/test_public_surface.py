"""What others may build on: pinned, so that a change of it is a decision and not an accident."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

from http_api.cli import cli

ROOT = Path(__file__).resolve().parents[2]


def test_the_commands_are_exactly_these():
    assert sorted(cli.commands) == [
        *("completion", "connections", "demo", "doctor", "journal", "keys", "migrate", "owner"),
        *("qr", "send", "tail", "test", "tree", "unpark", "up", "version"),
    ]


def test_one_console_script_and_three_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert project["project"]["scripts"] == {"zapvisor": "http_api.cli:main"}
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [
        *("runtime", "supervisors", "http_api"),
    ]


def test_nobody_reaches_into_the_private_parts_of_supervisors():
    found = [
        f"{file.relative_to(ROOT)}: {node.module}"
        for package in ("runtime", "http_api")
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("supervisors._")
    ]

    assert found == []


def test_supervisors_needs_nothing_but_trio():
    """It is of use to others only as long as that is so."""
    script = "import supervisors, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    answer = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    allowed = {"supervisors", "trio", "outcome", "attr", "sniffio", "sortedcontainers"}
    foreign = {
        name
        for name in answer.stdout.split()
        if name not in sys.stdlib_module_names and not name.startswith(("_", "sitecustomize"))
    }

    assert foreign - allowed - {"attrs", "idna"} == set()
