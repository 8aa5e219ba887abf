"""The library as a distribution of its own: built, and run where there is only trio beside it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import trio

import supervisors

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "supervisors"
NEEDED = ["trio", "attrs", "attr", "sortedcontainers", "idna", "outcome", "sniffio"]
"""What trio consists of and needs, as they are called on disk (on Linux and macOS)."""

PROGRAM = """
import logging, pkgutil, importlib, sys
import supervisors
assert "site-packages" in supervisors.__file__, supervisors.__file__
for module in pkgutil.walk_packages(supervisors.__path__, "supervisors."):
    if module.name not in ("supervisors._process.leash", "supervisors.testing.fixtures"):
        importlib.import_module(module.name)
import trio, trio.testing
from supervisors import *
from supervisors.testing import ScriptedChild, crash, forever, ready, sleep

async def main():
    tree = Supervisor([
        ChildSpec("a", ScriptedChild([ready, sleep(5), crash()], [ready, forever])),
        ChildSpec("b", ScriptedChild(), drain_deadline=1),
    ], strategy=Strategy.ONE_FOR_ALL)
    async with open_supervisor(tree, logger=None) as root:
        await trio.sleep(60)
        assert [n.incarnation for n in root.tree().children] == [2, 2]

async def programs():
    async with open_program(["cat"]) as program:
        await program.stdin.send_all(b"hello\\n")
        await program.stdin.aclose()
        assert [line async for line in program.lines()] == ["hello"]

trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
trio.run(programs)
print(sys.version_info[:2], supervisors.__version__)
"""


def pythons():
    """Every Python from 3.11 on that is on the PATH or installed beside the present one (as version
    managers do); one of each version, and the present one."""
    beside = sorted(Path(sys.base_prefix).resolve().parent.glob("*/bin"))
    folders = [*map(Path, os.environ["PATH"].split(os.pathsep)), *beside]
    found = {sys.version_info[:2]: sys.executable}
    for folder in folders:
        for path in sorted(folder.glob("python3.*")):
            version = re.fullmatch(r"python3\.(\d+)", path.name)
            if version and int(version[1]) >= 11 and (3, int(version[1])) not in found:
                probe = [
                    path,
                    "-c",
                    f"import sys, venv; sys.exit(sys.version_info[1] != {version[1]})",
                ]
                if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
                    found[3, int(version[1])] = str(path)
    return list(found.values())


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source distribution."""
    place = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(place)],
        cwd=SOURCE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = place.glob("*.whl")
    (sdist,) = place.glob("*.tar.gz")
    return wheel, sdist


def modules():
    """The library's files, as a wheel names them."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in SOURCE.rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }


def test_the_wheel_has_the_library_and_nothing_else(built):
    wheel, _ = built
    assert wheel.name == f"trio_supervision-{supervisors.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = [n for n in names if n.endswith("/METADATA")]
        text = archive.read(metadata).decode()
    assert {n for n in names if ".dist-info/" not in n} == modules()
    assert any(n.endswith("licenses/LICENSE") for n in names)
    assert re.findall(r"^Requires-Dist: (.*)$", text, re.MULTILINE) == ["trio<1,>=0.35"]
    assert "Requires-Python: >=3.11" in text
    assert "# trio-supervision" in text


def test_the_source_distribution_can_be_built_from(built):
    _, sdist = built
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {name.removeprefix("supervisors/") for name in modules()}
    assert needed | {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml"} <= names


def test_the_version_is_one_and_in_the_changes():
    with (SOURCE / "pyproject.toml").open("rb") as file:
        assert tomllib.load(file)["project"]["dynamic"] == ["version"]
    assert f"## {supervisors.__version__} (" in (SOURCE / "CHANGELOG.md").read_text()
    assert (SOURCE / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("python", pythons(), ids=lambda p: Path(p).name)
def test_the_wheel_runs_beside_trio_alone(built, tmp_path, python):
    place = tmp_path / "there"
    if python == sys.executable:
        venv.create(place, with_pip=False, symlinks=True)
    else:
        subprocess.run([python, "-m", "venv", "--without-pip", str(place)], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    with zipfile.ZipFile(built[0]) as archive:
        archive.extractall(packages)
    here = Path(sysconfig.get_path("purelib"))
    assert Path(trio.__path__[0]).parent == here
    for name in NEEDED:
        if (here / name).is_dir():
            shutil.copytree(here / name, packages / name)
    done = subprocess.run(
        [place / "bin" / "python", "-I", "-c", PROGRAM],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"{supervisors.__version__}\n")


def test_the_products_wheel_ships_the_library_but_not_its_distribution(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (wheel,) = tmp_path.glob("zapvisor-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("supervisors/")}
    assert names == modules()
