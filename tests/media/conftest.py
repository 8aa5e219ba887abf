import pytest
from media_support import open_scene

from runtime.media import worker


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Retries come at once."""
    monkeypatch.setattr(worker, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(worker, "DEFAULT_CAP", 0.02)
    monkeypatch.setattr(worker, "CAPS", {})
    monkeypatch.setattr(worker, "WAITING_CAPS", {"bridge_down": 0.02, "not_connected": 600.0})


@pytest.fixture
async def scene(tmp_path):
    async with open_scene(tmp_path) as one:
        yield one
        assert await one.journal.audit() == []
