"""One simulator for all; one product for the tests that do not break it."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.node_parts import NodeParts, prepare

from .harness import Product, Shop, Simulator, running

_numbers = itertools.count(1)


def fresh_number(prefix: str = "55119") -> str:
    """A Brazilian mobile number that no other test uses."""
    return f"{prefix}{80_000_000 + next(_numbers)}"


@pytest.fixture(scope="session")
def parts() -> NodeParts:
    return prepare(Path("data"))


@pytest.fixture(scope="session")
def simulator(parts: NodeParts) -> Iterator[Simulator]:
    simulator = Simulator(parts)
    yield simulator
    simulator.close()


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a space in its name that PostgreSQL's own account can enter."""
    path = Path(tempfile.mkdtemp(prefix="zapvisor e2e "))
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_product(simulator: Simulator, parts: NodeParts) -> Iterator[Product]:
    path = Path(tempfile.mkdtemp(prefix="zapvisor shared "))
    os.chmod(path, 0o755)
    with running(path, simulator, parts) as product:
        yield product
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def own_product(directory: Path, simulator: Simulator, parts: NodeParts) -> Iterator[Product]:
    with running(directory, simulator, parts) as product:
        yield product


@pytest.fixture
def open_shop(simulator: Simulator) -> Callable[[Product, str], Shop]:
    def open_(product: Product, name: str) -> Shop:
        return Shop(product, simulator, name, fresh_number()).pair()

    return open_


@pytest.fixture
def customer(simulator: Simulator) -> Callable[[str], str]:
    def create(name: str = "Maria") -> str:
        number = fresh_number("55219")
        simulator.post("/contacts", number=number, name=name)
        return number

    return create
