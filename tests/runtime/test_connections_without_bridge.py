"""What can be done with connections while the bridge is away, and what is made up for later."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trio

from runtime.errors import Conflict, NotFound, Unavailable
from runtime.events import EventBus
from runtime.janitor import TEMPORARY_LIFETIME, _is_left_over
from runtime.journal import Connection, Journal
from runtime.outbound.outbox import Outbox
from runtime.way_in import WayIn
from runtime.whatsapp.credential_files import CredentialFiles
from runtime.whatsapp.link import LinkLost
from runtime.whatsapp.live import Live, LiveBook, Status
from runtime.whatsapp.manager import DELETED, Connections
from runtime.whatsapp.proxies import Proxies
from runtime.whatsapp.services import Services
from runtime.whatsapp.sessions import Sessions
from supervisors import open_supervisor
from tests.child_context import Context

OWNER = "11111111-1111-4111-8111-111111111111"
LOJA = Connection("loja", "Loja", OWNER, None, datetime(2026, 1, 1, tzinfo=UTC))


class NoBridge:
    """Is not there."""

    def link(self, connection_id):
        raise LinkLost("the bridge is not running")

    async def health(self):
        raise LinkLost("the bridge is not running")


@asynccontextmanager
async def connections(tmp_path):
    """The connections of a product whose bridge is away, and the directory of its files."""
    directory = tmp_path / "connections"
    directory.mkdir()
    journal, events, context = Journal(tmp_path / "journal.sqlite"), EventBus(), Context()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, context)
        with trio.fail_after(15):
            await context.is_ready.wait()
        await journal.register(LOJA)
        book = Connections(
            Services(
                journal=journal,
                bridge=NoBridge(),
                outbox=Outbox(journal, events),
                lives=LiveBook(),
                sessions=Sessions(journal),
                events=events,
                way_in=WayIn(),
                proxies=Proxies(),
                files=CredentialFiles(directory),
            )
        )
        async with open_supervisor(book.supervisor, name="connections"):
            yield book, journal, directory
        nursery.cancel_scope.cancel()


def stored(directory, *, events: int) -> None:
    with closing(sqlite3.connect(directory / "loja.sqlite")) as made, made:
        made.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY)")
        made.executemany("INSERT INTO event VALUES (?)", [(n,) for n in range(events)])
    (directory / "loja.1769860800000.archived.sqlite").write_bytes(b"credentials")


@contextmanager
def refused(kind, code):
    with pytest.raises(kind) as caught:
        yield
    assert caught.value.code == code


async def test_deleting_with_nothing_left_to_take_in_is_done_at_once(tmp_path):
    async with connections(tmp_path) as (book, journal, directory):
        stored(directory, events=0)
        await book.delete("loja")
        assert list(directory.iterdir()) == []
        assert await journal.connection("loja") is None


async def test_deleting_waits_for_messages_that_only_the_bridge_can_hand_over(tmp_path):
    async with connections(tmp_path) as (book, journal, directory):
        stored(directory, events=2)
        await book.delete("loja")
        assert len(list(directory.iterdir())) == 2
        assert await book.all() == []
        with refused(NotFound, "connection_not_found"):
            await book.get("loja")
        with refused(Conflict, "connection_exists"):
            await book.create(
                "loja", name="L", owner_id=OWNER, company_id=None, check_owner=lambda _: None
            )
        await book.catch_up()
        assert book.supervisor.children() == ()
        assert (await journal.connection("loja")).parked_code == DELETED
        with closing(sqlite3.connect(directory / "loja.sqlite")) as taken_in, taken_in:
            taken_in.execute("DELETE FROM event")
        await book.finish_deletions()
        assert list(directory.iterdir()) == []
        assert await journal.connection("loja") is None


async def test_a_logout_is_refused_and_the_connection_is_served_again_later(tmp_path):
    async with connections(tmp_path) as (book, journal, _):
        with refused(Unavailable, "not_ready"):
            await book.logout("loja")
        assert (await journal.connection("loja")).parked_code is None
        await journal.update_connection("loja", parked_code="banned", parked_reason="Banido.")
        await book.catch_up()
        assert book.supervisor.children() == ("loja",)


async def test_there_is_nothing_to_restore_without_an_archive_or_while_connected(tmp_path):
    async with connections(tmp_path) as (book, _, directory):
        stored(directory, events=0)
        with refused(NotFound, "no_archive"):
            await book.restore("loja", None)
        book.live("loja").become(Status.CONNECTED)
        with refused(Conflict, "already_connected"):
            await book.restore("loja", None)


@pytest.mark.parametrize(
    ("paired", "parked", "left_over"),
    [
        (False, None, True),
        (True, None, False),
        (None, None, False),  # the bridge has not said yet
        (None, "qr_expired", True),
    ],
)
def test_a_temporary_connection_that_was_paired_is_kept_though_its_way_breaks(
    paired, parked, left_over
):
    created = datetime.now(UTC) - TEMPORARY_LIFETIME - timedelta(minutes=1)
    connection = Connection("teste-1", "T", OWNER, None, created, parked_code=parked)
    assert _is_left_over(connection, Live(paired=paired)) is left_over
