from __future__ import annotations

import pytest
from robot_support import Rig


@pytest.fixture
async def rig(tmp_path):
    """A robot that is not running yet, with a connection and a configuration. In virtual time: name
    autojump_clock in the test itself."""
    one = Rig(tmp_path / "journal.sqlite")
    await one.open()
    yield one
    one.journal.close()
