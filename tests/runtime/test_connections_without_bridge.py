"""What can be done with connections while the bridge is away, and what is made up for later."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from runtime.errors import Conflict, NotFound, Unavailable
from runtime.janitor import TEMPORARY_LIFETIME, _is_left_over
from runtime.journal import Connection
from runtime.whatsapp.link import LinkLost
from runtime.whatsapp.live import Live, Status
from runtime.whatsapp.manager import DELETED
from tests.connection_services import OWNER, running_connections


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
    async with running_connections(tmp_path, NoBridge()) as (book, journal):
        yield book, journal, directory


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
