"""Two sizes of the suite: everything that is quick, and with ``--faults`` what takes long, too.

Hypothesis tells the same stories in every run, with no limit of time to a story: whoever sees a
failure sees it again. ``--hypothesis-profile=long`` tells many more, and new ones each time.
"""

from __future__ import annotations

import pytest
from hypothesis import settings

settings.register_profile("gate", deadline=None, derandomize=True)
settings.register_profile("long", deadline=None, derandomize=False, max_examples=3000)
# Before the option is looked at, which may name the other one.
settings.load_profile("gate")


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
