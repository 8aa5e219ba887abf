"""The directory through which bridge, API and store hand files over. Names are ours alone.

A file is complete, and on the disk, when it has its name (the id of its message's row); what is
still being written has another one.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from uuid import UUID

import trio

from ..errors import TooLarge, Unavailable
from .policy import MIB
from .sniff import HEAD_BYTES

RESERVE_BYTES = 128 * MIB
"""Room that files must leave on the disk: the journal needs it more."""
FORGOTTEN_AFTER = 3600.0
"""Seconds after which a file that belongs to nothing is removed."""
TAIL_BYTES = 64 * 1024

_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Examined:
    """A file on the disk: ``sha256`` in hexadecimal, its first and its last bytes."""

    size: int
    sha256: str
    head: bytes
    tail: bytes


class Spool:
    """The directory; made when first used."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "spool"
        self._receiving = directory / "receiving"

    async def prepare(self, wanted: Collection[str]) -> None:
        """Make the directories; remove old files whose message is not in ``wanted``."""
        await trio.to_thread.run_sync(self._prepare, wanted)

    def _prepare(self, wanted: Collection[str]) -> None:
        self._make()
        forgotten = time.time() - FORGOTTEN_AFTER
        for directory in (self.directory, self._receiving):
            for file in directory.iterdir():
                if file.name not in wanted and file.stat().st_mtime < forgotten:
                    file.unlink(missing_ok=True)

    def _make(self) -> None:
        for directory in (self.directory, self._receiving):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def path(self, row_id: str) -> Path:
        """Where the file of this row is, if it is here."""
        return self.directory / str(UUID(row_id))

    def has_room(self, size: int) -> bool:
        """Whether a file of this size may come."""
        return shutil.disk_usage(self.directory).free - size >= RESERVE_BYTES

    async def examine(self, row_id: str) -> Examined | None:
        """Read the file of this row once through; None when it is not here."""
        try:
            return await trio.to_thread.run_sync(_examine, self.path(row_id))
        except FileNotFoundError:
            return None

    async def drop(self, row_id: str) -> None:
        """Remove the file of this row."""
        await trio.to_thread.run_sync(lambda: self.path(row_id).unlink(missing_ok=True))

    @asynccontextmanager
    async def receive(self, limit: int) -> AsyncIterator[Received]:
        """A new file of at most ``limit`` bytes; removed at the end of the block unless kept.

        Raises Unavailable when the disk is nearly full.
        """
        await trio.to_thread.run_sync(self._make)
        if not self.has_room(limit):
            raise Unavailable("Não há espaço em disco para o arquivo.", code="disk_full")
        path = self._receiving / secrets.token_hex(16)
        file = await trio.to_thread.run_sync(lambda: path.open("wb"))
        received = Received(path, file, limit)
        try:
            yield received
        finally:
            file.close()
            path.unlink(missing_ok=True)

    async def keep(self, received: Received, row_id: str) -> None:
        """Give a received file to a row; from now on it stays."""
        await trio.to_thread.run_sync(received.finish, self.path(row_id))


class Received:
    """A file that is being written, with what is known of it so far."""

    def __init__(self, path: Path, file: BufferedWriter, limit: int) -> None:
        self._path = path
        self._file = file
        self._hash = hashlib.sha256()
        self.limit = limit
        self.size = 0
        self.head = b""
        self.tail = b""

    @property
    def sha256(self) -> str:
        """Of what was written, in hexadecimal."""
        return self._hash.hexdigest()

    async def write(self, data: bytes) -> None:
        """Append. Raises TooLarge beyond the limit."""
        self.size += len(data)
        if self.size > self.limit:
            raise TooLarge(
                f"O arquivo passa de {self.limit // MIB} MB.",
                code="media_too_large",
                details={"maxBytes": self.limit},
            )
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]
        self.tail = (self.tail + data[-TAIL_BYTES:])[-TAIL_BYTES:]
        await trio.to_thread.run_sync(self._append, data)

    def _append(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)

    def finish(self, target: Path) -> None:
        """In a thread: bring the file to the disk and give it its name."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._path.rename(target)
        sync_directory(target.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename in this directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _examine(path: Path) -> Examined:
    digest = hashlib.sha256()
    head = tail = b""
    size = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            head = head or block[:HEAD_BYTES]
            tail = (tail + block)[-TAIL_BYTES:]
            digest.update(block)
            size += len(block)
    return Examined(size, digest.hexdigest(), head, tail)
