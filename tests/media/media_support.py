"""A journal, a spool, a store and the worker, with a bridge and a Supabase from a script."""

from __future__ import annotations

import hashlib
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import trio

from runtime.errors import StorageUnavailable
from runtime.events import EventBus
from runtime.journal import Connection, Journal, NewEntry
from runtime.journal import media as table
from runtime.media.desk import MediaDesk
from runtime.media.fetch import Fetcher
from runtime.media.incoming import incoming_media, media_columns, read_part
from runtime.media.spool import Spool
from runtime.media.stores import LocalStore
from runtime.media.tasks import Tasks
from runtime.media.worker import MediaWorker
from runtime.outbound.outbox import Outbox
from tests.child_context import Context

OWNER = "11111111-1111-4111-8111-111111111111"
NOW = datetime.now(UTC)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(500)
SHOP = Connection("loja", "Loja", OWNER, None, NOW)


class FakeBridge:
    """Does what ``script`` says, in order; then, for ever, its last line."""

    def __init__(self, spool):
        self.spool = spool
        self.script = [PNG]
        self.calls = []
        self.under_way = []
        self.most_at_once = 0
        self.most_per_connection = 0
        self.gate = trio.Event()
        self.gate.set()

    async def media(self, connection_id, action, body, seconds):
        self.calls.append((connection_id, action, body))
        self.under_way.append(connection_id)
        self.most_at_once = max(self.most_at_once, len(self.under_way))
        self.most_per_connection = max(
            self.most_per_connection, self.under_way.count(connection_id)
        )
        try:
            await self.gate.wait()
            line = self.script.pop(0) if len(self.script) > 1 else self.script[0]
            if isinstance(line, Exception):
                raise line
            if action == "upload":
                return {"upload": "QUJD"}
            path = self.spool.directory / body["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(line)
            return {
                "size": len(line),
                "sha256": hashlib.sha256(line).hexdigest(),
                "directPath": body["media"].get("directPath"),
            }
        finally:
            self.under_way.remove(connection_id)


class FakeRows:
    """The tables, as far as files go."""

    def __init__(self):
        self.told = []
        self.away = False
        self.absent = 0
        """How many calls find no row."""

    async def tell(self, item):
        await trio.lowlevel.checkpoint()
        if self.away:
            raise StorageUnavailable("fora", details={"reason": "down"})
        if self.absent > 0:
            self.absent -= 1
            return False
        self.told.append(item)
        return True

    def states(self, row_id):
        return [item["midia"]["estado"] for item in self.told if item["id"] == row_id]


class Scene:
    """Everything of one data directory."""

    def __init__(self, directory):
        self.directory = directory
        self.events = EventBus()
        self.journal = Journal(directory / "journal.sqlite")
        self.spool = Spool(directory / "media")
        self.store = LocalStore(directory / "media" / "files")
        self.rows = FakeRows()
        self.bridge = FakeBridge(self.spool)
        self.outbox = Outbox(self.journal, self.events)
        self.rung = []
        self.tasks = Tasks(
            journal=self.journal,
            bridge=self.bridge,
            outbox=self.outbox,
            spool=self.spool,
            store=self.store,
            rows=self.rows,
            ring=self.rung.append,
        )
        self.desk = MediaDesk(self.journal, self.spool, self.store, self.rows, Fetcher())

    @asynccontextmanager
    async def working(self):
        """Run the worker while the block does."""
        self.worker = MediaWorker(self.journal, self.tasks, self.spool, self.events)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.worker.run, Context())
            yield self.worker
            nursery.cancel_scope.cancel()

    async def media(self, row_id):
        return await self.journal.transact(lambda connection: table.find(connection, row_id))

    async def state(self, row_id):
        return (await self.media(row_id)).state

    async def tasks_left(self):
        return await self.journal.transact(table.waiting)

    async def until(self, check, what, seconds=15):
        """Wait in real time until ``await check()`` is true."""
        with trio.move_on_after(seconds):
            while not await check():  # noqa: ASYNC110 - a condition in the journal
                await trio.sleep(0.01)
            return
        raise AssertionError(f"not within {seconds} s: {what}")

    async def until_state(self, row_id, state):
        async def check():
            idle = not self.worker._running and not await self.tasks_left()
            return idle and await self.state(row_id) == state

        await self.until(check, f"{row_id} is {state} and nothing is left to do")

    async def arrive(self, kind="image", connection="loja", sent_at=NOW, owner=OWNER, **body):
        """A message with a file comes in; returns its row's id."""
        row_id = str(uuid.uuid4())
        entry = arrived(row_id, kind, connection, sent_at, owner=owner, **body)
        await self.journal.accept([entry])
        return row_id


def arrived(row_id, kind="image", connection="loja", sent_at=NOW, owner=OWNER, **body):
    """The entry of a message with a file."""
    part = read_part(kind, {"mediaKey": "a2V5", "directPath": "/v/x", "fileLength": "500", **body})
    key = {"id": f"W{row_id[:8]}", "remoteJid": "1@lid", "fromMe": False}
    shop = Connection(connection, connection, owner, None, NOW)
    payload = {"kind": "message", "id": row_id, "dados": None, **media_columns(row_id, part)}
    return NewEntry(
        "message", f"k/{row_id}", payload, media=incoming_media(shop, row_id, key, sent_at, part)
    )


@asynccontextmanager
async def open_scene(directory):
    scene = Scene(directory)
    context = Context()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.journal.run, context)
        with trio.fail_after(15):
            await context.is_ready.wait()
        if await scene.journal.connection("loja") is None:
            await scene.journal.register(SHOP)
        yield scene
        nursery.cancel_scope.cancel()


LONG_AGO = NOW - timedelta(days=60)
