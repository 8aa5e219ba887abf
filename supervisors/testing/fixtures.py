"""Fixtures for pytest-trio."""

from __future__ import annotations

import pytest
import trio.testing


@pytest.fixture
def virtual_clock() -> trio.testing.MockClock:
    """The test's clock: begins at 0 and jumps to the next deadline when all tasks wait."""
    return trio.testing.MockClock(autojump_threshold=0)
