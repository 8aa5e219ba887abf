"""``/api/whatsapp-integration/robot``: the robots, rows of ``whatsapp_configuracoes``."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from ..attendance import ChangeRobot, CreateRobot
from ..envelope import success
from ..guards import OwnerManages, OwnerReads
from ..parsed import Route
from ..rows import RobotRow
from ..schemas import Message, OptionalCompanyId, OptionalOwnerId
from .answers import Runtime, answers

router = APIRouter(
    route_class=Route,
    prefix="/api/whatsapp-integration/robot",
    tags=["Robô"],
)

IdInPath = Annotated[UUID, Path(alias="id", description="O id da linha do robô.")]
OfOwner = Annotated[OptionalOwnerId, Query(alias="ownerId")]


@router.post(
    "",
    summary="Cria um robô",
    responses=answers(RobotRow, "unknown_owner", "robot_exists", body=True),
)
async def create_robot(body: CreateRobot, caller: OwnerManages, runtime: Runtime) -> Response:
    """Um por dono e empresa (409 `robot_exists`); sem empresa, vale para as que não têm o seu."""
    caller.owner(body.owner_id)
    return success(await runtime.create_robot(body.values()))


@router.get("", summary="Lista os robôs", responses=answers(list[RobotRow]))
async def list_robots(
    caller: OwnerReads,
    runtime: Runtime,
    owner_id: OfOwner = None,
    company_id: Annotated[OptionalCompanyId, Query(alias="companyId")] = None,
) -> Response:
    """Linhas de `whatsapp_configuracoes`, da mais antiga para a mais nova."""
    return success(await runtime.robots(caller.owner(owner_id), company_id))


@router.get("/{id}", summary="Um robô", responses=answers(RobotRow, "robot_not_found"))
async def get_robot(
    robot_id: IdInPath, caller: OwnerReads, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """A linha de `whatsapp_configuracoes`."""
    return success(await runtime.robot_row(robot_id, caller.owner(owner_id)))


@router.patch(
    "/{id}",
    summary="Altera um robô",
    responses=answers(RobotRow, "nothing_to_change", "robot_not_found", body=True),
)
async def change_robot(
    robot_id: IdInPath,
    body: ChangeRobot,
    caller: OwnerManages,
    runtime: Runtime,
    owner_id: OfOwner = None,
) -> Response:
    """Vale para a próxima mensagem; `ativo: false` o desliga."""
    owner = caller.owner(owner_id)
    return success(await runtime.change_robot(robot_id, body.changes(), owner))


@router.delete(
    "/{id}", summary="Exclui um robô", responses=answers(Message, "robot_not_found", body=True)
)
async def delete_robot(
    robot_id: IdInPath, caller: OwnerManages, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """As mensagens que ele enviou continuam guardadas."""
    await runtime.delete_robot(robot_id, caller.owner(owner_id))
    return success({"message": "Robô excluído."}, message="Robô excluído.")
