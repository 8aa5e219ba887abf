"""Fixtures of the supervision tests."""

from __future__ import annotations

import pytest

from supervisors.testing import EventRecorder
from supervisors.testing.fixtures import virtual_clock

pytest.register_assert_rewrite("supervision_pair", "supervision_walk")

__all__ = ["recorder", "virtual_clock"]


@pytest.fixture
def recorder():
    """Keeps the events of a test's tree; at the end they must be a legal story."""
    recorder = EventRecorder()
    yield recorder
    recorder.check()
