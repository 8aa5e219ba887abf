"""What a route requires of its caller: declared in one line, enforced here, before the route runs.

Every route under ``/api`` takes one of the types at the end of this module as a parameter (a test
fails for one that does not)::

    async def list_robots(caller: OwnerReads, runtime: Runtime, owner_id: OfOwner = None): ...
        return success(await runtime.robots(caller.owner(owner_id), …))

The guard refuses a missing permission or role (403), an ``ownerId`` in query or body that is not
the caller's (403), and a connection (in path, query or body) that the caller does not see: 404,
the very answer of one that does not exist. What is left to the route is to ask for no more than
``caller.owner(…)``, and, where keys of one connection are let in, ``caller.connection_id``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from starlette.exceptions import HTTPException

from runtime.errors import Invalid, NotFound
from runtime.identity import check_connection_id

from .audit import note_requirement
from .facade import Application
from .fields import refuse_unknown
from .parsed import kept
from .principal import Forbidden, Permission, Principal, Role, another_owner

_CONNECTIONS = "/api/whatsapp-integration/connections/"


class Naming(Enum):
    """What a ``connectionId`` in query or body means."""

    USES = "uses"  # the connection that the call is about
    FILTERS = "filters"  # what to list: rows outlive their connection
    CREATES = "creates"  # one that does not exist yet


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a guard asks for."""

    permission: Permission
    roles: frozenset[Role]
    naming: Naming = Naming.USES


Guard = Callable[..., Awaitable[Principal]]

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="HTTPBearer",
    description="Uma chave de API, ou o access token de um usuário do Supabase Auth.",
)
_header = APIKeyHeader(name="X-Api-Key", auto_error=False, description="Uma chave de API.")


def requires(
    permission: Permission,
    *roles: Role,
    naming: Naming = Naming.USES,
) -> Guard:
    """A guard, for ``Depends``; without ``roles`` every role will do."""
    requirement = Requirement(permission, frozenset(roles or Role), naming)

    async def guard(
        request: Request,
        _by_bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
        _by_header: Annotated[str | None, Security(_header)],
    ) -> Principal:
        caller: Principal | None = getattr(request.state, "principal", None)
        if caller is None:  # a route outside /api: the middleware did not look
            raise HTTPException(401, headers={"WWW-Authenticate": 'Bearer realm="zapvisor"'})
        await _check(requirement, caller, request)
        await refuse_unknown(request)
        return caller

    guard.requirement = requirement  # type: ignore[attr-defined]
    return guard


def check_permission(requirement: Requirement, caller: Principal, method: str) -> None:
    """Raises Forbidden unless the caller has the role and the permission."""
    note_requirement(requirement.permission, method)
    if caller.role not in requirement.roles:
        raise Forbidden("Esta credencial não dá acesso a esta chamada.")
    if not caller.may(requirement.permission):
        raise Forbidden(
            f"Esta credencial não tem a permissão {requirement.permission.value}.",
            code="missing_permission",
            details={"permission": requirement.permission.value},
        )


async def _check(requirement: Requirement, caller: Principal, request: Request) -> None:
    check_permission(requirement, caller, request.method)
    if caller.is_admin:
        return
    body = kept(request)
    for owner in _named("ownerId", request, body):
        if _uuid(owner) not in (None, caller.owner_id):
            raise another_owner()
    for connection in _connections(requirement, request, body):
        await _check_connection(connection, requirement, caller, request.app.state.application)


async def _check_connection(
    connection_id: str, requirement: Requirement, caller: Principal, application: Application
) -> None:
    try:
        check_connection_id(connection_id)
    except Invalid:
        return  # the route will name the bad field
    if caller.connection_id not in (None, connection_id):
        raise _no_such_connection()
    if requirement.naming is Naming.FILTERS:
        return
    found = await application.connection(connection_id)
    if not caller.sees(found["ownerId"], connection_id):
        raise _no_such_connection()


def _no_such_connection() -> NotFound:
    return NotFound("Conexão não encontrada.", code="connection_not_found")


def _connections(requirement: Requirement, request: Request, body: Any) -> Iterator[str]:
    if request.url.path.startswith(_CONNECTIONS) and "id" in request.path_params:
        yield request.path_params["id"]
    if requirement.naming is not Naming.CREATES:
        yield from _named("connectionId", request, body)


def _named(name: str, request: Request, body: Any) -> Iterator[str]:
    """The values under ``name`` in path, query and body, wherever it is a non-empty text."""
    candidates = [request.path_params.get(name), *request.query_params.getlist(name)]
    if isinstance(body, dict):
        candidates.append(body.get(name))
    for value in candidates:
        if isinstance(value, str) and value.strip():
            yield value


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None  # the route will name the bad field


def required_owner(caller: Principal, requested: UUID | None) -> UUID:
    """Whose data to look at where it must be somebody's. Raises Invalid, Forbidden."""
    owner = caller.owner(requested)
    if owner is None:
        problem = {
            "field": "ownerId",
            "code": "validation_error",
            "message": "ownerId é obrigatório",
        }
        raise Invalid(
            "Dados inválidos: ownerId é obrigatório.", code="validation_error", details=[problem]
        )
    return owner


async def seen_connection(caller: Principal, runtime: Application, connection_id: str) -> None:
    """Raises NotFound unless the caller sees this connection, for routes that read forms."""
    if not caller.is_admin:
        requirement = Requirement(Permission.SEND, frozenset(Role))
        await _check_connection(connection_id, requirement, caller, runtime)


async def seen_atendimento(
    caller: Principal, runtime: Application, atendimento_id: UUID, owner_id: UUID | None = None
) -> dict[str, Any]:
    """The row of an atendimento that the caller may see; NotFound for every other."""
    row = await runtime.atendimento(atendimento_id, caller.owner(owner_id))
    if not caller.sees_row(row):
        raise NotFound("Atendimento não encontrado.", code="atendimento_not_found")
    return row


AdminReads = Annotated[Principal, Depends(requires(Permission.READ, Role.ADMIN))]
AdminManages = Annotated[Principal, Depends(requires(Permission.MANAGE, Role.ADMIN))]

OwnerReads = Annotated[Principal, Depends(requires(Permission.READ, Role.ADMIN, Role.OWNER))]
OwnerManages = Annotated[Principal, Depends(requires(Permission.MANAGE, Role.ADMIN, Role.OWNER))]
OwnerCreates = Annotated[
    Principal,
    Depends(requires(Permission.MANAGE, Role.ADMIN, Role.OWNER, naming=Naming.CREATES)),
]

Reads = Annotated[Principal, Depends(requires(Permission.READ))]
Lists = Annotated[Principal, Depends(requires(Permission.READ, naming=Naming.FILTERS))]
Sends = Annotated[Principal, Depends(requires(Permission.SEND))]
Manages = Annotated[Principal, Depends(requires(Permission.MANAGE))]
