"""``/api/whatsapp-integration/dead-letters``: what Supabase refused, for a person to decide."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import Response

from ..control import QueueCleared
from ..envelope import success
from ..guards import AdminManages, AdminReads
from ..parsed import Route
from ..schemas import Answer, Message, RequestBody
from .answers import Runtime, answers

router = APIRouter(
    route_class=Route,
    prefix="/api/whatsapp-integration/dead-letters",
    tags=["Mensagens rejeitadas"],
)

MAX_PAGE = 200
Seq = Annotated[int, Path(ge=1, le=2**53, description="Número da mensagem na fila.")]


class DeadLetter(Answer):
    """Uma mensagem que o Supabase recusou, inteira."""

    seq: Annotated[int, Field(description="O número na fila.", examples=[1042])]
    kind: Annotated[str, Field(description="O que seria gravado.", examples=["message"])]
    code: Annotated[str, Field(examples=["23503"], description="SQLSTATE ou código estável.")]
    reason: Annotated[
        str,
        Field(
            description="O motivo, como o Supabase o disse, sem segredos. Só aqui, para quem "
            "administra: os eventos trazem o código e uma frase nossa.",
            examples=["no such owner"],
        ),
    ]
    payload: Annotated[
        dict[str, Any],
        Field(description="A linha que seria gravada.", examples=[{"conteudo": "Bom dia!"}]),
    ]
    raw: Annotated[
        dict[str, Any] | None, Field(description="O evento original do WhatsApp, se houver.")
    ]
    accepted_at: Annotated[
        datetime, Field(description="Quando entrou na fila.", examples=["2026-03-01T12:00:00Z"])
    ]
    died_at: Annotated[
        datetime, Field(description="Quando foi rejeitada.", examples=["2026-03-01T12:00:01Z"])
    ]
    attempts: Annotated[int, Field(description="Tentativas feitas.", examples=[1])]


class Correction(RequestBody):
    """O que mudar antes de tentar de novo."""

    changes: Annotated[
        dict[str, Any],
        Field(
            default_factory=dict,
            max_length=64,
            description="Colunas a corrigir, pelo nome. `kind` e `id` não mudam.",
            examples=[{"company_id": None}],
        ),
    ]


@router.get("", summary="Lista as mensagens rejeitadas", responses=answers(list[DeadLetter]))
async def list_dead_letters(
    _caller: AdminReads,
    runtime: Runtime,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Tamanho da página.")] = 50,
    after_seq: Annotated[
        int, Query(alias="afterSeq", ge=0, le=2**53, description="As que vêm depois deste `seq`.")
    ] = 0,
) -> Response:
    """Da mais antiga para a mais nova; a página seguinte começa após o último `seq`."""
    return success(await runtime.dead_letters(limit=limit, after_seq=after_seq))


@router.post("/archive", summary="Arquiva todas", responses=answers(QueueCleared, body=True))
async def archive_dead_letters(_caller: AdminManages, runtime: Runtime) -> Response:
    """Move todas para um arquivo no diretório de dados."""
    message = "Mensagens rejeitadas arquivadas; nenhuma mensagem pendente foi tocada."
    return success({"message": message, **await runtime.clear_queue()}, message=message)


@router.get(
    "/{seq}",
    summary="Uma mensagem rejeitada",
    responses=answers(DeadLetter, "dead_letter_not_found"),
)
async def get_dead_letter(seq: Seq, _caller: AdminReads, runtime: Runtime) -> Response:
    """A mensagem inteira, com o motivo."""
    return success(await runtime.dead_letter(seq))


@router.post(
    "/{seq}/retry",
    summary="Tenta de novo",
    responses=answers(Message, "dead_letter_not_found", "fixed_fields", body=True),
)
async def retry_dead_letter(
    seq: Seq, _caller: AdminManages, runtime: Runtime, body: Correction | None = None
) -> Response:
    """Devolve a mensagem à fila, corrigida se `changes` vier."""
    await runtime.retry_dead_letter(seq, changes=body.changes if body is not None else {})
    message = "A mensagem voltou para a fila."
    return success({"message": message}, message=message)
