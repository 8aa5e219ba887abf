"""A journal, a receiver, and retries that do not take a day."""

import pytest
import trio
from notifier_support import Receiver

from runtime.journal import Journal
from runtime.notifier import retry
from tests.child_context import Context


@pytest.fixture
async def journal(tmp_path, nursery):
    journal, context = Journal(tmp_path / "journal.sqlite"), Context()
    nursery.start_soon(journal.run, context)
    with trio.fail_after(60):
        await context.is_ready.wait()
    return journal


@pytest.fixture
async def receiver(nursery):
    receiver = Receiver()
    await nursery.start(receiver.serve)
    return receiver


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(retry, "FIRST_SECONDS", 0.02)
    monkeypatch.setattr(retry, "CAP_SECONDS", 0.05)
    monkeypatch.setattr(retry, "PAUSE_FIRST_SECONDS", 0.01)
    monkeypatch.setattr(retry, "PAUSE_CAP_SECONDS", 0.02)
