"""``/api/whatsapp-bootstrap``: starting, stopping and examining the supervised tree."""

from __future__ import annotations

import secrets

from fastapi import APIRouter
from starlette.responses import Response

from ..audit import noted
from ..control import SelfTest, Stats, Status, TemporaryConnectionCreated
from ..envelope import success
from ..guards import AdminManages, AdminReads
from ..parsed import Route
from ..schemas import Message, TemporaryConnection
from .answers import Runtime, answers

router = APIRouter(route_class=Route, prefix="/api/whatsapp-bootstrap", tags=["Controle"])


@router.post("/initialize", summary="Inicia o sistema", responses=answers(Status, body=True))
async def initialize(_caller: AdminManages, runtime: Runtime) -> Response:
    """Inicia a árvore supervisionada se ela não estiver em execução; pode ser repetido."""
    return success(await runtime.initialize(), message="Sistema inicializado.")


@router.get("/status", summary="Estado do sistema", responses=answers(Status))
async def status(_caller: AdminReads, runtime: Runtime) -> Response:
    """Quais partes estão em execução, e os erros atuais."""
    return success(runtime.status())


@router.get("/stats", summary="Números do sistema", responses=answers(Stats))
async def stats(_caller: AdminReads, runtime: Runtime) -> Response:
    """Estado, tempos de resposta, fila, contadores por conexão e a árvore de supervisão."""
    return success(await runtime.stats())


@router.post("/test", summary="Autoteste completo", responses=answers(SelfTest, body=True))
async def self_test(_caller: AdminManages, runtime: Runtime) -> Response:
    """Exercita cada parte de verdade e informa a duração de cada verificação."""
    return success(await runtime.self_test())


@router.post(
    "/test-connection",
    summary="Cria uma conexão temporária",
    responses=answers(
        TemporaryConnectionCreated, "unknown_owner", "too_many_connections", body=True
    ),
)
async def create_temporary_connection(
    body: TemporaryConnection, _caller: AdminManages, runtime: Runtime
) -> Response:
    """Cria uma conexão com um identificador gerado, para testar a leitura do QR code."""
    noted().connection = connection_id = f"teste-{secrets.token_hex(4)}"
    await runtime.create_connection(
        connection_id=connection_id,
        name="Conexão de teste",
        owner_id=body.owner_id,
        company_id=body.company_id,
        by_admin=True,
    )
    message = "Conexão de teste criada; leia o QR code para conectar."
    return success({"connectionId": connection_id, "message": message}, message=message)


@router.post("/restart", summary="Reinicia o sistema", responses=answers(Message, body=True))
async def restart(_caller: AdminManages, runtime: Runtime) -> Response:
    """Reinicia a árvore em ordem, sem perder mensagens."""
    await runtime.restart()
    return _done("Sistema reiniciado.")


@router.post("/shutdown", summary="Para o sistema", responses=answers(Message, body=True))
async def shutdown(_caller: AdminManages, runtime: Runtime) -> Response:
    """Para a árvore em ordem; a API continua respondendo."""
    await runtime.shutdown()
    return _done("Sistema parado.")


def _done(message: str) -> Response:
    return success({"message": message}, message=message)
