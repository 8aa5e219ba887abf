"""``/api/whatsapp-integration/atendimentos``: finding, assigning, moving on and annotating them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from runtime.storage import AtendimentoFilter

from ..attendance import (
    MAX_LIST,
    AtendimentoPage,
    ChangeAtendimento,
    OptionalConnectionId,
    OptionalId,
    OptionalMoment,
    Statuses,
    Text100,
    Text256,
)
from ..audit import noted
from ..envelope import success
from ..guards import Lists, Reads, Sends, seen_atendimento
from ..parsed import Route
from ..rows import AtendimentoRow
from ..schemas import OptionalCompanyId, OptionalOwnerId
from .answers import ONE_CONNECTION, Runtime, answers

router = APIRouter(
    route_class=Route,
    prefix="/api/whatsapp-integration/atendimentos",
    tags=["Atendimentos"],
)

IdInPath = Annotated[UUID, Path(alias="id", description="O id da linha do atendimento.")]
OfOwner = Annotated[OptionalOwnerId, Query(alias="ownerId")]


@router.get(
    "",
    summary="Lista os atendimentos",
    responses=answers(AtendimentoPage, "invalid_cursor", *ONE_CONNECTION),
)
async def list_atendimentos(
    caller: Lists,
    runtime: Runtime,
    owner_id: OfOwner = None,
    company_id: Annotated[OptionalCompanyId, Query(alias="companyId")] = None,
    status: Annotated[
        Statuses, Query(description="Um ou mais; também separados por vírgula.")
    ] = [],  # noqa: B006 - FastAPI copies it
    connection_id: Annotated[OptionalConnectionId, Query(alias="connectionId")] = None,
    atendente_id: Annotated[
        OptionalId, Query(alias="atendenteId", description="Atribuídos a esta pessoa.")
    ] = None,
    numero: Annotated[Text100, Query(description="Número do cliente, em qualquer grafia.")] = None,
    tag: Annotated[Text100, Query(description="Com esta etiqueta.")] = None,
    search: Annotated[
        Text100, Query(description="Parte do nome (sem importar acentos) ou do número.")
    ] = None,
    since: Annotated[
        OptionalMoment, Query(alias="from", description="Iniciados neste momento ou depois.")
    ] = None,
    until: Annotated[
        OptionalMoment, Query(alias="to", description="Iniciados antes deste momento.")
    ] = None,
    cursor: Annotated[Text256, Query(description="O `nextCursor` da página anterior.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LIST)] = 50,
) -> Response:
    """Linhas de `whatsapp_atendimentos`, a de mensagem mais recente antes, em páginas."""
    return success(
        await runtime.list_atendimentos(
            AtendimentoFilter(
                owner_id=caller.owner(owner_id),
                company_id=company_id,
                status=tuple(status),
                connection_id=caller.connection_id or connection_id,
                atendente_id=atendente_id,
                numero=numero,
                tag=tag,
                search=search,
                since=_aware(since),
                until=_aware(until),
                cursor=cursor,
                limit=limit,
            )
        )
    )


@router.get(
    "/{id}", summary="Um atendimento", responses=answers(AtendimentoRow, "atendimento_not_found")
)
async def get_atendimento(
    atendimento_id: IdInPath, caller: Reads, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """A linha de `whatsapp_atendimentos`."""
    return success(await seen_atendimento(caller, runtime, atendimento_id, owner_id))


@router.patch(
    "/{id}",
    summary="Altera um atendimento",
    responses=answers(
        AtendimentoRow,
        "nothing_to_change",
        "unknown_atendente",
        "atendimento_not_found",
        "illegal_transition",
        "concurrent_change",
        body=True,
    ),
)
async def change_atendimento(
    atendimento_id: IdInPath,
    body: ChangeAtendimento,
    caller: Sends,
    runtime: Runtime,
    owner_id: OfOwner = None,
) -> Response:
    """Atribui, muda o status, a prioridade, as etiquetas, as observações e o nome, tudo ou nada.

    O status só anda para a frente (409 `illegal_transition`); FINALIZADO e CANCELADO gravam
    `data_fim`.
    """
    owner = caller.owner(owner_id)
    if caller.connection_id is not None:
        await seen_atendimento(caller, runtime, atendimento_id)
    row = await runtime.change_atendimento(atendimento_id, body.changes(), owner)
    noted().connection = row.get("connection_id")
    return success(row)


def _aware(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
