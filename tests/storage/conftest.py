from __future__ import annotations

import pytest
from storage_support import Rig


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path / "journal.sqlite")
    yield made
    made.journal.close()
