"""A product of its own for the attacks, with a victim and an attacker."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.node_parts import NodeParts
from tests.e2e.conftest import (  # noqa: F401 - fixtures
    customer,
    directory,
    open_shop,
    own_product,
    parts,
    shared_product,
    simulator,
)
from tests.e2e.harness import Simulator, running

from .scene import Scene


@pytest.fixture(scope="module")
def scene(simulator: Simulator, parts: NodeParts) -> Iterator[Scene]:  # noqa: F811
    path = Path(tempfile.mkdtemp(prefix="zapvisor security "))
    os.chmod(path, 0o755)
    with running(path, simulator, parts) as product:
        yield Scene(product, simulator)
    shutil.rmtree(path, ignore_errors=True)
