"""The actor of one connection: what it tells of its socket, to those who look and in events."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
import trio
from trio_websocket import ConnectionClosed, serve_websocket

from runtime.events import EventName
from runtime.whatsapp import connection as actor
from runtime.whatsapp.connection import ConnectionActor
from runtime.whatsapp.link import open_link
from runtime.whatsapp.live import Live, Status
from runtime.whatsapp.manager import describe
from runtime.whatsapp.ways import trouble_of
from supervisors import Backoff, Park
from tests import connection_services
from tests.child_context import Context
from tests.connection_services import LOJA

EXPIRES = [1_770_000_060_000, 1_770_000_080_000, 1_770_000_100_000]


class ActorContext(Context):
    """With a mailbox."""

    def __init__(self) -> None:
        super().__init__()
        self.orders, self.mailbox = trio.open_memory_channel(0)


class Bridge:
    """Tells one state after the other, each when the one before was seen; then the end."""

    def __init__(self) -> None:
        self.port = 0
        self.states: list[dict] = []
        self.asked: list[str] = []
        self.seen = trio.Semaphore(0)

    def link(self, connection_id):
        return open_link(self.port, "token", connection_id)

    async def __call__(self, request) -> None:
        socket = await request.accept()
        try:
            await socket.get_message()
            welcome = {"v": 1, "type": "welcome", "epoch": "e", "registered": False}
            await socket.send_message(json.dumps(welcome))
            for state in self.states:
                frame = {"v": 1, "type": "state", "generation": 1, **state}
                await socket.send_message(json.dumps(frame))
                await self.seen.acquire()
            while True:
                self.asked.append(json.loads(await socket.get_message())["type"])
        except ConnectionClosed:
            return


@asynccontextmanager
async def services(tmp_path, bridge):
    async with trio.open_nursery() as nursery:
        server = await nursery.start(serve_websocket, bridge, "127.0.0.1", 0, None)
        bridge.port = server.port
        async with connection_services.services(tmp_path, bridge) as given:
            yield given
        nursery.cancel_scope.cancel()


async def test_every_qr_code_is_shown_with_its_expiry_until_nobody_has_read_one(tmp_path):
    bridge = Bridge()
    bridge.states = [
        *({"state": "qr", "qr": f"qr-{n}", "expiresAt": at} for n, at in enumerate(EXPIRES)),
        {"state": "closed", "code": 408, "cause": "qr_ended", "reason": "QR refs attempts ended"},
    ]
    shown, told = [], []
    async with services(tmp_path, bridge) as parts, parts.events.subscribe() as events:

        async def watch() -> None:
            async for event in events:
                told.append((event.event, event.data))
                live = parts.lives["loja"]
                shown.append((live.qr, live.qr_expires_at))
                bridge.seen.release()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            with trio.fail_after(15), pytest.raises(Park) as parked:
                await ConnectionActor(ActorContext(), LOJA, parts).run()
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        rows = [
            entry.payload["qr_code"]
            for entry in await parts.journal.pending(limit=99, max_bytes=10**6)
            if entry.kind == "session"
        ]
        remembered = await parts.journal.connection("loja")
    moments = [datetime.fromtimestamp(at / 1000, UTC) for at in EXPIRES]
    codes = [f"qr-{n}" for n in range(3)]
    assert shown[:3] == list(zip(codes, moments, strict=True))
    assert told[:3] == [
        (EventName.QR_CODE, {"qrCode": code, "expiresAt": at.isoformat()})
        for code, at in zip(codes, moments, strict=True)
    ]
    assert told[-1][0] is EventName.CONNECTION_FAILED
    assert parked.value.code == remembered.parked_code == "qr_expired"
    assert parts.lives["loja"].qr is None
    assert rows[-1] is None


async def test_a_way_that_fails_for_long_is_told_and_never_ends_the_session(tmp_path, monkeypatch):
    monkeypatch.setattr(actor, "BACKOFF", Backoff(first=0.001, cap=0.002, reset_after=300.0))
    bridge, causes = Bridge(), ["certificate_expired", "proxy_credentials", "not_whatsapp"]
    bridge.states = [
        *(
            {"state": "closed", "code": code, "cause": cause, "reason": "SELF_SIGNED_CERT_IN_CHAIN"}
            for cause in causes
            for code in (500, 401, 403, 411, 440, 500, 500)
        ),
        {"state": "open", "me": {"id": "5511987654321:1@s.whatsapp.net", "phone": "5511987654321"}},
    ]
    told, shown = [], []
    async with services(tmp_path, bridge) as parts, parts.events.subscribe() as events:
        running = ConnectionActor(ActorContext(), LOJA, parts)
        live = parts.lives["loja"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.run)
            with trio.fail_after(30):
                async for event in events:
                    told.append((event.event, event.data))
                    shown.append(describe(LOJA, live))
                    bridge.seen.release()
                    if event.event is EventName.CONNECTED:
                        break
            nursery.cancel_scope.cancel()
        remembered = await parts.journal.connection("loja")
    assert "logout" not in bridge.asked
    assert remembered.parked_code is None
    codes = [data["code"] for name, data in told if name is EventName.DISCONNECTED]
    assert codes == [
        code
        for code in ("certificate_expired", "proxy_unavailable", "not_whatsapp")
        for _ in range(7)
    ]
    assert "SELF_SIGNED" not in json.dumps([data for _, data in told])
    assert [one["unavailableCode"] for one in shown[:-1]] == codes
    assert all(one["statusCode"] is None and one["statusReason"] for one in shown[:-1])
    assert (shown[-1]["unavailableCode"], shown[-1]["statusReason"]) == (None, None)


def test_only_the_operator_is_told_what_the_proxy_did():
    live = Live()
    live.become(Status.DISCONNECTED, trouble=trouble_of("proxy_credentials"))
    assert describe(LOJA, live)["statusReason"] == "O proxy da conexão não está disponível."
    assert "senha" in describe(LOJA, live, closely=True)["statusReason"]
