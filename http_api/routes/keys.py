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
from ..parsed import Route
from ..principal import EVERYTHING, Permission, Role
from ..schemas import (
    MAX_NAME,
    UUID_EXAMPLE,
    Answer,
    ConnectionId,
    Message,
    OptionalOwnerId,
    RequestBody,
    check_not_blank,
)
from .answers import ONE_CONNECTION, Runtime, answers

router = APIRouter(route_class=Route, prefix="/api/whatsapp-bootstrap/keys", tags=["Chaves de API"])

T = TypeVar("T")
DEFAULT_RATE = 600
MAX_RATE = 1_000_000
_ID = "9f86d081884c7d65"
_AT = "2026-03-01T12:00:00.123456+00:00"
_UNTIL = "2030-01-01T00:00:00Z"

_CHANGED_KEY = ("key_not_found", "key_from_environment", "api_keys_busy")

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
            examples=[_UNTIL],
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

    id: Annotated[str, Field(description="O id, para trocar ou revogar.", examples=[_ID])]
    name: Annotated[str, Field(description="Para pessoas.", examples=["CRM da loja"])]
    role: Annotated[Role, Field(description="O alcance.", examples=["owner"])]
    permissions: Annotated[
        list[Permission], Field(description="O que pode fazer.", examples=[["read", "send"]])
    ]
    owner_id: Annotated[
        UUID | None, Field(description="null: de todos.", examples=[UUID_EXAMPLE])
    ] = None
    connection_id: Annotated[str | None, Field(description="null: todas as conexões.")] = None
    created_at: Annotated[
        datetime | None,
        Field(description="null para a chave de ZAPVISOR_API_KEY.", examples=[_AT]),
    ] = None
    expires_at: Annotated[
        datetime | None, Field(description="null: não expira.", examples=[_UNTIL])
    ] = None
    expired: Annotated[bool, Field(description="Se já expirou.", examples=[False])]
    last_used_at: Annotated[datetime | None, Field(description="null: nunca.")] = None
    rate_per_minute: Annotated[
        int | None, Field(description="Chamadas por minuto; null: sem limite.", examples=[600])
    ] = None


class NewKey(Key):
    """A chave com o segredo, que só aparece aqui."""

    key: Annotated[
        str, Field(description="Guarde agora; não será mostrada de novo.", examples=["zv_…"])
    ]


@router.get("", summary="Lista as chaves", responses=answers(list[Key]))
async def list_keys(_caller: AdminReads, request: Request) -> Response:
    """Nomes, alcance, permissões, validade e último uso; nunca os segredos."""
    store = _store(request)
    return success([describe(store, key) for key in store.all()])


@router.post(
    "",
    summary="Cria uma chave",
    responses=answers(
        NewKey,
        "invalid_key_scope",
        "invalid_key_expiry",
        *ONE_CONNECTION,
        "too_many_keys",
        "api_keys_busy",
        body=True,
    ),
)
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


@router.post(
    "/{id}/rotate", summary="Troca o segredo", responses=answers(NewKey, *_CHANGED_KEY, body=True)
)
async def rotate_key(key_id: IdInPath, _caller: AdminManages, request: Request) -> Response:
    """O segredo antigo deixa de valer imediatamente."""
    store = _store(request)
    key, plaintext = await _in_thread(lambda: store.rotate(key_id))
    return success({**describe(store, key), "key": plaintext})


@router.delete(
    "/{id}", summary="Revoga uma chave", responses=answers(Message, *_CHANGED_KEY, body=True)
)
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
