"""What media needs of Supabase: its row, and a private bucket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from ..errors import Invalid, NotFound
from .client import Supabase
from .errors import SupabaseError

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

    async def row(self, row_id: UUID) -> dict[str, Any]:
        """The row of a message, its media columns."""
        query = self._supabase.table("whatsapp_mensagens").select(_COLUMNS)
        rows = await self._supabase.fetch(query.eq("id", str(row_id)).limit(1))
        if not rows:
            raise NotFound("Mensagem não encontrada.", code="message_not_found")
        return rows[0]

    async def ensure_bucket(self, bucket: str) -> None:
        """Make a private bucket unless it exists."""

        async def ensure() -> None:
            try:
                await self._supabase.buckets.get_bucket(bucket)
            except SupabaseError as error:
                if not _is_missing(error):
                    raise
            else:
                return
            try:
                await self._supabase.buckets.create_bucket(bucket, options={"public": False})
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
                details={"reason": str(refusal)},
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
    """The project does not take such an object."""


async def _finding(call: Any) -> Any:
    try:
        return await call
    except SupabaseError as error:
        if _is_missing(error):
            raise _Missing from error
        raise


async def _refusing(call: Any) -> Any:
    try:
        return await call
    except SupabaseError as error:
        text = error.message.lower()
        # A page is a gateway's on the way, whose limits are not the project's.
        too_large = error.status == 413 and not error.page
        if too_large or "maximum allowed size" in text or "mime type" in text:
            raise _Refused(error.message) from error
        raise


def _is_missing(error: SupabaseError) -> bool:
    """Storage answers 400 or 404 for what it does not have."""
    return error.status in (400, 404) and "not found" in error.message.lower()


def _whole_size(response: httpx.Response) -> int:
    whole = response.headers.get("content-range", "").rpartition("/")[2]
    return int(whole) if whole.isdigit() else int(response.headers.get("content-length", 0))
