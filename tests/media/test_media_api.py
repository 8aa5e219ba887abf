"""The HTTP side of files: forms that stream in, ranges, headers, refusals."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from http_api.app import create_app
from http_api.keys import KeyStore
from http_api.limits import Limits
from http_api.multipart import MAX_FIELDS, read_form
from http_api.ranges import ByteRange, Unsatisfiable, read_range
from runtime.errors import Conflict, Invalid, NotFound, TooLarge
from runtime.media.desk import MediaFile
from runtime.media.spool import Spool
from runtime.media.stores import open_file
from runtime.settings import Settings

BASE = "/api/whatsapp-integration"
KEY = "zv_test-key-of-the-media-tests"
OWNER = str(uuid.uuid4())
CONTENT = bytes(range(256)) * 1000


class FakeRuntime:
    """Files from memory; everything else of the facade is not asked."""

    jwt_secret = None

    def __init__(self, settings, directory):
        self.settings = settings
        self.spool = Spool(directory)
        self.path = directory / "shown"
        self.path.write_bytes(CONTENT)
        self.sent = []
        self.file = MediaFile(
            str(uuid.uuid4()),
            OWNER,
            "loja",
            "image/png",
            "foto.png",
            len(CONTENT),
            "available",
            None,
            None,
        )

    def receive_file(self):
        return self.spool.receive(len(CONTENT))

    async def send_file(self, *, connection_id, request, file, mimetype):
        self.sent.append((connection_id, request, file.size, file.sha256, mimetype))
        return self._answer()

    async def send_media(self, *, connection_id, request, url):
        self.sent.append((connection_id, request, len(url)))
        return self._answer()

    def _answer(self):
        now = datetime.now(UTC).isoformat()
        return {"messageId": "3EB0", "id": OWNER, "status": "queued", "sentAt": now}

    async def find_media(self, message_id, owner_id):
        if owner_id is not None and str(owner_id) != OWNER:
            raise NotFound("Mensagem não encontrada.", code="message_not_found")
        return self.file

    @asynccontextmanager
    async def open_media(self, file, first=0, last=None):
        async with open_file(self.path, first, last) as opened:
            yield opened

    async def retry_media(self, message_id):
        raise Conflict("Não falhou.", code="media_not_failed")


@pytest.fixture
def runtime(tmp_path):
    settings = Settings(_env_file=None, ZAPVISOR_DATA_DIR=tmp_path, ZAPVISOR_API_KEY=KEY, PORT=0)
    return FakeRuntime(settings, tmp_path)


@pytest.fixture
async def client(runtime):
    app = create_app(runtime, keys=KeyStore.load(runtime.settings), limits=Limits())
    transport = httpx.ASGITransport(app=app)
    headers = {"X-Api-Key": KEY}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://zapvisor", headers=headers
    ) as one:
        yield one


URL = f"{BASE}/media/{uuid.uuid4()}"
FIELDS = {"connectionId": "loja", "to": "11987654321", "type": "image", "content": "olá"}


async def test_a_file_is_given_with_headers_that_keep_it_harmless(client):
    response = await client.get(URL)
    assert (response.status_code, response.content) == (200, CONTENT)
    headers = response.headers
    assert headers["content-type"] == "image/png"
    assert headers["content-length"] == str(len(CONTENT))
    assert headers["content-disposition"] == 'inline; filename="foto.png"'
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("mimetype", ["text/html", "image/svg+xml", "application/pdf", None])
async def test_what_a_browser_might_run_is_a_download(client, runtime, mimetype):
    runtime.file = MediaFile(
        runtime.file.row_id, OWNER, "loja", mimetype, "x.html", 1, "available", None, None
    )
    headers = (await client.get(URL)).headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == 'attachment; filename="x.html"'


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=5-", 5, 255_999), ("bytes=-4", 255_996, 255_999)],
)
async def test_a_part_of_a_file(client, wanted, first, last):
    response = await client.get(URL, headers={"Range": wanted})
    assert response.status_code == 206
    assert response.content == CONTENT[first : last + 1]
    assert response.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"


@pytest.mark.parametrize(
    ("wanted", "status"), [("bytes=0-", 206), ("bytes=300000-", 416), ("bytes=-1", 416)]
)
async def test_a_row_that_says_another_size(client, runtime, wanted, status):
    """Rows are written by strangers: what is answered is what the file has."""
    runtime.file = replace(runtime.file, size=10**9)
    response = await client.get(URL, headers={"Range": wanted})
    assert response.status_code == status
    if status == 206:
        assert response.content == CONTENT
        assert response.headers["content-range"] == f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"


async def test_a_part_that_is_not_there(client):
    response = await client.get(URL, headers={"Range": "bytes=256000-"})
    assert (response.status_code, response.json()["code"]) == (416, "range_not_satisfiable")
    assert response.headers["content-range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 10, None),
        ("bytes=0-3", 10, ByteRange(0, 3)),
        ("bytes=2-99", 10, ByteRange(2, 9)),
        ("bytes=-99", 10, ByteRange(0, 9)),
        ("bytes=5-3", 10, None),
        ("bytes=-", 10, None),
        ("bytes=0-1,3-4", 10, None),
        ("items=0-1", 10, None),
        ("bytes=a-b", 10, None),
    ],
)
def test_ranges(header, size, expected):
    assert read_range(header, size) == expected


@given(st.text(max_size=30), st.integers(0, 1000))
def test_a_range_is_within_the_file(header, size):
    for text in (header, f"bytes={header}"):
        try:
            part = read_range(text, size)
        except Unsatisfiable:
            continue
        assert part is None or 0 <= part.first <= part.last < size


@pytest.mark.parametrize(
    ("state", "code"), [("pending", "media_pending"), ("failed", "media_failed")]
)
async def test_a_file_that_is_not_there_yet_or_never(client, runtime, state, code):
    runtime.file = MediaFile(
        runtime.file.row_id, OWNER, "loja", None, None, None, state, "media_gone", "o motivo"
    )
    response = await client.get(URL)
    assert (response.status_code, response.json()["code"]) == (409, code)
    assert response.json()["details"]["code"] == "media_gone"


async def test_errors_of_the_routes(client):
    assert (await client.get(f"{BASE}/media/nada")).status_code == 400
    assert (await client.get(URL, headers={"X-Api-Key": "x"})).status_code == 401
    other = await client.get(URL, params={"ownerId": str(uuid.uuid4())})
    assert (other.status_code, other.json()["code"]) == (404, "message_not_found")
    again = await client.post(f"{BASE}/messages/{uuid.uuid4()}/media/retry")
    assert (again.status_code, again.json()["code"]) == (409, "media_not_failed")


async def test_an_upload(client, runtime):
    response = await client.post(
        f"{BASE}/messages/send-media",
        data={**FIELDS, "ptt": "false", "fileName": "nome.png"},
        files={"file": ("outro.png", CONTENT, "image/png")},
        headers={"Idempotency-Key": "k"},
    )
    assert response.status_code == 202, response.text
    [(connection, request, size, _, mimetype)] = runtime.sent
    assert (connection, size, mimetype) == ("loja", len(CONTENT), "image/png")
    assert (request.kind, request.caption, request.file_name) == ("image", "olá", "nome.png")
    assert (request.voice, request.idempotency_key) == (False, "k")
    assert list((runtime.settings.data_dir / "receiving").iterdir()) == []


UPLOADS = [
    ({**FIELDS}, None, 400, "missing_file"),
    ({**FIELDS, "type": "text"}, b"x", 400, "validation_error"),
    ({**FIELDS, "to": "?"}, b"x", 400, "invalid_phone"),
    ({**FIELDS, "connectionId": "../x"}, b"x", 400, "invalid_connection_id"),
    ({}, b"x", 400, "validation_error"),
    ({**FIELDS, "content": "x" * 70_000}, b"x", 413, "form_too_large"),
    (FIELDS, CONTENT + b"x", 413, "media_too_large"),
]


@pytest.mark.parametrize(("fields", "content", "status", "code"), UPLOADS)
async def test_uploads_that_make_no_sense(client, runtime, fields, content, status, code):
    files = {"file": ("a", content)} if content is not None else {"fileName": (None, "y")}
    response = await client.post(f"{BASE}/messages/send-media", data=fields, files=files)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert runtime.sent == []
    assert list((runtime.settings.data_dir / "receiving").iterdir()) == []


@pytest.mark.parametrize(
    ("fields", "files", "unknown", "meant"),
    [
        ({"caption": "oi"}, {"file": ("a.png", b"x")}, "caption", None),
        ({"sendAt": "2030-01-01"}, {"file": ("a.png", b"x")}, "sendAt", None),
        ({"filename": "a.png"}, {"file": ("a.png", b"x")}, "filename", "fileName"),
        ({}, {"arquivo": ("a.png", b"\x89PNG")}, "arquivo", "file"),
    ],
)
async def test_what_a_form_does_not_know_is_named(client, runtime, fields, files, unknown, meant):
    data = {**FIELDS, **fields}
    response = await client.post(f"{BASE}/messages/send-media", data=data, files=files)
    body = response.json()
    assert (response.status_code, body["code"]) == (400, "unsupported_field"), body
    [detail] = body["details"]
    assert detail["field"] == unknown
    assert ("quis dizer" in detail["message"]) == (meant is not None)
    assert meant is None or f"(quis dizer {meant}?)" in body["error"]
    assert runtime.sent == []


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=b", b"garbage"),
        ("multipart/form-data; boundary=b", b"--b\r\n"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: form-data\r\n\r\nx"),
        (
            "multipart/form-data; boundary=b",
            (b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n' * 2) + b"--b--\r\n",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="to"\r\n\r\n\xff\xfe\r\n--b--\r\n',
        ),
    ],
)
async def test_forms_that_make_no_sense(client, runtime, content_type, body):
    response = await client.post(
        f"{BASE}/messages/send-media", content=body, headers={"Content-Type": content_type}
    )
    assert (response.status_code, response.json()["code"]) == (400, "malformed_form")
    assert runtime.sent == []


class Streamed:
    """A request of which the body comes in pieces."""

    def __init__(self, boundary, pieces):
        self.headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        self.pieces = pieces

    async def stream(self):
        for piece in self.pieces:
            yield piece


async def read(pieces, boundary="b"):
    written = bytearray()

    async def write(data):
        written.extend(data)

    return await read_form(Streamed(boundary, pieces), write), bytes(written)


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
async def test_pieces_of_any_size_give_the_same_form(size):
    body = (
        b'--b\r\nContent-Disposition: form-data; name="to"\r\n\r\n55\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
        b"Content-Type: image/png\r\n\r\n\r\n--bx\r\n--\r\n\r\n--b--\r\n"
    )
    form, written = await read([body[at : at + size] for at in range(0, len(body), size)])
    assert form.fields == {"to": "55"}
    assert (form.file_name, form.mimetype) == ("a.png", "image/png")
    assert written == b"\r\n--bx\r\n--\r\n"


async def test_forms_have_bounds():
    part = b'--b\r\nContent-Disposition: form-data; name="f%d"\r\n\r\nx\r\n'
    with pytest.raises(TooLarge):
        await read([part % number for number in range(MAX_FIELDS + 1)])
    with pytest.raises(Invalid):
        await read([b"--b\r\nX: " + b"y" * 9000 + b"\r\n\r\n"])
    with pytest.raises(Invalid):
        await read([b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nno end'])


async def test_a_large_data_url_passes_and_a_larger_one_does_not(client, runtime):
    body = {**FIELDS, "mediaUrl": "data:image/png;base64," + "A" * (20 * 1024 * 1024)}
    response = await client.post(f"{BASE}/messages/send", json=body)
    assert response.status_code == 202, response.text
    body["mediaUrl"] += "A" * (5 * 1024 * 1024)
    response = await client.post(f"{BASE}/messages/send", json=body)
    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
    elsewhere = await client.post(f"{BASE}/connections", content=b"[" + b" " * 2_000_000 + b"]")
    assert elsewhere.status_code == 413
