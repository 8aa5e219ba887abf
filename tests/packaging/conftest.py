"""A built wheel, a copy of the checkout, and somebody to run them as."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
# A first installation, with everything to be downloaded; below the limit of one test.
INSTALL_SECONDS = 150
# What a fresh clone does not have.
NOT_IN_A_CLONE = shutil.ignore_patterns(
    *(".git", ".venv", ".audit", "node_modules", "__pycache__", ".*_cache", ".hypothesis"),
    *("data", "logs", "server.log", "dist", "build", ".env.supabase"),
)
USABLE_PYTHON = """
for python in python3.13 python3.12 python3.11 python3; do
    "$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' && exit 0
done
exit 1
"""


@dataclass(frozen=True)
class Somebody:
    """An account with a home of its own; ``uid`` None means ourselves."""

    uid: int | None
    home: Path

    def start(self, *command: str | Path, cwd: Path, **environment: str) -> subprocess.Popen[str]:
        switch = {} if self.uid is None else {"user": self.uid, "group": self.uid}
        return subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**plain_environment(), "HOME": str(self.home), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            extra_groups=None if self.uid is None else [],
            **switch,
        )

    def run(
        self, *command: str | Path, cwd: Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return finish(self.start(*command, cwd=cwd, **environment))


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    try:
        out, err = process.communicate(timeout=INSTALL_SECONDS)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def plain_environment() -> dict[str, str]:
    """The environment without what this test run and its operator put into it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SUPABASE_", "ZAPVISOR_", "VIRTUAL_ENV", "PYTEST_", "NODE_OPTIONS"))
    }
    path = [part for part in kept["PATH"].split(":") if not part.startswith(str(ROOT))]
    return {**kept, "PATH": ":".join(path)}


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """A directory that every account may enter, unlike pytest's own temporary directories."""
    with tempfile.TemporaryDirectory(prefix="zapvisor-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


@pytest.fixture(scope="session")
def ordinary_user(place: Path) -> Somebody:
    """Started by root: the account ``nobody``, where it finds a Python; otherwise ourselves."""
    home = place / "home"
    home.mkdir()
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)
        nobody = Somebody(NOBODY, home)
        if nobody.run("sh", "-c", USABLE_PYTHON, cwd=home).returncode == 0:
            return nobody
    return Somebody(None, home)


@pytest.fixture(scope="session")
def clone(place: Path, ordinary_user: Somebody) -> Path:
    """The checkout as a fresh clone, in a path with a space, belonging to the ordinary user."""
    copy = place / "a fresh clone"
    shutil.copytree(ROOT, copy, ignore=NOT_IN_A_CLONE, symlinks=True)
    if ordinary_user.uid is not None:
        for path in (copy, *copy.rglob("*")):
            os.chown(path, ordinary_user.uid, ordinary_user.uid, follow_symlinks=False)
    return copy


@pytest.fixture(scope="session")
def wheel(place: Path) -> Path:
    """The wheel as it would be published."""
    directory = place / "dist"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = directory.glob("*.whl")
    return built
