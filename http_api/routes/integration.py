"""``/api/whatsapp-integration``: connections, messages and what is stored of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import trio
from fastapi import APIRouter, Header, Path, Query
from starlette.responses import PlainTextResponse, Response

from runtime.errors import Conflict, Invalid, NotFound, ZapvisorError
from runtime.media.desk import MediaRequest
from runtime.whatsapp.manager import parked

from .. import qr as rendering
from ..audit import noted
from ..control import QueueCleared, SupabaseStats
from ..envelope import success
from ..guards import (
    AdminManages,
    Lists,
    Manages,
    OwnerCreates,
    Reads,
    Sends,
    required_owner,
    seen_atendimento,
)
from ..parsed import Route
from ..principal import Permission
from ..rows import AtendimentoRow, MessageRow, SessionRow
from ..schemas import (
    MAX_OFFSET,
    MAX_PAGE,
    Connection,
    ConnectionCreated,
    ConnectionDetail,
    ConnectionId,
    CreateConnection,
    CredentialArchive,
    IdempotencyKey,
    Message,
    OptionalCompanyId,
    OptionalId,
    OptionalOwnerId,
    Qr,
    Restore,
    Sent,
)
from ..sending import SendMessage
from .answers import FILES, ONE_CONNECTION, SENDING, Runtime, answers, sent_answer
from .conversation import plain_request, text_of
from .media import same_key

router = APIRouter(route_class=Route, prefix="/api/whatsapp-integration", tags=["WhatsApp"])

IdInPath = Annotated[ConnectionId, Path(alias="id")]

_QR_ANSWERS: dict[int | str, dict[str, Any]] = answers(
    Qr,
    *ONE_CONNECTION,
    "qr_not_available",
    "qr_expired",
    "connection_parked",
    "already_connected",
)
_QR_ANSWERS[200]["content"] = {
    "image/png": {"schema": {"type": "string", "format": "binary"}},
    "text/plain": {"schema": {"type": "string"}},
}
_SEND_ANSWERS: dict[int | str, dict[str, Any]] = answers(Sent, *SENDING, *FILES, body=True)
_SEND_ANSWERS[200]["description"] = "Enviada: o WhatsApp confirmou."
_SEND_ANSWERS[202] = _SEND_ANSWERS[200] | {
    "description": "Guardada em disco; será enviada assim que a conexão permitir."
}


@router.post(
    "/connections",
    summary="Cria uma conexão",
    responses=answers(
        ConnectionCreated,
        "invalid_connection_id",
        "unknown_owner",
        "connection_exists",
        "too_many_connections",
        "quota_connections",
        body=True,
    ),
)
async def create_connection(
    body: CreateConnection, caller: OwnerCreates, runtime: Runtime
) -> Response:
    """Cria e inicia uma conexão; ela é lembrada quando o sistema reinicia."""
    noted().connection = body.connection_id
    return success(
        await runtime.create_connection(
            connection_id=body.connection_id,
            name=body.name,
            owner_id=required_owner(caller, body.owner_id),
            company_id=body.company_id,
            by_admin=caller.is_admin,
        )
    )


@router.get("/connections", summary="Lista as conexões", responses=answers(list[Connection]))
async def list_connections(
    caller: Lists,
    runtime: Runtime,
    owner_id: Annotated[OptionalOwnerId, Query(alias="ownerId")] = None,
) -> Response:
    """Todas as conexões que a credencial alcança, com o estado de cada uma."""
    owner = caller.owner(owner_id)
    return success(
        [
            one
            for one in await runtime.connections(closely=caller.is_admin)
            if caller.sees(one["ownerId"], one["id"]) and owner in (None, UUID(str(one["ownerId"])))
        ]
    )


@router.get(
    "/connections/{id}", summary="Uma conexão", responses=answers(ConnectionDetail, *ONE_CONNECTION)
)
async def get_connection(connection_id: IdInPath, caller: Reads, runtime: Runtime) -> Response:
    """A conexão, o QR code atual (com a permissão manage) e o que a supervisão sabe dela."""
    one = await runtime.connection(connection_id, closely=caller.is_admin)
    if not caller.may(Permission.MANAGE):  # who has the code can pair a phone
        one = {**one, "qrCode": None}
    return success(one)


@router.delete(
    "/connections/{id}",
    summary="Exclui a conexão",
    responses=answers(Message, *ONE_CONNECTION, body=True),
)
async def delete_connection(
    connection_id: IdInPath, _caller: Manages, runtime: Runtime
) -> Response:
    """Sai do WhatsApp e apaga as credenciais, também as arquivadas; as mensagens continuam."""
    await runtime.delete_connection(connection_id)
    return _done("Conexão excluída; as mensagens foram mantidas.")


@router.get("/connections/{id}/qr", summary="QR code para conectar", responses=_QR_ANSWERS)
async def get_qr(
    connection_id: IdInPath,
    _caller: Manages,
    runtime: Runtime,
    image_format: Annotated[
        Literal["json", "png", "terminal"] | None,
        Query(alias="format", description="png: imagem; terminal: blocos de texto."),
    ] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """O QR code atual; também como imagem (`?format=png` ou `Accept: image/png`).

    Sem código agora, `qrCode` é null; se a conexão espera por uma pessoa, `code` e `reason` dizem
    por quê e o que fazer (`qr_expired`: `POST …/restart`).
    """
    current = await runtime.qr(connection_id)
    text = current.get("qrCode")
    wanted = image_format or ("png" if "image/png" in accept.lower() else "json")
    if text is None and wanted != "json":
        raise _no_picture(current)
    if wanted == "png":
        return Response(await trio.to_thread.run_sync(rendering.png, text), media_type="image/png")
    if wanted == "terminal":
        return PlainTextResponse(await trio.to_thread.run_sync(rendering.terminal, text))
    image = None if text is None else await trio.to_thread.run_sync(rendering.data_url, text)
    return success({"expiresAt": None, **current, "qrCode": text, "qrCodePng": image})


def _no_picture(current: dict[str, Any]) -> ZapvisorError:
    """Why there is no QR code to be shown."""
    if current.get("isConnected"):
        return Conflict("Esta conexão já está conectada.", code="already_connected")
    if current.get("code") is not None:
        return parked(current["code"], current["reason"])
    return NotFound(
        "Não há QR code agora; tente de novo em alguns segundos.", code="qr_not_available"
    )


@router.post(
    "/connections/{id}/restart",
    summary="Reinicia a conexão",
    responses=answers(Message, *ONE_CONNECTION, body=True),
)
async def restart_connection(
    connection_id: IdInPath, _caller: Manages, runtime: Runtime
) -> Response:
    """Reinicia a conexão, também quando ela estava parada à espera de uma pessoa."""
    await runtime.restart_connection(connection_id)
    return _done("Conexão reiniciada.")


@router.post(
    "/connections/{id}/logout",
    summary="Sai do WhatsApp",
    responses=answers(Message, *ONE_CONNECTION, "not_ready", body=True),
)
async def logout_connection(
    connection_id: IdInPath, _caller: Manages, runtime: Runtime
) -> Response:
    """Sai do WhatsApp; para voltar, será preciso ler um novo QR code."""
    await runtime.logout_connection(connection_id)
    return _done("Conexão desconectada do WhatsApp.")


@router.get(
    "/connections/{id}/archives",
    summary="Credenciais arquivadas",
    responses=answers(list[CredentialArchive], *ONE_CONNECTION),
)
async def list_archives(connection_id: IdInPath, _caller: Manages, runtime: Runtime) -> Response:
    """As que `restore` pode pôr de volta, da mais nova para a mais antiga.

    Ficam as 5 últimas de cada conexão, por até 30 dias.
    """
    return success(await runtime.archives(connection_id))


@router.post(
    "/connections/{id}/restore",
    summary="Restaura credenciais arquivadas",
    responses=answers(
        CredentialArchive,
        *ONE_CONNECTION,
        "no_archive",
        "already_connected",
        "archive_unusable",
        "not_ready",
        body=True,
    ),
)
async def restore_connection(
    connection_id: IdInPath, _caller: Manages, runtime: Runtime, body: Restore | None = None
) -> Response:
    """Põe credenciais arquivadas de volta e reinicia a conexão com elas.

    As atuais, se houver, são arquivadas antes. O WhatsApp só as aceita se o aparelho não tiver sido
    desconectado lá.
    """
    archive = body.archive_id if body is not None else None
    restored = await runtime.restore_connection(connection_id, archive)
    return success(restored, message="Credenciais restauradas.")


@router.post("/messages/send", summary="Envia uma mensagem", responses=_SEND_ANSWERS)
async def send_message(
    body: SendMessage,
    _caller: Sends,
    runtime: Runtime,
    idempotency_key: Annotated[
        IdempotencyKey | None,
        Header(
            alias="Idempotency-Key",
            description="Repetir a chamada com a mesma chave não envia de novo.",
        ),
    ] = None,
) -> Response:
    """Guarda a mensagem em disco e envia; 200 se já foi enviada, 202 se ainda espera."""
    noted().connection = body.connection_id
    key = same_key(idempotency_key, body.idempotency_key)
    if body.is_plain:
        sent = await runtime.send_message(
            connection_id=body.connection_id,
            to=body.to,
            content=body.content,
            kind=body.type,
            idempotency_key=key,
        )
    elif body.type in ("text", "location", "contact", "poll"):
        sent = await runtime.send_plain(
            connection_id=body.connection_id, request=plain_request(body, key)
        )
    elif body.media_url is None:
        raise Invalid("Dados inválidos: mediaUrl é obrigatório.", code="missing_media_url")
    else:
        sent = await runtime.send_media(
            connection_id=body.connection_id,
            request=MediaRequest(
                to=body.to,
                kind=body.type,
                caption=body.content,
                file_name=body.file_name,
                voice=body.ptt,
                view_once=body.view_once,
                mentions=body.mentions,
                quoted_id=text_of(body.quoted_message_id),
                idempotency_key=key,
            ),
            url=body.media_url,
        )
    return sent_answer(sent)


@router.get(
    "/messages/{atendimentoId}",
    summary="Mensagens de um atendimento",
    responses=answers(
        list[MessageRow], "atendimento_not_found", "message_not_found", "unreadable_row"
    ),
)
async def list_messages(
    atendimento_id: Annotated[
        UUID, Path(alias="atendimentoId", description="O id do atendimento.")
    ],
    caller: Reads,
    runtime: Runtime,
    owner_id: Annotated[OptionalOwnerId, Query(alias="ownerId")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Tamanho da página.")] = 50,
    offset: Annotated[
        int, Query(ge=0, le=MAX_OFFSET, description="Quantas pular; `after` custa menos.")
    ] = 0,
    after: Annotated[
        OptionalId,
        Query(description="O id da última linha que já se tem: a página seguinte, sem offset."),
    ] = None,
) -> Response:
    """Linhas de `whatsapp_mensagens`, da mais antiga para a mais nova."""
    owner = caller.owner(owner_id)
    if caller.connection_id is not None:
        await seen_atendimento(caller, runtime, atendimento_id)
    return success(await runtime.messages(atendimento_id, owner, limit, offset, after))


@router.get(
    "/atendimentos/active",
    summary="Atendimentos em aberto",
    responses=answers(list[AtendimentoRow]),
)
async def active_atendimentos(
    caller: Lists,
    runtime: Runtime,
    owner_id: Annotated[OptionalOwnerId, Query(alias="ownerId")] = None,
    company_id: Annotated[OptionalCompanyId, Query(alias="companyId")] = None,
) -> Response:
    """Linhas de `whatsapp_atendimentos` AGUARDANDO ou EM_ATENDIMENTO, a mais recente antes."""
    rows = await runtime.active_atendimentos(required_owner(caller, owner_id), company_id)
    return success([row for row in rows if caller.sees_row(row)])


@router.get("/sessions/active", summary="Sessões do dono", responses=answers(list[SessionRow]))
async def active_sessions(
    caller: Lists,
    runtime: Runtime,
    owner_id: Annotated[OptionalOwnerId, Query(alias="ownerId")] = None,
) -> Response:
    """Linhas de `whatsapp_sessions`."""
    rows = await runtime.active_sessions(required_owner(caller, owner_id))
    return success([row for row in rows if caller.sees_row(row)])


@router.get("/stats/supabase", summary="Saúde do Supabase", responses=answers(SupabaseStats))
async def supabase_stats(caller: Reads, runtime: Runtime) -> Response:
    """Se o Supabase responde, e (com uma chave admin) como está a fila, que é de todos."""
    figures = await runtime.supabase_stats()
    if not caller.is_admin:
        figures = {
            "isHealthy": figures["isHealthy"],
            "queueStats": {},
            "timestamp": figures["timestamp"],
        }
    return success(figures)


@router.post(
    "/queue/clear",
    summary="Arquiva as mensagens rejeitadas",
    responses=answers(QueueCleared, body=True),
)
async def clear_queue(_caller: AdminManages, runtime: Runtime) -> Response:
    """Move as mensagens rejeitadas para um arquivo; as que ainda esperam não são tocadas."""
    cleared = await runtime.clear_queue()
    message = "Mensagens rejeitadas arquivadas; nenhuma mensagem pendente foi tocada."
    return success({"message": message, **cleared}, message=message)


def _done(message: str) -> Response:
    return success({"message": message}, message=message)
