"""Files of messages: shown, fetched again, and sent by upload."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from runtime.errors import Invalid, NotFound
from runtime.media.desk import MediaFile, MediaRequest
from runtime.media.names import content_disposition
from runtime.media.policy import served_as

from ..audit import noted
from ..envelope import Failure, success
from ..facade import Application
from ..fields import with_hints
from ..guards import Reads, Sends, seen_connection
from ..multipart import FILE_FIELD, read_form
from ..parsed import Route
from ..principal import Principal
from ..ranges import ByteRange, Unsatisfiable, read_range
from ..schemas import IdempotencyKey, MediaRetried, OptionalOwnerId, Sent
from ..sending import SendFile
from .answers import FILES, SENDING, Runtime, answers, failures, sent_answer
from .conversation import text_of

router = APIRouter(route_class=Route, prefix="/api/whatsapp-integration", tags=["Arquivos"])

MessageId = Annotated[UUID, Path(alias="messageId", description="O id da linha da mensagem.")]
OfOwner = Annotated[OptionalOwnerId, Query(alias="ownerId")]

_FILE_HEADERS = {
    # Whatever is inside must not run with the rights of this origin.
    "Content-Security-Policy": "sandbox; default-src 'none'; media-src 'self'; img-src 'self'; "
    "style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-site",
    "Cache-Control": "private, max-age=86400, immutable",
    "Accept-Ranges": "bytes",
}
_FILE_ANSWERS: dict[int | str, dict[str, Any]] = answers(
    Any, "message_not_found", "media_not_found", "media_pending", "media_failed", "unreadable_row"
)
_FILE_ANSWERS[200] = {
    "description": "O arquivo.",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}
_FILE_ANSWERS[206] = _FILE_ANSWERS[200] | {"description": "A parte pedida do arquivo."}
_FILE_ANSWERS |= failures("range_not_satisfiable")
_UPLOAD_ANSWERS: dict[int | str, dict[str, Any]] = answers(
    Sent, *SENDING, *FILES, "missing_file", "malformed_form", "form_too_large", body=True
)
_UPLOAD_ANSWERS[202] = _UPLOAD_ANSWERS[200] | {
    "description": "Guardada em disco; será enviada assim que o arquivo estiver no WhatsApp."
}
_UPLOAD_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["connectionId", "to", "type", FILE_FIELD],
                    "properties": {
                        "connectionId": {
                            "type": "string",
                            "description": "A conexão.",
                            "examples": ["loja-centro"],
                        },
                        "to": {
                            "type": "string",
                            "description": "JID ou número de telefone.",
                            "examples": ["(11) 98765-4321"],
                        },
                        "type": {
                            "enum": ["image", "video", "audio", "document", "sticker"],
                            "description": "O que é.",
                            "examples": ["document"],
                        },
                        "content": {"type": "string", "description": "A legenda."},
                        "fileName": {
                            "type": "string",
                            "description": "Nome de um documento.",
                            "examples": ["boleto.pdf"],
                        },
                        "ptt": {"type": "boolean", "description": "Mensagem de voz."},
                        "viewOnce": {"type": "boolean", "description": "Visualização única."},
                        "quotedMessageId": {
                            "type": "string",
                            "format": "uuid",
                            "description": "O id da linha da mensagem respondida.",
                        },
                        "mentions": {"type": "string", "description": "Separadas por vírgula."},
                        "idempotencyKey": {
                            "type": "string",
                            "description": "O mesmo que o cabeçalho Idempotency-Key.",
                        },
                        FILE_FIELD: {
                            "type": "string",
                            "format": "binary",
                            "description": "O arquivo.",
                        },
                    },
                }
            }
        },
    }
}


@router.get("/media/{messageId}", summary="O arquivo de uma mensagem", responses=_FILE_ANSWERS)
async def get_media(
    message_id: MessageId,
    caller: Reads,
    runtime: Runtime,
    owner_id: OfOwner = None,
    wanted: Annotated[str | None, Header(alias="Range", include_in_schema=False)] = None,
) -> Response:
    """O conteúdo, com suporte a Range; 409 enquanto ele não chegou (`media_pending`)."""
    file = await _seen(message_id, owner_id, caller, runtime)
    file.check_available()
    if wanted is None or file.size is None:
        return FileResponse(runtime, file, None)
    try:
        return FileResponse(runtime, file, read_range(wanted, file.size))
    except Unsatisfiable:
        return _unsatisfiable(file.size)


def _unsatisfiable(size: int) -> Response:
    failure = Failure(
        416,
        "range_not_satisfiable",
        "O arquivo não tem a parte pedida.",
        headers=(("Content-Range", f"bytes */{size}"),),
    )
    return failure.response()


@router.post(
    "/messages/{messageId}/media/retry",
    summary="Busca de novo um arquivo que falhou",
    responses=answers(
        MediaRetried,
        "message_not_found",
        "media_not_found",
        "media_not_failed",
        "connection_not_found",
        "unreadable_row",
        body=True,
    ),
)
async def retry_media(
    message_id: MessageId, caller: Sends, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """Começa de novo a busca de um arquivo com `estado: failed`."""
    await _seen(message_id, owner_id, caller, runtime)
    return success(await runtime.retry_media(message_id))


@router.post(
    "/messages/send-media",
    summary="Envia um arquivo",
    responses=_UPLOAD_ANSWERS,
    openapi_extra=_UPLOAD_BODY,
)
async def send_file(
    request: Request,
    caller: Sends,
    runtime: Runtime,
    idempotency_key: Annotated[
        IdempotencyKey | None,
        Header(
            alias="Idempotency-Key",
            description="Repetir a chamada com a mesma chave não envia de novo.",
        ),
    ] = None,
) -> Response:
    """Um formulário multipart com o arquivo no campo `file`; o resto como em /messages/send."""
    async with runtime.receive_file() as received:
        form = await read_form(request, received.write)
        body = _validated(form.fields)
        if not form.has_file:
            raise Invalid("Falta o arquivo, no campo file.", code="missing_file")
        noted().connection = body.connection_id
        await seen_connection(caller, runtime, body.connection_id)
        sent = await runtime.send_file(
            connection_id=body.connection_id,
            request=MediaRequest(
                to=body.to,
                kind=body.type,
                caption=body.content,
                file_name=body.file_name or form.file_name,
                voice=body.ptt,
                view_once=body.view_once,
                mentions=body.mentions,
                quoted_id=text_of(body.quoted_message_id),
                idempotency_key=same_key(idempotency_key, body.idempotency_key),
            ),
            file=received,
            mimetype=form.mimetype,
        )
    return sent_answer(sent)


async def _seen(
    message_id: UUID, owner_id: UUID | None, caller: Principal, runtime: Application
) -> MediaFile:
    """The file of a message that the caller may see; NotFound for every other."""
    file = await runtime.find_media(message_id, caller.owner(owner_id))
    if not caller.sees(file.owner_id, file.connection_id):
        raise NotFound("Mensagem não encontrada.", code="message_not_found")
    noted().connection = file.connection_id
    return file


def same_key(header: str | None, field: str | None) -> str | None:
    """The idempotency key, which may be given twice. Raises Invalid for two different ones."""
    if header is not None and field not in (None, header):
        raise Invalid(
            "O cabeçalho Idempotency-Key e o campo idempotencyKey são diferentes.",
            code="invalid_idempotency_key",
        )
    return header or field


def _validated(fields: dict[str, str]) -> SendFile:
    try:
        return SendFile.model_validate(fields)
    except ValidationError as error:
        errors = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(with_hints(errors, SendFile)) from error


class FileResponse(Response):
    """A file, streamed from wherever it is kept, one block in memory at a time."""

    def __init__(self, runtime: Application, file: MediaFile, part: ByteRange | None) -> None:
        self._runtime = runtime
        self._file = file
        self._part = part
        self.background = None
        self.status_code = 200 if part is None else 206

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        part = self._part
        first, last = (0, None) if part is None else (part.first, part.last)
        async with self._runtime.open_media(self._file, first, last) as opened:
            if part is not None and part.last >= opened.size:  # a row may say any size
                if part.first >= opened.size:
                    await _unsatisfiable(opened.size)(scope, receive, send)
                    return
                self._part = ByteRange(part.first, opened.size - 1)
            self.init_headers(self._describe(opened.size))
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            async for chunk in opened.chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _describe(self, size: int) -> dict[str, str]:
        mimetype, inline = served_as(self._file.mimetype)
        length = size if self._part is None else self._part.last - self._part.first + 1
        headers = {
            **_FILE_HEADERS,
            "Content-Type": mimetype,
            "Content-Length": str(length),
            "Content-Disposition": content_disposition(self._file.file_name, inline=inline),
        }
        if self._part is not None:
            headers["Content-Range"] = f"bytes {self._part.first}-{self._part.last}/{size}"
        return headers
