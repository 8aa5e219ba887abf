"""Where files stay: a directory of ours, or a private bucket of Supabase Storage.

Both name a file ``<owner>/<row id>``, from ids alone: no name of a client, and one owner's files
below one prefix, as storage policies want it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

import trio

from ..errors import NotFound
from ..storage import MediaStorage
from .spool import sync_directory

BUCKET = "whatsapp-media"
"""Made at the first file if it is missing, private."""

_BLOCK = 256 * 1024
_UPLOAD_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A file being read; ``size`` is that of the whole file, in bytes."""

    size: int
    chunks: AsyncIterator[bytes]


class Store(Protocol):
    """Keeps files for good. Raises StorageUnavailable, Invalid (refused) and OSError."""

    async def put(self, owner_id: str, row_id: str, path: Path, mimetype: str) -> None:
        """Keep the file at ``path``; repeating it is harmless. The file at ``path`` stays."""

    def open(
        self, owner_id: str, row_id: str, first: int = 0, last: int | None = None
    ) -> AbstractAsyncContextManager[Opened]:
        """Read the bytes from ``first`` to ``last`` (included). Raises NotFound."""


class LocalStore:
    """``<directory>/<owner>/<first two digits>/<row id>``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, owner_id: str, row_id: str) -> Path:
        """Where this file is, or would be."""
        name = str(UUID(row_id))
        return self._directory / str(UUID(owner_id)) / name[:2] / name

    async def put(self, owner_id: str, row_id: str, path: Path, mimetype: str) -> None:
        """A second name for the same file where the file system can, else a copy."""
        target = self.path(owner_id, row_id)
        await trio.to_thread.run_sync(_link, path, target)

    @asynccontextmanager
    async def open(
        self, owner_id: str, row_id: str, first: int = 0, last: int | None = None
    ) -> AsyncIterator[Opened]:
        async with open_file(self.path(owner_id, row_id), first, last) as opened:
            yield opened


@asynccontextmanager
async def open_file(path: Path, first: int = 0, last: int | None = None) -> AsyncIterator[Opened]:
    """Read a file of the disk in blocks. Raises NotFound."""
    try:
        file = await trio.to_thread.run_sync(lambda: path.open("rb"))
    except FileNotFoundError:
        raise NotFound("O arquivo não está mais guardado.", code="media_not_found") from None
    try:
        size = os.fstat(file.fileno()).st_size
        end = size if last is None else min(size, last + 1)

        async def chunks() -> AsyncIterator[bytes]:
            at = first
            while at < end:
                wanted = min(_BLOCK, end - at)
                block = await trio.to_thread.run_sync(os.pread, file.fileno(), wanted, at)
                if not block:
                    return
                at += len(block)
                yield block

        yield Opened(size, chunks())
    finally:
        file.close()


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except PermissionError:  # some file systems have no second names
        shutil.copyfile(source, partial)
        with partial.open("rb") as copy:
            os.fsync(copy.fileno())
    partial.replace(target)
    partial.unlink(missing_ok=True)  # still there when both names are of the same file
    sync_directory(target.parent)


class SupabaseStore:
    """Objects of a private bucket, written and read with the service role."""

    def __init__(self, storage: MediaStorage) -> None:
        self._storage = storage
        self._bucket_exists = False

    async def put(self, owner_id: str, row_id: str, path: Path, mimetype: str) -> None:
        """Streamed from the disk."""
        if not self._bucket_exists:
            await self._storage.ensure_bucket(BUCKET)
            self._bucket_exists = True
        with trio.fail_after(_UPLOAD_SECONDS):
            await self._storage.put(BUCKET, _name(owner_id, row_id), path, mimetype)

    @asynccontextmanager
    async def open(
        self, owner_id: str, row_id: str, first: int = 0, last: int | None = None
    ) -> AsyncIterator[Opened]:
        name = _name(owner_id, row_id)
        async with self._storage.open(BUCKET, name, first, last) as (size, chunks):
            yield Opened(size, chunks)


def _name(owner_id: str, row_id: str) -> str:
    return f"{UUID(owner_id)}/{UUID(row_id)}"
