"""Two sizes of the suite: everything that is quick, and with ``--faults`` what takes long, too."""

from __future__ import annotations

import pytest
from hypothesis import settings

# An example takes as long as the machine is busy; a test that hangs has pytest's own limit.
settings.register_profile("zapvisor", deadline=None)
settings.load_profile("zapvisor")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--faults", action="store_true", help="also run the long tests of tests/faults"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: takes long; runs with --faults alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--faults"):
        return
    long = [item for item in items if item.get_closest_marker("long") is not None]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item.get_closest_marker("long") is None]
