"""The connections of a product, over a journal of its own and any bridge."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import trio

from runtime.events import EventBus
from runtime.journal import Connection, Journal
from runtime.outbound.outbox import Outbox
from runtime.way_in import WayIn
from runtime.whatsapp.credential_files import CredentialFiles
from runtime.whatsapp.live import LiveBook
from runtime.whatsapp.manager import Connections
from runtime.whatsapp.proxies import Proxies
from runtime.whatsapp.services import Services
from runtime.whatsapp.sessions import Sessions
from supervisors import open_supervisor
from tests.child_context import Context

OWNER = "11111111-1111-4111-8111-111111111111"
LOJA = Connection("loja", "Loja", OWNER, None, datetime(2026, 1, 1, tzinfo=UTC))


@asynccontextmanager
async def services(tmp_path, bridge):
    """What connections share; LOJA is registered."""
    journal, events, context = Journal(tmp_path / "journal.sqlite"), EventBus(), Context()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, context)
        with trio.fail_after(15):
            await context.is_ready.wait()
        await journal.register(LOJA)
        yield Services(
            journal=journal,
            bridge=bridge,
            outbox=Outbox(journal, events),
            lives=LiveBook(),
            sessions=Sessions(journal),
            events=events,
            way_in=WayIn(),
            proxies=Proxies(),
            files=CredentialFiles(tmp_path / "connections"),
        )
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def running_connections(tmp_path, bridge):
    """The connections under their supervisor, and the journal."""
    async with services(tmp_path, bridge) as given:
        book = Connections(given)
        async with open_supervisor(book.supervisor, name="connections"):
            yield book, given.journal
