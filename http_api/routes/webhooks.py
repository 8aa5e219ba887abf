"""``/api/whatsapp-integration/webhooks``: where events are delivered, and what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import Response

from runtime.notifier.desk import MAX_URL

from ..envelope import success
from ..guards import OwnerManages, OwnerReads
from ..schemas import Answer, ConnectionId, Message, OptionalOwnerId, RequestBody
from .answers import Runtime, answers
from .events import EventNames

router = APIRouter(prefix="/api/whatsapp-integration/webhooks", tags=["Webhooks"])

MAX_PAGE = 100
_URL_EXAMPLE = "https://crm.exemplo.com.br/zapvisor"

IdInPath = Annotated[str, Path(alias="id", max_length=64, description="Id do webhook.")]
DeliveryInPath = Annotated[
    int, Path(alias="delivery", ge=1, le=2**53, description="Id da entrega, do registro.")
]
OfOwner = Annotated[OptionalOwnerId, Query(alias="ownerId")]

Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL,
        description="http ou https, em um endereço público da internet.",
        examples=[_URL_EXAMPLE],
    ),
]
Description = Annotated[
    str | None, Field(max_length=200, description="Para pessoas.", examples=["CRM"])
]
Events = Annotated[
    EventNames,
    Field(description="Só estes eventos; vazio: todos.", examples=[["messageReceived"]]),
]


class CreateWebhook(RequestBody):
    """Um novo webhook."""

    url: Url
    owner_id: OptionalOwnerId = None
    connection_id: Annotated[
        ConnectionId | None, Field(description="Só os eventos desta conexão.", examples=[None])
    ] = None
    events: Events = Field(default_factory=list)
    description: Description = None


class ChangeWebhook(RequestBody):
    """O que mudar; o que não vier fica como está."""

    url: Url = ""
    events: Events = Field(default_factory=list)
    description: Description = None
    enabled: Annotated[
        bool,
        Field(examples=[True], description="true também perdoa um webhook desativado por falhas."),
    ] = True

    def changes(self) -> dict[str, Any]:
        """The fields that were sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class Webhook(Answer):
    """Um webhook, sem o segredo."""

    id: Annotated[str, Field(examples=["wh_3f9a1c2044d1e7b8"])]
    url: Annotated[str, Field(examples=[_URL_EXAMPLE])]
    owner_id: str | None = None
    connection_id: str | None = None
    events: list[str]
    description: str | None = None
    enabled: bool
    disabled_code: Annotated[
        str | None, Field(description="Por que foi desativado: failing, backlog_full ou gone.")
    ] = None
    failing_since: datetime | None = None
    last_success_at: datetime | None = None
    last_error: str | None = None
    created_at: datetime
    deliveries: Annotated[
        dict[str, int], Field(examples=[{"pending": 0, "delivered": 42, "dead": 0}])
    ]


class WebhookWithSecret(Webhook):
    """Um webhook com o segredo, mostrado só esta vez."""

    secret: Annotated[str, Field(examples=["whsec_…"])]


class TrialDelivery(Answer):
    """O que houve com a entrega de teste."""

    delivered: bool
    status: int | None = None
    error: Annotated[str | None, Field(examples=["timeout"])] = None
    duration_ms: int


class Delivery(Answer):
    """Um evento para um webhook."""

    id: int
    state: Literal["pending", "delivered", "dead"]
    attempts: int
    status: Annotated[int | None, Field(description="Da última tentativa.")] = None
    error: Annotated[str | None, Field(examples=["http_500"])] = None
    duration_ms: int | None = None
    created_at: datetime
    updated_at: datetime
    next_attempt_at: Annotated[
        datetime | None, Field(description="null: espera a anterior da mesma conversa.")
    ] = None
    event: dict[str, Any]


class DeliveryPage(Answer):
    """Uma página do registro de entregas."""

    items: list[Delivery]
    next_cursor: str | None = None


class Redelivered(Answer):
    """Quantas voltaram para a fila."""

    redelivered: int


@router.post(
    "", summary="Cria um webhook", responses=answers(WebhookWithSecret, 404, 409, body=True)
)
async def create_webhook(body: CreateWebhook, caller: OwnerManages, runtime: Runtime) -> Response:
    """O segredo da assinatura vem só nesta resposta. Veja `docs/webhooks.md`."""
    desk = runtime.webhooks(caller.owner(body.owner_id))
    return success(
        await desk.create(
            url=body.url,
            connection_id=body.connection_id,
            events=body.events,
            description=body.description,
        )
    )


@router.get("", summary="Lista os webhooks", responses=answers(list[Webhook]))
async def list_webhooks(caller: OwnerReads, runtime: Runtime, owner_id: OfOwner = None) -> Response:
    """Do mais antigo para o mais novo, cada um com o que tem na fila."""
    return success(await runtime.webhooks(caller.owner(owner_id)).all())


@router.get("/{id}", summary="Um webhook", responses=answers(Webhook, 404))
async def get_webhook(
    webhook_id: IdInPath, caller: OwnerReads, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """Com o estado das entregas."""
    return success(await runtime.webhooks(caller.owner(owner_id)).one(webhook_id))


@router.patch("/{id}", summary="Altera um webhook", responses=answers(Webhook, 404, body=True))
async def change_webhook(
    webhook_id: IdInPath,
    body: ChangeWebhook,
    caller: OwnerManages,
    runtime: Runtime,
    owner_id: OfOwner = None,
) -> Response:
    """Desativado, não recebe eventos novos; os que esperam continuam na fila por um dia."""
    desk = runtime.webhooks(caller.owner(owner_id))
    return success(await desk.change(webhook_id, body.changes()))


@router.delete("/{id}", summary="Exclui um webhook", responses=answers(Message, 404))
async def delete_webhook(
    webhook_id: IdInPath, caller: OwnerManages, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """Com tudo o que esperava por ele."""
    await runtime.webhooks(caller.owner(owner_id)).remove(webhook_id)
    return success({"message": "Webhook excluído."}, message="Webhook excluído.")


@router.post("/{id}/secret", summary="Troca o segredo", responses=answers(WebhookWithSecret, 404))
async def rotate_webhook_secret(
    webhook_id: IdInPath, caller: OwnerManages, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """O novo segredo vale desde já, e vem só nesta resposta."""
    return success(await runtime.webhooks(caller.owner(owner_id)).rotate(webhook_id))


@router.post("/{id}/test", summary="Entrega de teste", responses=answers(TrialDelivery, 404))
async def send_test_delivery(
    webhook_id: IdInPath, caller: OwnerManages, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """Entrega um evento `healthCheck` agora, uma vez, e diz o que houve."""
    return success(await runtime.webhooks(caller.owner(owner_id)).test(webhook_id))


@router.get(
    "/{id}/deliveries", summary="Registro de entregas", responses=answers(DeliveryPage, 404)
)
async def list_deliveries(
    webhook_id: IdInPath,
    caller: OwnerReads,
    runtime: Runtime,
    owner_id: OfOwner = None,
    state: Annotated[
        Literal["pending", "delivered", "dead"] | None, Query(description="Só as deste estado.")
    ] = None,
    cursor: Annotated[
        int | None, Query(ge=1, le=2**53, description="O `nextCursor` da página anterior.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Tamanho da página.")] = 50,
) -> Response:
    """Da mais nova para a mais antiga: as entregues ficam 3 dias, as desistidas 14."""
    desk = runtime.webhooks(caller.owner(owner_id))
    return success(await desk.log(webhook_id, state=state, before=cursor, limit=limit))


@router.post(
    "/{id}/deliveries/redeliver",
    summary="Entrega de novo as desistidas",
    responses=answers(Redelivered, 404),
)
async def redeliver_dead(
    webhook_id: IdInPath, caller: OwnerManages, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """As 1000 mais antigas; chame de novo enquanto houver mais."""
    count = await runtime.webhooks(caller.owner(owner_id)).redeliver_dead(webhook_id)
    return success({"redelivered": count})


@router.post(
    "/{id}/deliveries/{delivery}/redeliver",
    summary="Entrega de novo",
    responses=answers(Message, 404, 409),
)
async def redeliver(
    webhook_id: IdInPath,
    delivery: DeliveryInPath,
    caller: OwnerManages,
    runtime: Runtime,
    owner_id: OfOwner = None,
) -> Response:
    """Uma entrega terminada, com ou sem sucesso, volta para a fila por mais um dia."""
    await runtime.webhooks(caller.owner(owner_id)).redeliver(webhook_id, delivery)
    message = "A entrega voltou para a fila."
    return success({"message": message}, message=message)
