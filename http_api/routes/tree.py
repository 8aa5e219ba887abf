"""``/api/whatsapp-bootstrap/tree``: the supervision tree, and what a person may do with it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from ..control import TreeNode
from ..envelope import success
from ..guards import AdminManages, AdminReads
from ..parsed import Route
from ..schemas import Message, RequestBody
from .answers import Runtime, answers

router = APIRouter(route_class=Route, prefix="/api/whatsapp-bootstrap/tree", tags=["Controle"])


class Unpark(RequestBody):
    """Which parked child goes on."""

    path: Annotated[
        str,
        Field(
            min_length=1,
            max_length=512,
            description="Caminho do filho na árvore, a partir da raiz.",
            examples=["zapvisor/core/whatsapp/connections/loja-centro"],
        ),
    ]


@router.get("", summary="A árvore de supervisão", responses=answers(TreeNode))
async def get_tree(_caller: AdminReads, runtime: Runtime) -> Response:
    """Cada filho com estado, reinícios, o motivo da última saída e os seus próprios filhos."""
    return success(runtime.tree())


@router.post(
    "/unpark",
    summary="Libera um filho parado",
    responses=answers(Message, "child_not_found", "not_parked", body=True),
)
async def unpark(body: Unpark, _caller: AdminManages, runtime: Runtime) -> Response:
    """Deixa seguir um filho que parou à espera de uma pessoa; 409 se ele não está parado."""
    await runtime.unpark(body.path)
    message = "Liberado."
    return success({"message": message}, message=message)
