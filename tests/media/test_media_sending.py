"""Files of ours: taken, kept, uploaded once, and their messages in order."""

from __future__ import annotations

import base64
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import httpcore
import pytest
import trio
from media_support import OWNER, PNG, SHOP

from runtime.errors import Conflict, Invalid, TooLarge, UnsupportedMedia
from runtime.identity import recipient_jid
from runtime.journal import CommandState
from runtime.media.desk import Addressed, MediaDesk, MediaRequest, read_data_url
from runtime.media.fetch import Fetcher
from runtime.media.policy import MIB
from runtime.outbound.beside import Quoted
from runtime.outbound.outbox import Outbox
from runtime.whatsapp.link import RequestFailed

MARIA, JOANA = "5511987654321", "5511987654322"
MARIA_JID = f"{MARIA}@s.whatsapp.net"
DATA = "data:image/png;base64," + base64.b64encode(PNG).decode()


def picture(to=MARIA, **more):
    return MediaRequest(to=to, kind="image", **more)


def to(request):
    """The recipient as asked for, as if WhatsApp knew them by that spelling."""
    jid = recipient_jid(request.to)
    return Addressed(jid, jid, mentions=[recipient_jid(one) for one in request.mentions])


async def send(scene, request, url=DATA):
    return await scene.desk.submit_url(SHOP, request, to(request), url)


async def queued(scene):
    return [command.content for command in await scene.journal.outgoing("loja", limit=100)]


async def state_of(scene, submitted):
    return (await scene.journal.command(submitted.command.message_id, "loja")).state


async def test_a_picture_waits_for_its_upload_then_goes(scene):
    submitted = await send(scene, picture(caption="veja"))
    assert await queued(scene) == []
    async with scene.working():
        await scene.until_state(submitted.command.row_id, "available")
    assert await queued(scene) == [{"image": {"upload": "QUJD", "caption": "veja"}}]
    assert scene.rung == ["loja"]
    [(_, action, body)] = scene.bridge.calls
    assert action == "upload"
    assert body["mimetype"] == "image/png"
    assert scene.store.path(OWNER, submitted.command.row_id).read_bytes() == PNG
    assert list(scene.spool.directory.iterdir()) == []
    [told] = scene.rows.told
    assert told["midia"]["estado"] == "available"


async def test_its_file_is_shown_from_the_start(scene):
    submitted = await send(scene, picture())
    file = await scene.desk.find(uuid.UUID(submitted.command.row_id), uuid.UUID(OWNER))
    file.check_available()
    async with scene.desk.open(file, 1, 3) as opened:
        assert (opened.size, b"".join([c async for c in opened.chunks])) == (len(PNG), b"PNG")


async def test_the_chat_waits_in_order_and_other_chats_do_not(scene):
    scene.bridge.gate = trio.Event()
    outbox = Outbox(scene.journal, scene.events)
    await outbox.submit(SHOP, to=MARIA, text="antes", idempotency_key=None)
    await send(scene, picture())
    await outbox.submit(SHOP, to=MARIA, text="depois", idempotency_key=None)
    await outbox.submit(SHOP, to=JOANA, text="oi Joana", idempotency_key=None)
    async with scene.working():

        async def uploading():
            return scene.bridge.under_way == ["loja"]

        await scene.until(uploading, "the upload is under way")
        assert await queued(scene) == [{"text": "antes"}, {"text": "oi Joana"}]
        scene.bridge.gate.set()

        async def all_may_go():
            return len(await queued(scene)) == 4

        await scene.until(all_may_go, "all messages may go")
    assert [next(iter(content)) for content in await queued(scene)] == [
        *("text", "image", "text", "text")
    ]


async def test_the_same_file_is_uploaded_once(scene):
    async with scene.working():
        for chat in (MARIA, JOANA, MARIA):
            submitted = await send(scene, picture(chat))
            await scene.until_state(submitted.command.row_id, "available")
    assert len(scene.bridge.calls) == 1
    assert len(await queued(scene)) == 3


async def test_an_upload_that_fails_is_tried_again(scene):
    scene.bridge.script = [RequestFailed("upload_failed", "x", retryable=True)] * 3 + [PNG]
    submitted = await send(scene, picture())
    async with scene.working():
        await scene.until_state(submitted.command.row_id, "available")
    assert len(await queued(scene)) == 1


async def test_an_upload_that_cannot_succeed_fails_its_message_and_lets_the_chat_go_on(scene):
    scene.bridge.script = [RequestFailed("unusable", "x", retryable=False)]
    submitted = await send(scene, picture())
    outbox = Outbox(scene.journal, scene.events)
    await outbox.submit(SHOP, to=MARIA, text="depois", idempotency_key=None)
    async with scene.working():
        await scene.until_state(submitted.command.row_id, "available")
    command = await scene.journal.command(submitted.command.message_id, "loja")
    assert (command.state, command.error) == (CommandState.FAILED, "unusable")
    assert await queued(scene) == [{"text": "depois"}]


async def test_a_message_that_failed_meanwhile_is_not_uploaded(scene):
    submitted = await send(scene, picture())
    await scene.outbox.advance(
        SHOP,
        submitted.command.message_id,
        CommandState.FAILED,
        error="expired",
        at=datetime.now(UTC),
    )
    async with scene.working():
        await scene.until_state(submitted.command.row_id, "available")
    assert scene.bridge.calls == []


async def test_the_same_key_is_the_same_message_and_another_request_a_conflict(scene):
    first = await send(scene, picture(idempotency_key="k"))
    again = await send(scene, picture(idempotency_key="k"))
    assert again.existing
    assert again.command.message_id == first.command.message_id
    assert len(list(scene.spool.directory.iterdir())) == 1
    for other in (
        picture(idempotency_key="k", caption="outra"),
        picture(JOANA, idempotency_key="k"),
    ):
        with pytest.raises(Conflict):
            await send(scene, other)


async def test_a_file_may_answer_mention_and_be_seen_once(scene):
    question = Quoted("row", "3A01", False, "cadê a foto?")
    request = picture(caption="aqui", view_once=True, mentions=["(11) 98765-4322"])
    recipient = replace(to(request), quoted=question)
    submitted = await scene.desk.submit_url(SHOP, request, recipient, DATA)
    [entry] = await scene.journal.pending(limit=9, max_bytes=10**6)
    facts = entry.payload["dados"]
    assert facts["resposta"] == {"id": "row", "mensagem_id": "3A01"}
    assert facts["mencoes"] == [f"{JOANA}@s.whatsapp.net"]
    assert facts["visualizacao_unica"] is True
    async with scene.working():
        await scene.until_state(submitted.command.row_id, "available")
    [content] = await queued(scene)
    assert content["image"] == {
        "upload": "QUJD",
        "caption": "aqui",
        "viewOnce": True,
        "mentions": [f"{JOANA}@s.whatsapp.net"],
        "quoted": {"id": "3A01", "fromMe": False, "participant": None, "text": "cadê a foto?"},
    }


async def test_what_stands_beside_it_makes_it_another_request(scene):
    await send(scene, picture(idempotency_key="k"))
    for more in ({"view_once": True}, {"mentions": [JOANA]}, {"quoted_id": str(uuid.uuid4())}):
        with pytest.raises(Conflict):
            await send(scene, picture(idempotency_key="k", **more))


async def test_it_goes_to_the_number_that_whatsapp_knows_and_keeps_its_place_there(scene):
    """Asked for with the ninth digit, registered without it."""
    registered = f"{MARIA[:4]}{MARIA[5:]}"
    jid = f"{registered}@s.whatsapp.net"
    recipient = Addressed(MARIA_JID, jid)
    submitted = await scene.desk.submit_url(SHOP, picture(), recipient, DATA)
    outbox = Outbox(scene.journal, scene.events)
    await outbox.submit(SHOP, to=registered, text="depois", idempotency_key=None)
    assert await queued(scene) == []
    assert submitted.command.to_jid == jid
    entries = await scene.journal.pending(limit=9, max_bytes=10**6)
    assert {entry.payload["numero_cliente"] for entry in entries} == {registered}


async def upload(scene, request, content, mimetype=None):
    async with scene.desk.receive() as received:
        for at in range(0, len(content), 1000):
            await received.write(content[at : at + 1000])
        return await scene.desk.submit_file(SHOP, request, to(request), received, mimetype)


async def test_an_uploaded_file_with_the_same_key_is_the_same_message(scene):
    first = await upload(scene, picture(idempotency_key="k"), PNG)
    again = await upload(scene, picture(idempotency_key="k"), PNG)
    assert again.command.message_id == first.command.message_id
    with pytest.raises(Conflict):
        await upload(scene, picture(idempotency_key="k"), PNG + b"x")
    assert len(list(scene.spool.directory.iterdir())) == 1


async def test_a_document_keeps_a_harmless_name_and_the_type_that_it_has(scene):
    request = MediaRequest(to=MARIA, kind="document", file_name="../../x\0\u202e.pdf")
    submitted = await upload(scene, request, b"%PDF-1.4\n%", "text/html")
    media = await scene.media(submitted.command.row_id)
    assert (media.mimetype, media.file_name) == ("application/pdf", "x.pdf")
    assert submitted.command.content == {"media": {"fileName": "x.pdf"}}


async def test_a_file_from_a_url_is_fetched_once_for_a_key(scene):
    fetched = []

    async def resolver(host, port):
        fetched.append(host)
        return ["93.184.215.14"]

    class Network(httpcore.AsyncNetworkBackend):
        async def connect_tcp(self, *_, **__):
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(PNG)}\r\n\r\n".encode()
            return httpcore.AsyncMockStream([head, PNG])

    fetcher = Fetcher(resolver=resolver, network=Network())
    desk = MediaDesk(scene.journal, scene.spool, scene.store, scene.rows, fetcher)
    url = "http://cdn.example/foto.png"
    request = picture(idempotency_key="k")
    first = await desk.submit_url(SHOP, request, to(request), url)
    again = await desk.submit_url(SHOP, request, to(request), url)
    assert again.command.message_id == first.command.message_id
    assert fetched == ["cdn.example"]


REFUSED = [
    (picture(), "data:image/png;base64,", Invalid, "empty_file"),
    (picture(), "data:;base64,!!!!", Invalid, "invalid_data_url"),
    (picture(), "data:image/png", Invalid, "invalid_data_url"),
    (picture(), "data:image/png;base64,PGh0bWw+", UnsupportedMedia, "media_type_mismatch"),
    (picture(caption="a\0b"), DATA, Invalid, "invalid_text"),
    (picture(caption="x" * 5000), DATA, Invalid, "content_too_long"),
    (picture(voice=True), DATA, Invalid, "invalid_request"),
    (MediaRequest(MARIA, "document", view_once=True), DATA, Invalid, "invalid_request"),
    (picture(to="não"), DATA, Invalid, "invalid_phone"),
    (picture(), "ftp://a/b", Invalid, "invalid_media_url"),
    (MediaRequest(MARIA, "audio", caption="x"), DATA, Invalid, "caption_not_possible"),
    (MediaRequest(MARIA, "sticker"), DATA, UnsupportedMedia, "media_type_mismatch"),
]


@pytest.mark.parametrize(("request_", "url", "kind", "code"), REFUSED)
async def test_what_cannot_be_sent_leaves_nothing_behind(scene, request_, url, kind, code):
    with pytest.raises(kind) as refusal:
        await send(scene, request_, url)
    assert refusal.value.code == code
    assert await scene.tasks_left() == set()
    assert [path for path in (scene.directory / "media").rglob("*") if path.is_file()] == []


async def test_sizes_are_those_of_the_kind(scene):
    with pytest.raises(TooLarge):
        await upload(scene, picture(), PNG + bytes(16 * MIB))
    await upload(scene, MediaRequest(MARIA, "document"), PNG + bytes(16 * MIB))
    with pytest.raises(TooLarge):
        await send(scene, picture(), "data:image/png;base64," + "A" * (22 * MIB))


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("data:image/png;base64,QUJD", ("image/png", b"ABC")),
        ("data:;base64,QUJD", (None, b"ABC")),
        ("data:,a%20b", (None, b"a b")),
        ("DATA:audio/ogg;codecs=opus;base64,QUJD", ("audio/ogg;codecs=opus", b"ABC")),
    ],
)
def test_data_urls(url, read):
    if url.startswith("DATA"):
        url = "data" + url[4:]
    assert read_data_url(url, 100) == read


async def test_a_full_disk_refuses_files_before_they_come(scene, monkeypatch):
    monkeypatch.setattr(scene.spool, "has_room", lambda size: False)
    with pytest.raises(Exception) as refusal:  # noqa: PT011 - its code is what counts
        await send(scene, picture())
    assert refusal.value.code == "disk_full"
