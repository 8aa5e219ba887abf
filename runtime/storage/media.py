"""What media needs of Supabase: its row, and a private bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from storage3.utils import StorageException

from ..errors import Invalid, NotFound
from .client import Supabase
from .errors import SupabaseError, UnexpectedAnswer
from .rows import FileRow, read_file

_URL_SECONDS = 60
_COLUMNS = "owner_id, connection_id, midia_url, midia_tipo, midia_nome, midia_tamanho, dados"


class MediaStorage:
    """Raises StorageUnavailable, Invalid and NotFound."""

    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def tell(self, item: dict[str, Any]) -> bool:
        """Bring a row up to date with its file (``zapvisor_media``); False: no such row (yet)."""
        found = await self._supabase.rpc("zapvisor_media", {"items": [item]})
        return isinstance(found, list) and item["id"] in found

    async def row(self, row_id: UUID) -> FileRow:
        """The row of a message, its media columns. Raises UnreadableRow."""
        query = self._supabase.table("whatsapp_mensagens").select(_COLUMNS)
        rows = await self._supabase.fetch(query.eq("id", str(row_id)).limit(1))
        if not rows:
            raise NotFound("Mensagem não encontrada.", code="message_not_found")
        return read_file(rows[0])

    async def ensure_bucket(self, bucket: str) -> None:
        """Make a private bucket unless it exists."""

        async def ensure() -> None:
            try:
                await _understood(self._supabase.buckets.get_bucket(bucket))
            except SupabaseError as error:
                if not _is_missing(error):
                    raise
            else:
                return
            try:
                made = self._supabase.buckets.create_bucket(bucket, options={"public": False})
                await _understood(made)
            except SupabaseError as error:
                if error.status != 409 and "exists" not in error.message.lower():
                    raise

        await self._supabase.mapped(ensure)

    async def put(self, bucket: str, name: str, path: Path, mimetype: str) -> None:
        """Write an object from a file, streamed; an older one of the name is replaced.

        Raises Invalid (``storage_refused``) when the project does not take such a file.
        """

        async def upload() -> None:
            await self._supabase.buckets.from_(bucket).upload(
                name, path, {"content-type": mimetype.partition(";")[0], "upsert": "true"}
            )

        try:
            await self._supabase.mapped(lambda: _refusing(upload()))
        except _Refused as refusal:
            raise Invalid(
                "O Supabase Storage recusou o arquivo.",
                code="storage_refused",
                details={"code": refusal.code, "reason": _REFUSED[refusal.code]},
            ) from refusal

    @asynccontextmanager
    async def open(
        self, bucket: str, name: str, first: int, last: int | None
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """The size of an object, and its bytes from ``first`` to ``last`` (included)."""
        headers = {"Accept-Encoding": "identity"}
        if first or last is not None:
            headers["Range"] = f"bytes={first}-{'' if last is None else last}"
        async with AsyncExitStack() as stack:

            async def begin() -> httpx.Response:
                signed = await self._supabase.buckets.from_(bucket).create_signed_url(
                    name, _URL_SECONDS
                )
                return await stack.enter_async_context(
                    self._supabase.stream(signed["signedUrl"] or "", headers)
                )

            try:
                response = await self._supabase.mapped(lambda: _finding(begin()))
            except _Missing:
                raise NotFound(
                    "O arquivo não está mais guardado.", code="media_not_found"
                ) from None
            yield _whole_size(response), response.aiter_bytes()


class _Missing(Exception):
    """The object is not there."""


class _Refused(Exception):
    """The project does not take such an object; ``code`` says why not."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


_REFUSED = {
    "file_too_large": "O arquivo passa do tamanho que o projeto permite.",
    "file_type": "O projeto não permite arquivos deste tipo.",
}


async def _understood(call: Any) -> Any:
    """Raises UnexpectedAnswer for a success that is not Storage's: another service answers."""
    try:
        return await call
    except (ValueError, KeyError, TypeError, AttributeError, StorageException) as error:
        if isinstance(error, UnicodeEncodeError):
            raise
        raise UnexpectedAnswer(f"Storage's answer is no answer of it: {error}") from error


async def _finding(call: Any) -> Any:
    try:
        return await _understood(call)
    except SupabaseError as error:
        if _is_missing(error) or error.status == 416:  # a row may say any size
            raise _Missing from error
        raise


async def _refusing(call: Any) -> Any:
    try:
        return await _understood(call)
    except SupabaseError as error:
        text = error.message.lower()
        # A page is a gateway's on the way, whose limits are not the project's.
        if (error.status == 413 and not error.page) or "maximum allowed size" in text:
            raise _Refused("file_too_large") from error
        if "mime type" in text:
            raise _Refused("file_type") from error
        raise


def _is_missing(error: SupabaseError) -> bool:
    """Storage answers 400 or 404 for what it does not have."""
    return error.status in (400, 404) and "not found" in error.message.lower()


def _whole_size(response: httpx.Response) -> int:
    whole = response.headers.get("content-range", "").rpartition("/")[2]
    return int(whole) if whole.isdigit() else int(response.headers.get("content-length", 0))
