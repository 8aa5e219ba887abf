"""Events of the bridge into the journal: kept before they are acknowledged, whatever they are."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import trio
from trio_websocket import ConnectionClosed, serve_websocket

from runtime.events import EventBus
from runtime.journal import Connection, Journal
from runtime.outbound.outbox import Outbox
from runtime.way_in import WayIn
from runtime.whatsapp.intake import Intake
from runtime.whatsapp.link import WINDOW, LinkLost, open_link
from runtime.whatsapp.live import LiveBook
from runtime.whatsapp.sessions import Sessions
from tests.child_context import Context

OWNER = "11111111-1111-4111-8111-111111111111"
LOJA = Connection("loja", "Loja", OWNER, None, datetime(2026, 1, 1, tzinfo=UTC))


def event(seq: int, kind: str = "message", **changes):
    """A frame of the bridge as it goes over the wire."""
    data = {
        "key": {"remoteJid": "1111@lid", "fromMe": False, "id": f"M{seq}"},
        "phone": "5521980000001",
        "lid": "1111@lid",
        "pushName": "Ana",
        "timestamp": 1_769_860_800 + seq,
        "offline": False,
        "stub": None,
        "message": {"conversation": f"oi {seq}"},
    }
    frame = {"v": 1, "type": "event", "seq": seq, "kind": kind, "receivedAt": 5, "data": data}
    return {**frame, **changes}


class Bridge:
    """The other end of the WebSocket: sends what it is told to, notes acknowledgements."""

    def __init__(self, *frames: object) -> None:
        self.frames = frames
        self.window = 0
        self.acknowledged: list[int] = []
        self.pending_when_acknowledged: list[int] = []
        self.journal: Journal | None = None
        self.heard = trio.Event()

    async def __call__(self, request) -> None:
        socket = await request.accept()
        self.window = json.loads(await socket.get_message())["window"]
        welcome = {"v": 1, "type": "welcome", "epoch": "e", "registered": True}
        await socket.send_message(json.dumps(welcome))
        for frame in self.frames:
            text = frame if isinstance(frame, str) else json.dumps(frame)
            await socket.send_message(text)
        while True:
            try:
                frame = json.loads(await socket.get_message())
            except ConnectionClosed:
                return
            if frame["type"] != "ack":  # asks for a picture
                continue
            self.acknowledged.append(frame["seq"])
            assert self.journal is not None
            figures = await self.journal.statistics()
            self.pending_when_acknowledged.append(figures.accepted)
            self.heard.set()
            self.heard = trio.Event()

    async def wait_acknowledged(self, seq: int) -> None:
        with trio.fail_after(10):
            while seq not in self.acknowledged:
                await self.heard.wait()


@asynccontextmanager
async def taking(tmp_path, bridge: Bridge):
    """The journal of a running intake that is linked to ``bridge`` by a real WebSocket."""
    journal, ctx = Journal(tmp_path / "journal.sqlite"), Context()
    services = SimpleNamespace(
        journal=journal,
        outbox=Outbox(journal, EventBus()),
        lives=LiveBook(),
        way_in=WayIn(),
        sessions=Sessions(journal),
    )
    bridge.journal = journal
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run, ctx)
        await ctx.is_ready.wait()
        while journal.state.name != "available":  # noqa: ASYNC110 - it has no event
            await trio.sleep(0.01)
        await journal.register(LOJA)
        server = await nursery.start(serve_websocket, bridge, "127.0.0.1", 0, None)
        async with open_link(server.port, "token", "loja") as link, trio.open_nursery() as inner:
            await link.hello(1)
            inner.start_soon(Intake(LOJA, link, services).run)
            yield journal
            inner.cancel_scope.cancel()
        nursery.cancel_scope.cancel()


async def letters_of(journal: Journal):
    return await journal.dead_letters(limit=10)


async def contents(journal: Journal) -> list[str]:
    pending = await journal.pending(limit=100, max_bytes=10**6)
    return [entry.payload["conteudo"] for entry in pending]


async def test_an_acknowledgement_follows_the_commit_and_covers_all_before_it(tmp_path):
    bridge = Bridge(*(event(seq) for seq in range(1, 31)))
    async with taking(tmp_path, bridge) as journal:
        await bridge.wait_acknowledged(30)
        assert await contents(journal) == [f"oi {seq}" for seq in range(1, 31)]
    assert bridge.window == WINDOW
    assert bridge.acknowledged == sorted(bridge.acknowledged)
    told = zip(bridge.acknowledged, bridge.pending_when_acknowledged, strict=True)
    assert all(kept >= seq for seq, kept in told)


async def test_what_is_replayed_is_accepted_once(tmp_path):
    bridge = Bridge(event(1), event(2), event(1), event(2), event(3))
    async with taking(tmp_path, bridge) as journal:
        await bridge.wait_acknowledged(3)
        assert await contents(journal) == ["oi 1", "oi 2", "oi 3"]
        assert (await journal.statistics()).accepted == 3


@pytest.mark.parametrize(
    ("frame", "code", "reason"),
    [
        (event(2, kind="telepathy"), "unreadable_event", "no event 'telepathy'"),
        (event(2, data={"key": None}), "unreadable_event", "Error"),
        (event(2, data="not an object"), "unreadable_event", "no event 'malformed'"),
        (event(2, kind="status", data={"id": "X"}), "unreadable_event", "status"),
        (
            event(2, "oversized", data={"kind": "message", "bytes": 9, "file": "/f", "key": {}}),
            "oversized_event",
            "9 bytes do not fit a frame; kept in /f",
        ),
    ],
    ids=["unknown kind", "missing fields", "not in the protocol", "bad status", "too large"],
)
async def test_what_cannot_become_a_row_is_a_dead_letter_and_holds_up_nothing(
    tmp_path, frame, code, reason
):
    bridge = Bridge(event(1), frame, event(3), frame, event(4))
    async with taking(tmp_path, bridge) as journal:
        await bridge.wait_acknowledged(4)
        assert await contents(journal) == ["oi 1", "oi 3", "oi 4"]
        (letter,) = await letters_of(journal)
        assert letter.code == code
        assert reason in letter.reason
        assert letter.payload["owner_id"] == OWNER
        assert letter.raw is not None
        kept = letter.raw["data"]
        assert kept == frame["data"] or kept["frame"] == frame
        figures = await journal.statistics()
        assert figures.accepted == figures.stored + figures.dead + figures.pending == 4


async def test_a_frame_without_a_number_ends_the_link_and_is_not_acknowledged(tmp_path):
    bridge = Bridge(event(1), "{not json")
    with pytest.RaisesGroup(LinkLost, flatten_subgroups=True, allow_unwrapped=True):
        async with taking(tmp_path, bridge):
            await trio.sleep_forever()
    assert set(bridge.acknowledged) <= {1}


async def test_lone_surrogates_and_nul_arrive_with_their_original(tmp_path):
    strange = event(1)
    strange["data"]["message"]["conversation"] = "a\0b\ud800c"
    bridge = Bridge(strange)
    async with taking(tmp_path, bridge) as journal:
        await bridge.wait_acknowledged(1)
        (entry,) = await journal.pending(limit=10, max_bytes=10**6)
        assert "\0" not in entry.payload["conteudo"]
        assert "\ud800" not in entry.payload["conteudo"]
        assert entry.raw is not None
        assert entry.raw["message"]["conversation"] == "a\0b\ud800c"


async def entries(journal: Journal):
    pending = await journal.pending(limit=100, max_bytes=10**6)
    return [(entry.kind, entry.payload) for entry in pending]


async def test_who_called_by_lid_alone_is_joined_when_the_number_shows(tmp_path):
    ring = {
        "id": "C1",
        "from": "1111@lid",
        "phone": None,
        "lid": "1111@lid",
        "status": "offer",
        "isVideo": False,
        "timestamp": 1_769_860_800,
    }
    bridge = Bridge(event(1, "call", data=ring), event(2))
    async with taking(tmp_path, bridge) as journal:
        await bridge.wait_acknowledged(2)
        (_, called), (kind, joined), (_, written) = await entries(journal)
    assert (called["tipo"], called["numero_cliente"]) == ("SISTEMA", "1111@lid")
    assert (kind, joined["apelido"], joined["numero_cliente"]) == (
        "contact",
        "1111@lid",
        "5521980000001",
    )
    assert written["numero_cliente"] == "5521980000001"


async def test_what_the_phone_read_and_a_picture_that_is_gone_are_passed_on(tmp_path):
    who = {"phone": "5521980000001", "lid": "1111@lid"}
    read = {**who, "chat": "1111@lid", "ids": ["M1"]}
    gone = {**who, "jid": "1111@lid", "name": None, "picture": "removed"}
    bridge = Bridge(event(1), event(2, "read", data=read), event(3, "contact", data=gone))
    async with taking(tmp_path, bridge) as journal:
        await bridge.wait_acknowledged(3)
        (_, message), (kind, reading), (_, contact) = await entries(journal)
    assert (kind, reading["id"]) == ("read", message["id"])
    assert (contact["numero_cliente"], contact["foto_url"]) == ("5521980000001", "")


@pytest.mark.parametrize(
    "data", [{"ids": ["M1"]}, {"chat": "1111@lid"}, {"chat": "1111@lid", "ids": 7}, {"chat": 7}]
)
async def test_a_reading_that_makes_no_sense_is_a_dead_letter(tmp_path, data):
    bridge = Bridge(event(1, "read", data=data), event(2))
    async with taking(tmp_path, bridge) as journal:
        await bridge.wait_acknowledged(2)
        assert await contents(journal) == ["oi 2"]
        [letter] = await letters_of(journal)
    assert letter.code == "unreadable_event"


ARRIVED = 1_769_900_000


@pytest.mark.parametrize(
    "at", [None, 0, -5, "", float("nan"), 4_102_444_800, 1_769_860_800_000, "missing"]
)
async def test_a_message_without_a_time_that_can_be_is_of_when_it_arrived(tmp_path, at):
    frame = event(1, receivedAt=ARRIVED * 1000)
    if at == "missing":
        del frame["data"]["timestamp"]
    else:
        frame["data"]["timestamp"] = at
    bridge = Bridge(frame)
    async with taking(tmp_path, bridge) as journal:
        await bridge.wait_acknowledged(1)
        (entry,) = await journal.pending(limit=9, max_bytes=10**6)
    assert datetime.fromisoformat(entry.payload["timestamp"]).timestamp() == ARRIVED


@pytest.mark.parametrize(("at", "told"), [(1_769_899_990, 1_769_899_990), (0, ARRIVED)])
async def test_whatsapps_own_time_of_an_acknowledgement_is_passed_on(tmp_path, at, told):
    data = {"id": "3EB0PHONE", "status": "delivered", "error": None, "timestamp": at}
    bridge = Bridge(event(1, "status", data=data, receivedAt=ARRIVED * 1000))
    async with taking(tmp_path, bridge) as journal:
        await bridge.wait_acknowledged(1)
        (entry,) = await journal.pending(limit=9, max_bytes=10**6)
    assert entry.payload["kind"] == "status"
    assert datetime.fromisoformat(entry.payload["at"]).timestamp() == told
