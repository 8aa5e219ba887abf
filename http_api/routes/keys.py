"""``/api/whatsapp-bootstrap/keys``: the API keys, for admins."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import trio
from fastapi import APIRouter, Path, Request
from pydantic import AfterValidator, Field, field_validator
from starlette.responses import Response

from runtime.errors import Invalid

from ..envelope import success
from ..facade import Application
from ..guards import AdminManages, AdminReads
from ..keys import ApiKey, KeyScope, KeyStore
from ..principal import EVERYTHING, Permission, Role
from ..schemas import (
    MAX_NAME,
    Answer,
    ConnectionId,
    Message,
    OptionalOwnerId,
    RequestBody,
    check_not_blank,
)
from .answers import Runtime, answers

router = APIRouter(prefix="/api/whatsapp-bootstrap/keys", tags=["Chaves de API"])

T = TypeVar("T")
DEFAULT_RATE = 600
MAX_RATE = 1_000_000
_ID = "9f86d081884c7d65"

IdInPath = Annotated[str, Path(alias="id", min_length=1, max_length=64, examples=[_ID])]


class CreateKey(RequestBody):
    """What the new key may do."""

    name: Annotated[
        str,
        Field(max_length=MAX_NAME, description="Para pessoas.", examples=["CRM da loja"]),
        AfterValidator(check_not_blank),
    ]
    role: Annotated[
        Role, Field(description="Alcance: tudo, um dono ou uma conexão.", examples=["owner"])
    ]
    permissions: Annotated[
        frozenset[Permission],
        Field(min_length=1, description="Por omissão, todas.", examples=[["read", "send"]]),
    ] = EVERYTHING
    owner_id: Annotated[
        OptionalOwnerId,
        Field(description="O dono; com role connection, o da conexão se omitido."),
    ] = None
    connection_id: Annotated[
        ConnectionId | None, Field(description="Só com role connection.", examples=[None])
    ] = None
    expires_at: Annotated[
        datetime | None,
        Field(
            description="Fim da validade (ISO 8601; sem fuso horário, vale UTC).",
            examples=["2030-01-01T00:00:00Z"],
        ),
    ] = None
    rate_per_minute: Annotated[
        int | None,
        Field(ge=1, le=MAX_RATE, description="Chamadas por minuto; null: sem limite."),
    ] = DEFAULT_RATE

    @field_validator("expires_at")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        try:
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)


class Key(Answer):
    """Uma chave, sem o segredo."""

    id: str = Field(examples=[_ID])
    name: str = Field(examples=["CRM da loja"])
    role: Role
    permissions: list[Permission]
    owner_id: UUID | None = None
    connection_id: str | None = None
    created_at: datetime | None = Field(
        default=None, description="null para a chave de ZAPVISOR_API_KEY."
    )
    expires_at: datetime | None = None
    expired: bool
    last_used_at: datetime | None = None
    rate_per_minute: int | None = None


class NewKey(Key):
    """A chave com o segredo, que só aparece aqui."""

    key: str = Field(description="Guarde agora; não será mostrada de novo.", examples=["zv_…"])


@router.get("", summary="Lista as chaves", responses=answers(list[Key]))
async def list_keys(_caller: AdminReads, request: Request) -> Response:
    """Nomes, alcance, permissões, validade e último uso; nunca os segredos."""
    store = _store(request)
    return success([describe(store, key) for key in store.all()])


@router.post("", summary="Cria uma chave", responses=answers(NewKey, 404, 409, body=True))
async def create_key(
    body: CreateKey, _caller: AdminManages, runtime: Runtime, request: Request
) -> Response:
    """Responde o segredo uma única vez; em disco fica só o seu hash."""
    scope = KeyScope(
        name=body.name,
        role=body.role,
        permissions=body.permissions,
        owner_id=await _owner(body, runtime),
        connection_id=body.connection_id,
        expires_at=body.expires_at,
        rate_per_minute=body.rate_per_minute,
    )
    store = _store(request)
    key, plaintext = await _in_thread(lambda: store.create(scope))
    return success({**describe(store, key), "key": plaintext})


@router.post("/{id}/rotate", summary="Troca o segredo", responses=answers(NewKey, 404, 409))
async def rotate_key(key_id: IdInPath, _caller: AdminManages, request: Request) -> Response:
    """O segredo antigo deixa de valer imediatamente."""
    store = _store(request)
    key, plaintext = await _in_thread(lambda: store.rotate(key_id))
    return success({**describe(store, key), "key": plaintext})


@router.delete("/{id}", summary="Revoga uma chave", responses=answers(Message, 404, 409))
async def revoke_key(key_id: IdInPath, _caller: AdminManages, request: Request) -> Response:
    """Deixa de valer imediatamente, para sempre."""
    store = _store(request)
    await _in_thread(lambda: store.revoke(key_id))
    return success({"message": "Chave revogada."}, message="Chave revogada.")


def describe(store: KeyStore, key: ApiKey) -> dict[str, Any]:
    """What may be told of a key."""
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role.value,
        "permissions": sorted(key.permissions),
        "ownerId": key.owner_id,
        "connectionId": key.connection_id,
        "createdAt": key.created_at or None,
        "expiresAt": key.expires_at,
        "expired": key.expired(datetime.now(UTC)),
        "lastUsedAt": store.last_used(key),
        "ratePerMinute": key.rate_per_minute,
    }


async def _owner(body: CreateKey, runtime: Application) -> UUID | None:
    """The owner of the new key; that of its connection, which must exist."""
    if body.role is not Role.CONNECTION or body.connection_id is None:
        return body.owner_id
    owner = UUID(str((await runtime.connection(body.connection_id))["ownerId"]))
    if body.owner_id not in (None, owner):
        raise Invalid("A conexão é de outro ownerId.", code="invalid_key_scope")
    return owner


async def _in_thread(change: Callable[[], T]) -> T:
    """A change of the file, which is finished also when the caller stops waiting."""
    return await trio.to_thread.run_sync(change)


def _store(request: Request) -> KeyStore:
    store: KeyStore = request.app.state.keys
    return store
