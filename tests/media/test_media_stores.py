"""Where files stay: the local directory, and Supabase Storage as its API answers."""

from __future__ import annotations

import json
import os
import uuid

import httpx
import pytest
from media_support import OWNER

from runtime.errors import Invalid, NotFound, StorageUnavailable
from runtime.media.stores import BUCKET, LocalStore, SupabaseStore
from runtime.storage import MediaStorage, Supabase

ROW = "cccccccc-0000-4000-8000-00000000000c"
URL = "http://supabase.test"


async def content(store, first=0, last=None):
    async with store.open(OWNER, ROW, first, last) as opened:
        return opened.size, b"".join([chunk async for chunk in opened.chunks])


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "received"
    path.write_bytes(bytes(range(256)) * 4000)
    return path


async def test_local_files_are_kept_read_in_parts_and_named_by_ids_alone(tmp_path, file):
    store = LocalStore(tmp_path / "files")
    await store.put(OWNER, ROW, file, "image/png")
    await store.put(OWNER, ROW, file, "image/png")
    path = tmp_path / "files" / OWNER / ROW[:2] / ROW
    assert path.read_bytes() == file.read_bytes()
    assert [one.name for one in path.parent.iterdir()] == [ROW]
    whole = file.read_bytes()
    assert await content(store) == (len(whole), whole)
    assert await content(store, 300_000, 300_009) == (len(whole), whole[300_000:300_010])
    assert await content(store, len(whole) - 3) == (len(whole), whole[-3:])
    for owner, row in (("../..", ROW), (OWNER, "../../etc/passwd"), (OWNER, "")):
        with pytest.raises(ValueError, match="UUID"):
            store.path(owner, row)
    with pytest.raises(NotFound):
        await content(LocalStore(tmp_path / "elsewhere"))


async def test_a_file_system_without_second_names_gets_a_copy(tmp_path, file, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    store = LocalStore(tmp_path / "files")
    await store.put(OWNER, ROW, file, "image/png")
    assert store.path(OWNER, ROW).read_bytes() == file.read_bytes()


class Project:
    """Supabase Storage, as far as it is asked here."""

    def __init__(self):
        self.buckets = {}
        self.objects = {}
        self.requests = []
        self.refuse = None
        self.page = None

    async def __call__(self, request):
        body = await request.aread()
        self.requests.append((request.method, request.url.path))
        path = request.url.path.removeprefix("/storage/v1/")
        if self.page is not None:
            return httpx.Response(self.page, html="<html>Too large</html>")
        if self.refuse is not None:
            status, message = self.refuse
            return httpx.Response(status, json={"statusCode": str(status), "message": message})
        if path == "bucket" and request.method == "POST":
            asked = json.loads(body)
            self.buckets[asked["id"]] = asked["public"]
            return httpx.Response(200, json={"name": asked["id"]})
        if path.startswith("bucket/"):
            if path.removeprefix("bucket/") not in self.buckets:
                return _missing("Bucket not found")
            return httpx.Response(200, json=_bucket(path.removeprefix("bucket/")))
        if path.startswith("object/sign/") and request.method == "POST":
            if path.removeprefix("object/sign/") not in self.objects:
                return _missing("Object not found")
            return httpx.Response(200, json={"signedURL": f"/{path}?token=t"})
        if path.startswith("object/sign/"):
            return self._serve(request, path.removeprefix("object/sign/"))
        assert request.headers["x-upsert"] == "true"
        self.objects[path.removeprefix("object/")] = body
        return httpx.Response(200, json={"Key": path, "Id": "1"})

    def _serve(self, request, name):
        assert request.url.params["token"] == "t"
        body = self.objects[name].split(b"\r\n\r\n")[-1].rsplit(b"\r\n--", 1)[0]
        wanted = request.headers.get("range")
        if wanted is None:
            return httpx.Response(200, content=body)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        part = body[int(first) : int(last) + 1 if last else None]
        headers = {"content-range": f"bytes {first}-{last}/{len(body)}"}
        return httpx.Response(206, content=part, headers=headers)


def _missing(message):
    return httpx.Response(400, json={"statusCode": "404", "error": "nf", "message": message})


def _bucket(name):
    when = "2026-01-01T00:00:00+00:00"
    return {
        "id": name,
        "name": name,
        "owner": "",
        "public": False,
        "created_at": when,
        "updated_at": when,
        "file_size_limit": None,
        "allowed_mime_types": None,
    }


@pytest.fixture
async def project():
    return Project()


@pytest.fixture
async def store(project):
    key = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.x"
    async with Supabase(URL, key, transport=httpx.MockTransport(project)) as supabase:
        yield SupabaseStore(MediaStorage(supabase))


async def test_supabase_files_go_to_a_private_bucket_by_owner(project, store, file):
    await store.put(OWNER, ROW, file, "image/png")
    await store.put(OWNER, ROW, file, "image/png")
    assert project.buckets == {BUCKET: False}
    assert list(project.objects) == [f"{BUCKET}/{OWNER}/{ROW}"]
    assert project.requests.count(("POST", "/storage/v1/bucket")) == 1
    whole = file.read_bytes()
    assert (await content(store))[1] == whole
    assert await content(store, 10, 19) == (len(whole), whole[10:20])


async def test_a_bucket_that_exists_is_left_as_it_is(project, store, file):
    project.buckets[BUCKET] = False
    await store.put(OWNER, ROW, file, "image/png")
    assert ("POST", "/storage/v1/bucket") not in project.requests


async def test_a_file_that_is_not_there(store):
    with pytest.raises(NotFound):
        await content(store)


@pytest.mark.parametrize(
    ("refusal", "error", "code"),
    [
        ((413, "Payload too large"), Invalid, "storage_refused"),
        ((400, "The object exceeded the maximum allowed size"), Invalid, "storage_refused"),
        ((400, "mime type application/x-elf is not supported"), Invalid, "storage_refused"),
        ((503, "down"), StorageUnavailable, "supabase_unavailable"),
        ((403, "new row violates row-level security"), StorageUnavailable, "supabase_unavailable"),
    ],
)
async def test_what_the_project_refuses(project, store, file, refusal, error, code):
    project.buckets[BUCKET] = False
    await store._storage.ensure_bucket(BUCKET)
    store._bucket_exists = True
    project.refuse = refusal
    with pytest.raises(error) as raised:
        await store.put(OWNER, ROW, file, "image/png")
    assert raised.value.code == code


async def test_a_page_of_something_on_the_way_refuses_no_file(project, store, file):
    project.page = 413
    with pytest.raises(StorageUnavailable):
        await store.put(OWNER, ROW, file, "image/png")


async def test_names_are_ids_alone(store, file):
    with pytest.raises(ValueError, match="UUID"):
        await store.put("../x", ROW, file, "image/png")
    assert uuid.UUID(ROW)
