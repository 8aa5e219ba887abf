"""One attempt at one task of a file: fetch and store it and tell its row, or upload it.

Every step may be repeated: a crash anywhere makes the next attempt go on where the last one got.
"""

from __future__ import annotations

import errno
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import trio

from ..errors import Invalid, StorageUnavailable
from ..journal import CommandState, Journal, Media, MediaTask
from ..journal import media as table
from ..outbound.outbox import Outbox
from ..reasons import about
from ..storage import MediaStorage
from ..whatsapp.link import LinkLost, RequestFailed
from .policy import MAX_RECEIVED_BYTES, true_mime
from .sniff import sniff
from .spool import Spool
from .stores import Store

CORRUPT_ATTEMPTS = 4
"""Downloads that are not what the message names, before that counts as what the host has."""
UPLOAD_REUSED_FOR = timedelta(hours=24)
"""How long an upload serves further messages with the same file; WhatsApp keeps it longer."""

_DOWNLOAD_SECONDS = 1900.0
_UPLOAD_SECONDS = 1000.0
"""Beyond the bridge's own deadlines."""


class Later(Exception):
    """It did not work now; ``code`` says why, for machines, ``reason`` for people."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
        self.reason = about(code).pt


class GiveUp(Later):
    """It will not work later either."""


class MediaBridge(Protocol):
    """What the tasks need of the bridge. Raises LinkLost and RequestFailed."""

    async def media(
        self, connection_id: str, action: str, body: dict[str, Any], seconds: float
    ) -> dict[str, Any]: ...


class Tasks:
    """Runs tasks. Raises Later and GiveUp."""

    def __init__(
        self,
        *,
        journal: Journal,
        bridge: MediaBridge,
        outbox: Outbox,
        spool: Spool,
        store: Store,
        rows: MediaStorage,
        ring: Callable[[str], None],
    ) -> None:
        self._journal = journal
        self._bridge = bridge
        self._outbox = outbox
        self._spool = spool
        self._store = store
        self._rows = rows
        self._ring = ring

    async def run(self, task: MediaTask) -> None:
        """Do the task to its end."""
        media = task.media
        async with _judged():
            if task.name == "upload":
                last = await self._upload(media)
            else:
                if media.state == "pending":
                    media = await self._bring(task)
                await self._tell(media)
                last = await self._journal.transact(
                    lambda connection: table.finish(connection, media.row_id, "store")
                )
        if last:
            await self._spool.drop(media.row_id)

    async def give_up(self, task: MediaTask, why: Later) -> None:
        """The end of a task that will not succeed: visible in the row, or in the message."""
        # As it is now: the attempt may have got far before it ended.
        media = await self._note(task.media)
        if task.name == "upload":
            connection = await self._journal.connection(media.connection_id)
            if connection is not None:
                await self._outbox.advance(
                    connection,
                    media.message_id,
                    CommandState.FAILED,
                    error=why.code,
                    at=datetime.now(UTC),
                )
        elif media.state == "pending":
            # Not finished: the row has still to be told.
            await self._note(media, state="failed", code=why.code, reason=why.reason)
            return
        last = await self._journal.transact(
            lambda connection: table.finish(connection, media.row_id, task.name)
        )
        if last:
            await self._spool.drop(media.row_id)

    # --- store

    async def _bring(self, task: MediaTask) -> Media:
        """Bring the file into the store."""
        media = task.media
        file = await self._spool.examine(media.row_id)
        if file is None:
            if not media.incoming:
                raise GiveUp("file_missing")
            await self._download(media, task.attempts)
            file = await self._spool.examine(media.row_id)
            if file is None:
                raise Later("file_missing")
        mimetype = media.mimetype
        if media.incoming:
            mimetype = true_mime(media.mimetype, sniff(file.head))
        await self._store.put(
            media.owner_id, media.row_id, self._spool.path(media.row_id), mimetype or ""
        )
        return await self._note(
            media,
            state="available",
            code=None,
            reason=None,
            mimetype=mimetype,
            size=file.size,
            sha256=file.sha256,
        )

    async def _download(self, media: Media, attempts: int) -> None:
        if not self._spool.has_room(media.size or 0):
            raise Later("disk_full")
        try:
            answer = await self._bridge.media(
                media.connection_id,
                "download",
                {
                    "file": media.row_id,
                    "kind": media.kind,
                    "media": media.source["media"],
                    "key": media.source["key"],
                    "maxBytes": MAX_RECEIVED_BYTES,
                },
                _DOWNLOAD_SECONDS,
            )
        except RequestFailed as failure:
            if failure.code == "media_corrupt" and attempts + 1 >= CORRUPT_ATTEMPTS:
                raise GiveUp(failure.code) from failure
            raise
        renewed = answer.get("directPath")
        if renewed and renewed != media.source["media"].get("directPath"):
            located = {**media.source["media"], "directPath": renewed}
            await self._note(media, source={**media.source, "media": located})

    async def _tell(self, media: Media) -> None:
        """Let the row say how it is."""
        available = media.state == "available"
        item = {
            "id": media.row_id,
            "owner_id": media.owner_id,
            "midia": {
                "estado": media.state,
                "codigo": media.code,
                "motivo": media.reason,
                "sha256": media.sha256,
            },
            "tipo": media.mimetype if available else None,
            "nome": media.file_name,
            "tamanho": media.size if available else None,
        }
        if not await self._rows.tell(item):
            raise Later("row_missing")

    async def _note(self, media: Media, **changes: Any) -> Media:
        def job(connection: Any) -> Media | None:
            if changes:
                table.note(connection, media.row_id, changes, _now())
            return table.find(connection, media.row_id)

        noted = await self._journal.transact(job)
        assert noted is not None
        return noted

    # --- upload

    async def _upload(self, media: Media) -> bool:
        """Have the file at WhatsApp, and let its message go out."""
        command = await self._journal.command(media.message_id, media.connection_id)
        if command is None or command.state is not CommandState.QUEUED:
            return await self._journal.transact(
                lambda connection: table.finish(connection, media.row_id, "upload")
            )
        if command.expires_at <= datetime.now(UTC):
            raise GiveUp("expired")
        fingerprint = _fingerprint(media)
        since = _now() - int(UPLOAD_REUSED_FOR.total_seconds() * 1e6)
        upload = await self._journal.transact(
            lambda connection: table.earlier_upload(connection, fingerprint, since)
        )
        if upload is None:
            upload = await self._upload_file(media)
        content = {media.kind: {"upload": upload, **command.content["media"]}}

        def job(connection: Any) -> bool:
            table.remember_upload(connection, fingerprint, upload, _now())
            return table.uploaded(connection, media, content, _now())

        last = await self._journal.transact(job)
        self._ring(media.connection_id)
        return last

    async def _upload_file(self, media: Media) -> str:
        answer = await self._bridge.media(
            media.connection_id,
            "upload",
            {
                "file": media.row_id,
                "kind": media.kind,
                "mimetype": media.mimetype,
                "ptt": media.source["voice"],
                "seconds": media.source["seconds"],
            },
            _UPLOAD_SECONDS,
        )
        return str(answer["upload"])


@asynccontextmanager
async def _judged() -> AsyncIterator[None]:
    """What an error means for the task."""
    try:
        yield
    except LinkLost as error:
        raise Later("bridge_down") from error
    except RequestFailed as error:
        kind = Later if error.retryable else GiveUp
        raise kind(error.code) from error
    except StorageUnavailable as error:
        raise Later(error.code) from error
    except Invalid as error:
        raise GiveUp(error.code) from error
    except trio.TooSlowError as error:
        raise Later("timeout") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise Later("disk_full" if full else "disk_error") from error


def _fingerprint(media: Media) -> str:
    """The same file, to be sent as the same thing."""
    facts = (
        media.sha256,
        media.kind,
        media.mimetype,
        media.source["voice"],
        media.source["seconds"],
    )
    return "/".join(str(fact) for fact in facts)


def _now() -> int:
    return time.time_ns() // 1000
