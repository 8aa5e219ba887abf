"""Fixtures and hypothesis profiles of the supervision tests."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from supervisors.testing import EventRecorder
from supervisors.testing.fixtures import virtual_clock

pytest.register_assert_rewrite("supervision_pair", "supervision_walk")

__all__ = ["recorder", "virtual_clock"]

CALM = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
# pytest tests/supervisors --hypothesis-profile=long
settings.register_profile("long", max_examples=3000, deadline=None, suppress_health_check=CALM)


@pytest.fixture
def recorder():
    """Keeps the events of a test's tree; at the end they must be a legal story."""
    recorder = EventRecorder()
    yield recorder
    recorder.check()
