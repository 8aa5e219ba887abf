from __future__ import annotations

import pytest
from journal_support import running


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "journal.sqlite"


@pytest.fixture
async def journal(path):
    async with running(path) as open_journal:
        yield open_journal
        assert await open_journal.audit() == []
