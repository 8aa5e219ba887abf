"""What is in the wheel, and that it works where nothing else of ours is."""

import itertools
import shlex
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import ROOT, Somebody

PACKAGES = ("runtime", "supervisors", "http_api")
PARTS = "runtime/_parts"
# Of each of these everything is in the wheel, and nothing else of the Node parts.
SHIPPED_DIRECTORIES = ("bridge/src", "simulator/src", "supabase/migrations")
SHIPPED_FILES = (
    *("package.json", "package-lock.json", ".npmrc"),
    *("bridge/package.json", "simulator/package.json", "simulator/README.md"),
)


@pytest.fixture(scope="session")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


OF_THE_LIBRARYS_OWN_DISTRIBUTION = {
    f"supervisors/{name}" for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE")
}


def files_below(directory: str) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / directory).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_top_level_is_exactly_our_three_packages_and_the_metadata(names):
    top = {name.partition("/")[0] for name in names}

    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)
    assert len(top) == len(PACKAGES) + 1


def test_the_packages_are_whole(names):
    ours = {name for name in names if name.startswith(tuple(f"{p}/" for p in PACKAGES))}

    packed = {name for name in ours if not name.startswith(f"{PARTS}/")}

    expected = set().union(*(files_below(package) for package in PACKAGES))
    assert packed == expected - OF_THE_LIBRARYS_OWN_DISTRIBUTION


def test_the_parts_are_exactly_bridge_simulator_and_migrations(names):
    expected = set(SHIPPED_FILES).union(*(files_below(d) for d in SHIPPED_DIRECTORIES))

    packed = {name for name in names if name.startswith(f"{PARTS}/")}

    assert packed == {f"{PARTS}/{name}" for name in expected}
    assert f"{PARTS}/bridge/src/main.ts" in packed
    assert f"{PARTS}/simulator/src/cli.ts" in packed
    assert any(name.endswith(".sql") for name in packed)


def test_no_test_is_in_the_wheel(names):
    ours = {name for name in names if {"test", "tests"} & set(name.split("/"))}
    modules = {name for name in names if Path(name).name.startswith(("test_", "conftest"))}
    node = {name for name in names if ".test." in name}

    assert ours | modules | node == set()


@pytest.fixture(scope="session")
def installed(wheel: Path, place: Path) -> Path:
    """A virtual environment with the wheel and its locked dependencies; its ``bin`` directory."""
    environment = place / "environment"
    uv = [sys.executable, "-m", "uv"]
    python = environment / "bin" / "python"
    for command in (
        [*uv, "venv", "--quiet", "--python", sys.executable, environment],
        [*uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes",
         ROOT / "requirements" / "runtime.lock"],
        [*uv, "pip", "install", "--quiet", "--python", python, "--no-deps", wheel],
        [*uv, "pip", "check", "--quiet", "--python", python],
    ):  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, cwd=place)
    return environment / "bin"


def test_the_installed_wheel_answers(installed, place):
    me = Somebody(None, place)

    version = me.run(installed / "zapvisor", "version", cwd=place)
    usage = me.run(installed / "zapvisor", "--help", cwd=place)

    assert version.stdout.startswith("zapvisor 0."), version.stderr
    assert "baileys 7.0.0-rc14" in version.stdout
    assert "demo" in usage.stdout
    assert (version.returncode, usage.returncode) == (0, 0)


def test_the_installed_wheel_has_no_checks(installed, place):
    run = Somebody(None, place).run(installed / "zapvisor", "test", cwd=place)

    assert run.returncode == 1
    assert run.stderr == "zapvisor: `test` checks a checkout; this is an installed wheel\n"


def test_the_demo_of_the_installed_wheel_stores_messages(installed, place):
    """The first run: Node packages are installed, the demo pairs itself, customers write."""
    home = place / "demo home"
    home.mkdir()
    demo = Somebody(None, home).start(
        installed / "zapvisor", "demo", "--every", "0.2", cwd=home, PORT="0"
    )
    try:
        commands = list(itertools.islice(curl_commands(demo.stdout), 3))
        active, messages, answer = (call(command) for command in commands)
        shown = next(line for line in demo.stdout if " shows: " in line)
    finally:
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=30)

    assert {row["status"] for row in active} == {"AGUARDANDO"}
    assert messages[0]["remetente"] == "CLIENTE"
    assert messages[0]["atendimento_id"] in {row["id"] for row in active}
    assert answer["status"] in {"sent", "delivered", "read"}
    assert "Olá! Já vamos te atender." in shown
    assert demo.returncode == 0, errors


def curl_commands(lines: Iterable[str]) -> Iterator[list[str]]:
    return (shlex.split(line) for line in lines if line.startswith("  curl "))


def call(command: list[str]) -> Any:
    """What the printed curl command would get."""
    *options, url = command[2:]
    given = list(zip(options[::2], options[1::2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in given if option == "-H")
    body = next((value for option, value in given if option == "-d"), None)
    answer = httpx.request(
        "GET" if body is None else "POST", url, headers=headers, content=body, timeout=30
    )
    assert answer.is_success, answer.text
    return answer.json()["data"]
