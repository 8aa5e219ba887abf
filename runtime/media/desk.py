"""What the API asks of media: take a file to send, show a file, try again."""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote_to_bytes
from uuid import UUID

from .. import limits
from ..errors import Conflict, Invalid, NotFound, StorageUnavailable, TooLarge
from ..journal import Connection, Journal, Media, Submitted
from ..journal import media as table
from ..outbound.beside import Quoted
from ..outbound.media_message import compose_media, media_request_hash
from ..storage import MediaStorage
from .fetch import Fetcher
from .names import safe_name
from .policy import MAX_ANY_BYTES, MAX_SEND_BYTES, check_size, sendable_mime
from .sniff import OGG_OPUS, ogg_seconds, sniff
from .spool import Received, Spool
from .stores import Opened, Store, open_file

VIEWED_ONCE = frozenset({"image", "video", "audio"})
"""Kinds that WhatsApp shows once."""
RETRY_LIFETIME = timedelta(days=2)
"""How long a retry asked for over the API goes on."""

_PENDING = {"estado": "pending", "codigo": None, "motivo": None}
_DATA_URL = re.compile(r"data:(?P<mime>[^,;]*)(?P<parameters>(?:;[^,;]*)*),", re.ASCII)


@dataclass(frozen=True, slots=True)
class MediaRequest:
    """A message with a file, as a client asks for it; ``to`` and ``mentions`` in any spelling."""

    to: str
    kind: str
    caption: str = ""
    file_name: str | None = None
    voice: bool = False
    view_once: bool = False
    mentions: Sequence[str] = ()
    quoted_id: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Addressed:
    """What had to be looked up for a request.

    Attributes:
        asked, jid: the JID that ``to`` means, and under which WhatsApp knows it.
        quoted: the message that it answers.
        mentions: JIDs.
    """

    asked: str
    jid: str
    quoted: Quoted | None = None
    mentions: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class MediaFile:
    """What is known of a file before it is read; ``mimetype`` is what it was found to be.

    Attributes:
        state, code, reason: as in `journal.Media`.
        spooled: whether it is on this machine, on its way into the store.
    """

    row_id: str
    owner_id: str
    connection_id: str | None
    mimetype: str | None
    file_name: str | None
    size: int | None
    state: str
    code: str | None
    reason: str | None
    spooled: bool = False

    def check_available(self) -> None:
        """Raises Conflict (``media_pending``, ``media_failed``)."""
        if not self.spooled:
            _check_state(self.state, self.code, self.reason)


class MediaDesk:
    """Raises ZapvisorError for whatever a client can cause."""

    def __init__(
        self, journal: Journal, spool: Spool, store: Store, rows: MediaStorage, fetcher: Fetcher
    ) -> None:
        self._journal = journal
        self._spool = spool
        self._store = store
        self._rows = rows
        self._fetcher = fetcher

    # --- sending

    def receive(self) -> AbstractAsyncContextManager[Received]:
        """A file that a client uploads; its kind may become known only after it."""
        return self._spool.receive(MAX_ANY_BYTES)

    async def submit_url(
        self, connection: Connection, request: MediaRequest, to: Addressed, url: str
    ) -> Submitted:
        """Send what a URL leads to: ``http``, ``https``, or ``data`` with the file inside.

        The file is fetched once: a repeated call with the same idempotency key finds the message.
        """
        _check(request)
        request_hash = _hash(request, to, url)
        repeated = await self._repeated(connection, request, request_hash)
        if repeated is not None:
            return repeated
        async with self._spool.receive(MAX_SEND_BYTES[request.kind]) as received:
            if url[:5].lower() == "data:":
                mimetype, content = read_data_url(url, received.limit)
                await received.write(content)
                suggested = None
            else:
                fetched = await self._fetcher.fetch(url, received)
                mimetype, suggested = fetched.mimetype, fetched.file_name
            return await self._submit(
                connection, request, to, received, mimetype, suggested, request_hash
            )

    async def submit_file(
        self,
        connection: Connection,
        request: MediaRequest,
        to: Addressed,
        received: Received,
        mimetype: str | None,
    ) -> Submitted:
        """Send a file that was uploaded with `receive`."""
        _check(request)
        return await self._submit(
            connection, request, to, received, mimetype, None, _hash(request, to, received.sha256)
        )

    async def _repeated(
        self, connection: Connection, request: MediaRequest, request_hash: str
    ) -> Submitted | None:
        if request.idempotency_key is None:
            return None
        command = await self._journal.submitted(connection.id, request.idempotency_key)
        if command is None:
            return None
        if command.request_hash != request_hash:
            raise Conflict(
                "Essa chave de idempotência já foi usada para outra mensagem.",
                code="idempotency_conflict",
            )
        return Submitted(command, existing=True)

    async def _submit(
        self,
        connection: Connection,
        request: MediaRequest,
        to: Addressed,
        received: Received,
        mimetype: str | None,
        suggested_name: str | None,
        request_hash: str,
    ) -> Submitted:
        if received.size == 0:
            raise Invalid("O arquivo está vazio.", code="empty_file")
        check_size(request.kind, received.size)
        detected = sniff(received.head)
        mime = sendable_mime(request.kind, mimetype, detected, voice=request.voice)
        name = safe_name(request.file_name) or safe_name(suggested_name)
        command, entry = compose_media(
            connection,
            address=to.jid,
            kind=request.kind,
            caption=request.caption,
            file_name=name if request.kind == "document" else None,
            mimetype=mime,
            size=received.size,
            sha256=received.sha256,
            voice=request.voice,
            view_once=request.view_once,
            quoted=to.quoted,
            mentions=to.mentions,
            seconds=ogg_seconds(received.tail) if mime == OGG_OPUS else None,
            idempotency_key=request.idempotency_key,
            request_hash=request_hash,
            now=datetime.now(UTC),
        )
        # Before the journal knows of it: a file without a message is tidied up, a message without
        # its file could not be sent.
        await self._spool.keep(received, command.row_id)
        try:
            submitted = await self._journal.submit(command, entry)
        except (Conflict, NotFound):
            await self._spool.drop(command.row_id)
            raise
        if submitted.existing:
            await self._spool.drop(command.row_id)
        return submitted

    # --- showing

    async def find(self, row_id: UUID, owner_id: UUID | None) -> MediaFile:
        """The file of a message. Raises NotFound (no such message, not this owner's, no file)
        and StorageUnavailable.
        """
        media = await self._known(row_id)
        if media is None:
            return await self._find_in_rows(row_id, owner_id)
        _check_owner(media.owner_id, owner_id)
        return _file(media)

    async def _find_in_rows(self, row_id: UUID, owner_id: UUID | None) -> MediaFile:
        """What the row says, long after the journal has forgotten the file."""
        row = await self._rows.row(row_id)
        _check_owner(row.owner_id, owner_id)  # before a word about whether there is a file
        if not row.has_file:
            raise NotFound("Esta mensagem não tem arquivo.", code="media_not_found")
        return MediaFile(
            row_id=str(row_id),
            owner_id=row.owner_id,
            connection_id=row.connection_id,
            mimetype=row.mimetype,
            file_name=safe_name(row.file_name),
            size=row.size,
            state=row.state,
            code=row.code,
            reason=row.reason,
        )

    @asynccontextmanager
    async def open(
        self, file: MediaFile, first: int = 0, last: int | None = None
    ) -> AsyncIterator[Opened]:
        """Read a file that `find` found, from byte ``first`` to ``last`` (included)."""
        reading = (
            open_file(self._spool.path(file.row_id), first, last)
            if file.spooled
            else self._store.open(file.owner_id, file.row_id, first, last)
        )
        async with reading as opened:
            yield opened

    async def retry(self, row_id: UUID) -> dict[str, Any]:
        """Fetch a file again that failed, through its connection.

        Raises Conflict when it did not fail, or is forgotten, and NotFound when there is no such
        connection any more, or when it is another owner's now.
        """
        media = await self._known(row_id)
        if media is None or media.state != "failed":
            state = "unknown" if media is None else media.state
            raise Conflict(
                "Só se pode tentar de novo com um arquivo que falhou há menos de 14 dias.",
                code="media_not_failed",
                details={"state": state},
            )
        connection = await self._journal.connection(media.connection_id)
        if connection is None or connection.owner_id != media.owner_id:
            raise NotFound("Conexão não encontrada.", code="connection_not_found")
        with suppress(StorageUnavailable):  # it is told of the outcome in any case
            await self._rows.tell(
                {"id": media.row_id, "owner_id": media.owner_id, "midia": _PENDING}
            )
        now = time.time_ns() // 1000
        expires = now + int(RETRY_LIFETIME.total_seconds() * 1e6)
        await self._journal.transact(
            lambda database: table.retry(database, media.row_id, expires, now), wake=True
        )
        return {"id": media.row_id, "state": "pending"}

    async def _known(self, row_id: UUID) -> Media | None:
        return await self._journal.transact(lambda connection: table.find(connection, str(row_id)))


def read_data_url(url: str, limit: int) -> tuple[str | None, bytes]:
    """The MIME type and the bytes of a data URL (RFC 2397). Raises Invalid and TooLarge."""
    match = _DATA_URL.match(url[:1024])
    if match is None:
        raise _malformed()
    body = url[match.end() :]
    is_base64 = match["parameters"].lower().endswith(";base64")
    if is_base64 and len(body) // 4 * 3 > limit + 3:
        raise TooLarge("O arquivo é grande demais.", code="media_too_large")
    try:
        if is_base64:
            content = base64.b64decode(body.encode("ascii"), validate=True)
        else:
            content = unquote_to_bytes(body.encode("ascii"))
    except (binascii.Error, ValueError):
        raise _malformed() from None
    return f"{match['mime']}{match['parameters'].replace(';base64', '')}" or None, content


def _malformed() -> Invalid:
    return Invalid("A mediaUrl não é uma data URL válida em base64.", code="invalid_data_url")


def _check(request: MediaRequest) -> None:
    if "\0" in request.caption:
        raise Invalid("A legenda tem caracteres que não são texto.", code="invalid_text")
    if limits.units(request.caption) > limits.CAPTION:
        raise Invalid(f"A legenda passa de {limits.CAPTION} caracteres.", code="content_too_long")
    if request.caption and request.kind in ("audio", "sticker"):
        raise Invalid(
            "Áudios e figurinhas não têm legenda; envie o texto em outra mensagem.",
            code="caption_not_possible",
        )
    if request.voice and request.kind != "audio":
        raise Invalid("ptt só é possível em mensagens do tipo audio.", code="invalid_request")
    if request.view_once and request.kind not in VIEWED_ONCE:
        raise Invalid(
            "viewOnce só é possível em mensagens dos tipos image, video e audio.",
            code="invalid_request",
        )


def _hash(request: MediaRequest, to: Addressed, source: str) -> str:
    """Of a request; ``source`` is the URL, or the hash of an uploaded file."""
    return media_request_hash(
        to.asked,
        {
            "type": request.kind,
            "caption": request.caption,
            "fileName": request.file_name,
            "ptt": request.voice,
            "viewOnce": request.view_once,
            "mentions": list(request.mentions),
            "quotedMessageId": request.quoted_id,
            "source": source,
        },
    )


def _check_owner(found: str, wanted: UUID | None) -> None:
    if wanted is not None and found != str(wanted):
        raise NotFound("Mensagem não encontrada.", code="message_not_found")


def _file(media: Media) -> MediaFile:
    return MediaFile(
        row_id=media.row_id,
        owner_id=media.owner_id,
        connection_id=media.connection_id,
        mimetype=media.mimetype,
        file_name=media.file_name,
        size=media.size,
        state=media.state,
        code=media.code,
        reason=media.reason,
        # Our own is here from the start, whatever the store still has to do.
        spooled=media.state == "pending" and not media.incoming,
    )


def _check_state(state: str, code: str | None, reason: str | None) -> None:
    details = {"state": state, "code": code, "reason": reason}
    if state == "pending":
        raise Conflict(
            "O arquivo ainda não chegou; tente de novo em instantes.",
            code="media_pending",
            details=details,
        )
    if state == "failed":
        raise Conflict(
            "O arquivo não pôde ser obtido; tente de novo com POST …/media/retry.",
            code="media_failed",
            details=details,
        )
