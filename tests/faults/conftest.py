"""One simulator and one Supabase for all; a runtime for each test that breaks one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.node_parts import prepare
from tests.e2e.harness import Simulator

from . import figures
from .accounts import check
from .rig import Backend, Phone, Runtime

SECONDS = 600
"""A test that takes longer hangs; starting the product takes a minute on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.config.getoption("--faults"):
        terminalreporter.section("figures")
        for line in figures.report():
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def directories() -> Iterator[Callable[[], Path]]:
    """Fresh directories that PostgreSQL's own account can enter."""
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="zapvisor faults ")))
        os.chmod(made[-1], 0o755)
        return made[-1]

    yield make
    for path in made:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    simulator = Simulator(prepare(Path("data")))
    yield simulator
    simulator.close()


@pytest.fixture(scope="session")
def backend(directories: Callable[[], Path]) -> Iterator[Backend]:
    backend = Backend(directories() / "supabase")
    yield backend
    backend.close()


@pytest.fixture
def runtime(
    directories: Callable[[], Path], simulator: Simulator, backend: Backend
) -> Iterator[Runtime]:
    """Not started yet."""
    runtime = Runtime(directories(), simulator, backend)
    yield runtime
    runtime.close()


@pytest.fixture
def phone(runtime: Runtime, simulator: Simulator) -> Phone:
    """Paired and open, with two customers."""
    runtime.start()
    return Phone(runtime, simulator, "loja", customers=2).pair()


@pytest.fixture(scope="session")
def long_lived(
    directories: Callable[[], Path], simulator: Simulator, backend: Backend
) -> Iterator[Phone]:
    """One data directory that goes through many faults; audited as a whole at the end."""
    runtime = Runtime(directories(), simulator, backend).start()
    phone = Phone(runtime, simulator, "sobrevivente", customers=3).pair()
    yield phone
    try:
        if not runtime.alive:
            runtime.start()
        check(phone)
    finally:
        runtime.close()


@pytest.fixture
def survivor(long_lived: Phone, simulator: Simulator) -> Phone:
    """The long-lived connection, up and open."""
    simulator.admin.delete("/faults")
    if not long_lived.runtime.alive:
        long_lived.runtime.start()
    elif long_lived.runtime.connection(long_lived.name)["counters"]["disconnects"] > 0:
        # Begins the delays anew, which grow with each disconnection.
        long_lived.restart()
    long_lived.wait_connected()
    return long_lived
