"""A stop of a connection: what was handed to WhatsApp is acknowledged, nothing else goes out."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, serve_websocket

from runtime.journal import CommandState, NewCommand, NewEntry
from runtime.whatsapp.link import open_link
from tests.connection_services import running_connections

ME = {"id": "5511987654321:1@s.whatsapp.net", "phone": "5511987654321"}


class Bridge:
    """WhatsApp is open at once, takes what it is sent, and acknowledges it when told to."""

    def __init__(self) -> None:
        self.port = 0
        self.sent: list[str] = []
        self.replies = trio.Event()  # those to "send" wait for it
        self.replies.set()
        self._socket = None
        self._events = 0

    def link(self, connection_id):
        return open_link(self.port, "token", connection_id)

    async def __call__(self, request) -> None:
        self._socket = await request.accept()
        try:
            while True:
                frame = json.loads(await self._socket.get_message())
                await self._answer(frame)
        except ConnectionClosed:
            return

    async def _answer(self, frame) -> None:
        match frame["type"]:
            case "hello":
                await self._tell("welcome", epoch="e", registered=True)
            case "open":
                await self._tell("state", generation=1, state="open", me=ME)
            case "send":
                self.sent.append(frame["messageId"])
                await self.replies.wait()
        if "requestId" in frame:
            await self._tell("reply", requestId=frame["requestId"], ok=True, data={})

    async def _tell(self, type_, **fields) -> None:
        await self._socket.send_message(json.dumps({"v": 1, "type": type_, **fields}))

    async def acknowledge(self, message_id) -> None:
        self._events += 1
        now = time.time()
        data = {"id": message_id, "status": "server_ack", "timestamp": int(now)}
        await self._tell(
            "event", seq=self._events, kind="status", receivedAt=int(now * 1000), data=data
        )

    async def close(self) -> None:
        await self._tell("state", generation=1, state="closed", code=428, reason="gone")


@asynccontextmanager
async def connections(tmp_path):
    """The connections of a product, one of which is open, its journal and the bridge."""
    bridge = Bridge()
    async with trio.open_nursery() as nursery:
        bridge.port = (await nursery.start(serve_websocket, bridge, "127.0.0.1", 0, None)).port
        async with running_connections(tmp_path, bridge) as (book, journal):
            yield book, journal, bridge
        nursery.cancel_scope.cancel()


async def submit(book, journal, message_id):
    now = datetime.now(UTC)
    command = NewCommand(
        connection_id="loja",
        message_id=message_id,
        row_id=message_id,
        to_jid=f"{message_id}@lid",
        content={"text": "oi"},
        idempotency_key=None,
        request_hash="",
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )
    await journal.submit(command, NewEntry("message", message_id, {"kind": "message"}))
    book.live("loja").outbox.ring()


async def until(condition, seconds: float = 15.0) -> None:
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - the condition is no event of ours
            await trio.sleep(0.005)


def state(book) -> str:
    return book.supervisor.node("loja").state.value


@pytest.mark.parametrize("replied", [True, False])
async def test_a_message_that_whatsapp_has_is_acknowledged_and_not_sent_again(tmp_path, replied):
    async with connections(tmp_path) as (book, journal, bridge):
        if not replied:
            bridge.replies = trio.Event()
        await submit(book, journal, "m1")
        await until(lambda: bridge.sent)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(book.supervisor.terminate_child, "loja")
            await until(lambda: state(book) == "draining")
            await submit(book, journal, "m2")
            await trio.testing.wait_all_tasks_blocked(0.05)
            bridge.replies.set()
            await bridge.acknowledge("m1")
            await until(lambda: state(book) == "stopped", seconds=5)
        assert (await journal.command("m1", "loja")).state is CommandState.SENT
        assert (await journal.command("m2", "loja")).state is CommandState.QUEUED
        await book.supervisor.restart_child("loja")
        await until(lambda: len(bridge.sent) > 1)
        assert bridge.sent == ["m1", "m2"]


@pytest.mark.parametrize("handed_over", [False, True])
async def test_where_no_acknowledgement_can_come_the_stop_does_not_wait(tmp_path, handed_over):
    async with connections(tmp_path) as (book, journal, bridge):
        await until(lambda: book.live("loja").sockets)
        if handed_over:
            await submit(book, journal, "m1")
            await until(lambda: bridge.sent)
            await bridge.close()
            await until(lambda: book.live("loja").disconnects)
        began = trio.current_time()
        await book.supervisor.terminate_child("loja")
        assert trio.current_time() - began < 3
        assert state(book) == "stopped"
