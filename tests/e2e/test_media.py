"""Files both ways on the running product: real Baileys, the simulator's media host, PostgREST."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import struct
import time
import uuid
import zlib

import pytest

from .harness import until

BASE = "/api/whatsapp-integration"
OPUS = b"OggS" + bytes(24) + b"OpusHead" + bytes(40)
WEBP = b"RIFF" + struct.pack("<I", 60) + b"WEBPVP8 " + bytes(48)
MP4 = struct.pack(">I", 24) + b"ftypisom" + bytes(4) + b"isommp42" + bytes(900)
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 40


def png(size: int = 0) -> bytes:
    """A picture of one pixel, made longer by what follows its end."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
    picture = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(4)))
    return (picture + chunk(b"IEND", b"")).ljust(size, b"\x07")


FILES = {
    "image": (png(5000), "image/png", None),
    "video": (MP4, "video/mp4", None),
    "audio": (OPUS, "audio/ogg; codecs=opus", None),
    "document": (PDF, "application/pdf", "conta de luz.pdf"),
    "sticker": (WEBP, "image/webp", None),
}
TIPOS = {
    "image": "IMAGEM",
    "video": "VIDEO",
    "audio": "AUDIO",
    "document": "DOCUMENTO",
    "sticker": "STICKER",
}


@pytest.fixture(autouse=True)
def no_faults(simulator):
    yield
    simulator.admin.delete("/faults")


def give(simulator, contact, to, content, **media):
    """A contact sends a file; returns the message id."""
    media["base64"] = base64.b64encode(content).decode()
    return simulator.post(f"/contacts/{contact}/send", to=to, media=media)["ids"][0]


def row(shop, whatsapp_id):
    """The row of a message, once it is in the table."""
    columns = (
        "id, tipo, conteudo, remetente, midia_url, midia_tipo, midia_nome, midia_tamanho, dados"
    )

    def find():
        found = shop.product.query(
            f"select {columns} from whatsapp_mensagens where owner_id = %s and whatsapp_id = %s",
            shop.owner,
            whatsapp_id,
        )
        return dict(zip(columns.split(", "), found[0], strict=True)) if found else None

    return until(find, what=f"the row of {whatsapp_id}")


def when(shop, whatsapp_id, state, seconds=30):
    """The row once its file is in this state."""

    def check():
        found = row(shop, whatsapp_id)
        return found if found["dados"]["midia"]["estado"] == state else None

    return until(check, seconds=seconds, what=f"the file of {whatsapp_id} is {state}")


def shown(simulator, contact, whatsapp_id):
    """What a contact's phone made of a message."""

    def find():
        inbox = simulator.get(f"/contacts/{contact}/inbox")
        return next((one["media"] for one in inbox if one["id"] == whatsapp_id), None)

    return until(find, what=f"{whatsapp_id} on the phone")


def digest(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def shop(shared_product, simulator):
    from .conftest import fresh_number
    from .harness import Shop

    return Shop(shared_product, simulator, "midia", fresh_number()).pair()


@pytest.mark.parametrize("kind", FILES)
def test_what_a_customer_sends_is_in_the_row_and_behind_its_address(
    shop, simulator, customer, kind
):
    content, mimetype, name = FILES[kind]
    maria = customer()
    more = {"fileName": name} if name else {}
    if kind in ("image", "video", "document"):
        more["caption"] = "olha isso"
    if kind == "audio":
        more |= {"ptt": True, "seconds": 7}
    message = give(simulator, maria, shop.number, content, kind=kind, mimetype=mimetype, **more)
    found = when(shop, message, "available")
    assert (found["tipo"], found["remetente"]) == (TIPOS[kind], "CLIENTE")
    assert found["conteudo"] == more.get("caption", "")
    assert (found["midia_tipo"], found["midia_nome"]) == (mimetype, name)
    assert found["midia_tamanho"] == len(content)
    assert found["midia_url"] == f"{BASE}/media/{found['id']}"
    assert found["dados"]["midia"]["sha256"] == digest(content)
    if kind == "audio":
        assert found["dados"]["midia"]["voz"] is True
        assert found["dados"]["midia"]["segundos"] == 7
    response = shop.product.call("GET", found["midia_url"])
    assert response.status_code == 200
    assert response.content == content
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in response.headers["content-security-policy"]
    part = shop.product.call("GET", found["midia_url"], headers={"Range": "bytes=3-9"})
    assert (part.status_code, part.content) == (206, content[3:10])


def test_the_address_is_for_those_with_a_key_and_of_the_owner(shop, simulator, customer):
    message = give(simulator, customer(), shop.number, png(), kind="image", mimetype="image/png")
    found = when(shop, message, "available")
    stranger = shop.product.call("GET", found["midia_url"], headers={"Authorization": "Bearer x"})
    assert stranger.status_code == 401
    other = shop.product.call("GET", found["midia_url"], params={"ownerId": str(uuid.uuid4())})
    assert (other.status_code, other.json()["code"]) == (404, "message_not_found")
    nobody = shop.product.call("GET", f"{BASE}/media/{uuid.uuid4()}")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "message_not_found")


def test_what_is_sent_from_the_phone_itself_is_there_too(shop, simulator, customer):
    maria = customer()
    media = {
        "kind": "image",
        "mimetype": "image/png",
        "base64": base64.b64encode(png(777)).decode(),
    }
    [message] = simulator.post(f"/phones/{shop.number}/send", to=maria, media=media)["ids"]
    found = when(shop, message, "available")
    assert (found["tipo"], found["remetente"]) == ("IMAGEM", "ATENDENTE")
    assert shop.product.call("GET", found["midia_url"]).content == png(777)


@pytest.mark.parametrize("kind", FILES)
def test_what_is_uploaded_reaches_the_customer_and_is_a_row(shop, simulator, customer, kind):
    content, mimetype, name = FILES[kind]
    maria = customer()
    fields = {"connectionId": shop.name, "to": maria, "type": kind}
    if kind in ("image", "video", "document"):
        fields["content"] = "segue o arquivo"
    if kind == "audio":
        fields["ptt"] = "true"
    sent = shop.product.data(
        "POST",
        f"{BASE}/messages/send-media",
        data=fields,
        files={"file": (name or "x.bin", content, mimetype)},
    )
    media = shown(simulator, maria, sent["messageId"])
    assert (media["kind"], media["sha256"], media["intact"]) == (kind, digest(content), True)
    assert media["mimetype"] == mimetype
    assert media.get("caption") == fields.get("content")
    assert media["ptt"] is (kind == "audio")
    if kind == "document":
        assert media["fileName"] == name
    found = when(shop, sent["messageId"], "available")
    assert (found["tipo"], found["remetente"]) == (TIPOS[kind], "ATENDENTE")
    assert shop.product.call("GET", found["midia_url"]).content == content


def test_a_data_url_is_sent_once_per_idempotency_key_and_uploaded_once_per_file(
    shop, simulator, customer
):
    content = png(3000 + int(time.time()) % 1000)
    url = "data:image/png;base64," + base64.b64encode(content).decode()
    maria, joana = customer(), customer("Joana")
    before = simulator.get("/media")["uploads"]

    def send(to, key):
        body = {"connectionId": shop.name, "to": to, "type": "image", "mediaUrl": url}
        headers = {"Idempotency-Key": key}
        return shop.product.data("POST", f"{BASE}/messages/send", json=body, headers=headers)

    key = uuid.uuid4().hex
    first, again = send(maria, key), send(maria, key)
    assert first["messageId"] == again["messageId"]
    assert shown(simulator, maria, first["messageId"])["sha256"] == digest(content)
    other = send(joana, uuid.uuid4().hex)
    assert shown(simulator, joana, other["messageId"])["sha256"] == digest(content)
    assert simulator.get("/media")["uploads"] == before + 1
    assert len(simulator.get(f"/contacts/{maria}/inbox")) == 1


def test_a_text_after_a_file_arrives_after_it_and_other_chats_do_not_wait(
    shop, simulator, customer
):
    maria, joana = customer(), customer("Joana")
    simulator.post("/faults", kind="refuse-upload", times=2)
    url = "data:image/png;base64," + base64.b64encode(png(7777)).decode()
    shop.product.data(
        "POST",
        f"{BASE}/messages/send",
        json={"connectionId": shop.name, "to": maria, "type": "image", "mediaUrl": url},
    )
    shop.product.send(shop.name, maria, "viu a foto?")
    shop.product.send(shop.name, joana, "oi Joana")

    def kinds(contact):
        return [one["kind"] for one in simulator.get(f"/contacts/{contact}/inbox")]

    until(lambda: kinds(joana) != [], what="the other chat's message")
    until(lambda: len(kinds(maria)) == 2, seconds=40, what="the picture and its text")
    assert kinds(maria)[0] == "imageMessage"


def test_expired_media_is_uploaded_again_by_the_phone(shop, simulator, customer):
    """The file expires before anybody has fetched it: the connection was away."""
    maria = customer()
    before = simulator.get("/media")["reuploads"]
    for size, code in ((900, 403), (901, 404), (902, 410)):
        simulator.post("/faults", kind="media-status", code=code, times=1)
        message = give(simulator, maria, shop.number, png(size), kind="image", mimetype="image/png")
        found = when(shop, message, "available")
        assert shop.product.call("GET", found["midia_url"]).content == png(size)
    assert simulator.get("/media")["reuploads"] == before + 3


def test_media_that_is_gone_fails_visibly_and_can_be_tried_again(shop, simulator, customer):
    maria = customer()
    simulator.post("/faults", kind="refuse-reupload", times=1)
    simulator.post("/faults", kind="media-status", code=410, times=1)
    message = give(simulator, maria, shop.number, png(901), kind="image", mimetype="image/png")
    found = when(shop, message, "failed")
    assert found["dados"]["midia"]["codigo"] == "media_gone"
    shown_as = shop.product.call("GET", found["midia_url"])
    assert (shown_as.status_code, shown_as.json()["code"]) == (409, "media_failed")
    retried = shop.product.data("POST", f"{BASE}/messages/{found['id']}/media/retry")
    assert retried["state"] == "pending"
    when(shop, message, "available")
    assert shop.product.call("GET", found["midia_url"]).content == png(901)
    again = shop.product.call("POST", f"{BASE}/messages/{found['id']}/media/retry")
    assert (again.status_code, again.json()["code"]) == (409, "media_not_failed")


@pytest.mark.parametrize("fault", ["media-truncate", "media-corrupt"])
def test_a_damaged_download_is_repeated_until_it_is_whole(shop, simulator, customer, fault):
    simulator.post("/faults", kind=fault, times=2)
    content = png(200_000)
    message = give(simulator, customer(), shop.number, content, kind="image", mimetype="image/png")
    found = when(shop, message, "available")
    assert shop.product.call("GET", found["midia_url"]).content == content


def test_a_hostile_file_keeps_no_message_from_its_row(shop, simulator, customer):
    maria = customer()
    page = b"<!DOCTYPE html><script>alert(1)</script>"
    message = give(
        simulator,
        maria,
        shop.number,
        page,
        kind="image",
        mimetype="image/jpeg",
        claims={
            "fileLength": "9223372036854775807",
            "fileName": "../../etc/\u202egpj.exe",
            "mimetype": "text/html\r\nX: y",
            "url": "http://169.254.169.254/latest",
        },
    )
    found = when(shop, message, "available")
    assert found["midia_tamanho"] == len(page)
    assert found["midia_tipo"] == "text/html"
    response = shop.product.call("GET", found["midia_url"])
    assert response.headers["content-type"] == "application/octet-stream"
    assert response.headers["content-disposition"].startswith("attachment")
    assert response.content == page


def test_a_message_without_usable_media_is_a_row_that_says_so(shop, simulator, customer):
    message = give(
        simulator,
        customer(),
        shop.number,
        png(),
        kind="image",
        mimetype="image/png",
        caption="sem arquivo",
        claims={"directPath": "@evil.example/x", "fileName": "x" * 400},
    )
    found = when(shop, message, "failed")
    assert found["conteudo"] == "sem arquivo"
    assert found["dados"]["midia"]["codigo"] == "media_unusable"


REFUSED = [
    ({"mediaUrl": "http://127.0.0.1:1/x.png"}, 400, "media_url_not_allowed"),
    ({"mediaUrl": "http://[::ffff:127.0.0.1]/x.png"}, 400, "media_url_not_allowed"),
    ({"mediaUrl": "http://2130706433/x.png"}, 400, "media_url_not_allowed"),
    ({"mediaUrl": "http://localhost/x.png"}, 400, "media_url_not_allowed"),
    ({"mediaUrl": "file:///etc/passwd"}, 400, "invalid_media_url"),
    ({"mediaUrl": "data:image/png;base64,%%%"}, 400, "invalid_data_url"),
    ({"mediaUrl": "data:image/png;base64,"}, 400, "empty_file"),
    ({"mediaUrl": "data:image/png;base64,PGh0bWw+"}, 415, "media_type_mismatch"),
    ({"mediaUrl": "data:image/png;base64,UElORw==", "ptt": True}, 400, "invalid_request"),
    ({}, 400, "missing_media_url"),
]


@pytest.mark.parametrize(("fields", "status", "code"), REFUSED)
def test_what_cannot_be_sent_is_refused_with_the_reason(shop, customer, fields, status, code):
    body = {"connectionId": shop.name, "to": customer(), "type": "image", **fields}
    response = shop.product.call("POST", f"{BASE}/messages/send", json=body)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


def test_files_beyond_the_limit_are_refused(shop, customer):
    fields = {"connectionId": shop.name, "to": customer(), "type": "image"}
    large = png(16 * 1024 * 1024 + 1)
    response = shop.product.call(
        "POST", f"{BASE}/messages/send-media", data=fields, files={"file": ("x.png", large)}
    )
    assert (response.status_code, response.json()["code"]) == (413, "media_too_large")
    url = "data:image/png;base64," + base64.b64encode(large).decode()
    body = {**fields, "mediaUrl": url}
    response = shop.product.call("POST", f"{BASE}/messages/send", json=body)
    assert response.status_code == 413


def test_a_hundred_megabytes_pass_through_both_ways_in_bounded_memory(shop, simulator, customer):
    """A ZIP that claims to be larger inside: nobody ever looks inside."""
    import psutil

    maria = customer()
    size = 100 * 1024 * 1024
    head = b"PK\x03\x04" + bytes(14) + struct.pack("<IIHH", 1, 2**32 - 1, 5, 0) + b"a.txt"
    runtime = psutil.Process(shop.product.process.popen.pid)
    before = runtime.memory_info().rss
    highest = before

    def watched(answer):
        nonlocal highest
        highest = max(highest, runtime.memory_info().rss)
        return answer

    message = simulator.post(
        f"/contacts/{maria}/send",
        to=shop.number,
        media={
            "kind": "document",
            "mimetype": "application/zip",
            "fileName": "bomba.zip",
            "base64": base64.b64encode(head).decode(),
            "size": size,
        },
    )["ids"][0]
    found = until(
        lambda: watched(
            (one := row(shop, message))["dados"]["midia"]["estado"] == "available" and one
        ),
        seconds=90,
        what="the file is available",
    )
    assert (found["midia_tamanho"], found["midia_nome"]) == (size, "bomba.zip")
    received = hashlib.sha256()

    def pieces():
        with shop.product.client.stream("GET", found["midia_url"]) as response:
            for chunk in response.iter_bytes(1 << 20):
                watched(received.update(chunk))
                yield chunk

    path = shop.product.directory / "copy.zip"
    with path.open("wb") as copy:
        for piece in pieces():
            copy.write(piece)
    assert received.hexdigest() == found["dados"]["midia"]["sha256"]
    with path.open("rb") as copy:
        fields = {"connectionId": shop.name, "to": maria, "type": "document"}
        sent = shop.product.data(
            "POST",
            f"{BASE}/messages/send-media",
            data=fields,
            files={"file": ("bomba.zip", copy, "application/zip")},
            timeout=120,
        )
    media = until(
        lambda: watched(
            next(
                (
                    one["media"]
                    for one in simulator.get(f"/contacts/{maria}/inbox")
                    if one["id"] == sent["messageId"]
                ),
                None,
            )
        ),
        seconds=90,
        what="the file on the phone",
    )
    path.unlink()
    assert (media["size"], media["sha256"]) == (size, received.hexdigest())
    assert highest - before < 48 * 1024 * 1024, f"grew by {(highest - before) >> 20} MiB"


def test_killed_while_a_file_is_on_its_way(own_product, simulator, open_shop, customer):
    shop = open_shop(own_product, "queda")
    maria = customer()
    simulator.post("/faults", kind="media-slow", ms=500)
    content = png(50_000)
    message = give(simulator, maria, shop.number, content, kind="image", mimetype="image/png")
    assert row(shop, message)["dados"]["midia"]["estado"] == "pending"
    pending = own_product.call("GET", row(shop, message)["midia_url"])
    assert (pending.status_code, pending.json()["code"]) == (409, "media_pending")
    [bridge] = own_product.pids("node")
    os.kill(bridge, signal.SIGKILL)
    own_product.kill()
    simulator.admin.delete("/faults")
    own_product.start()
    found = when(shop, message, "available", seconds=60)
    assert own_product.call("GET", found["midia_url"]).content == content
