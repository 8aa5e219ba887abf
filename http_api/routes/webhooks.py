"""``/api/whatsapp-integration/webhooks``: where events are delivered, and what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import Response

from runtime.notifier.desk import MAX_URL

from ..audit import noted
from ..envelope import success
from ..guards import OwnerManages, OwnerReads
from ..parsed import Route
from ..schemas import (
    UUID_EXAMPLE,
    Answer,
    ConnectionId,
    EventBody,
    Message,
    OptionalOwnerId,
    RequestBody,
)
from .answers import ONE_CONNECTION, Runtime, answers
from .events import EventNames

router = APIRouter(
    route_class=Route, prefix="/api/whatsapp-integration/webhooks", tags=["Webhooks"]
)

MAX_PAGE = 100
_URL_EXAMPLE = "https://crm.exemplo.com.br/zapvisor"
_AT = "2026-03-01T12:00:00.123456+00:00"

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

    id: Annotated[str, Field(description="O id.", examples=["wh_3f9a1c2044d1e7b8"])]
    url: Annotated[str, Field(description="Para onde vão os eventos.", examples=[_URL_EXAMPLE])]
    owner_id: Annotated[
        str | None, Field(description="null: de todos os donos.", examples=[UUID_EXAMPLE])
    ] = None
    connection_id: Annotated[
        str | None, Field(description="null: de todas as conexões.", examples=[None])
    ] = None
    events: Annotated[list[str], Field(description="Vazio: todos.", examples=[["messageReceived"]])]
    description: Description = None
    enabled: Annotated[bool, Field(description="Se recebe eventos novos.", examples=[True])]
    disabled_code: Annotated[
        str | None, Field(description="Por que foi desativado: failing, backlog_full ou gone.")
    ] = None
    failing_since: Annotated[
        datetime | None, Field(description="null: a última entrega deu certo.")
    ] = None
    last_success_at: Annotated[
        datetime | None, Field(description="A última entrega.", examples=[_AT])
    ] = None
    last_error: Annotated[str | None, Field(description="O último erro.")] = None
    created_at: Annotated[datetime, Field(description="Quando foi criado.", examples=[_AT])]
    deliveries: Annotated[
        dict[str, int],
        Field(
            description="Quantas há, por estado.",
            examples=[{"pending": 0, "delivered": 42, "dead": 0}],
        ),
    ]


class WebhookWithSecret(Webhook):
    """Um webhook com o segredo, mostrado só esta vez."""

    secret: Annotated[str, Field(description="Confere a assinatura.", examples=["whsec_…"])]


class TrialDelivery(Answer):
    """O que houve com a entrega de teste."""

    delivered: Annotated[bool, Field(description="Se chegou.", examples=[True])]
    status: Annotated[
        int | None, Field(description="O status HTTP da resposta.", examples=[204])
    ] = None
    error: Annotated[str | None, Field(description="Por que não chegou.", examples=[None])] = None
    duration_ms: Annotated[int, Field(description="Milissegundos.", examples=[85])]


class Delivery(Answer):
    """Um evento para um webhook."""

    id: Annotated[int, Field(description="O id da entrega.", examples=[1042])]
    state: Annotated[
        Literal["pending", "delivered", "dead"],
        Field(description="Na fila, entregue ou desistida.", examples=["delivered"]),
    ]
    attempts: Annotated[int, Field(description="Tentativas feitas.", examples=[1])]
    status: Annotated[
        int | None, Field(description="O status HTTP da última tentativa.", examples=[204])
    ] = None
    error: Annotated[
        str | None, Field(description="O erro da última tentativa.", examples=[None])
    ] = None
    duration_ms: Annotated[
        int | None, Field(description="Quanto durou a última tentativa.", examples=[85])
    ] = None
    created_at: Annotated[datetime, Field(description="Quando entrou na fila.", examples=[_AT])]
    updated_at: Annotated[datetime, Field(description="A última tentativa.", examples=[_AT])]
    next_attempt_at: Annotated[
        datetime | None, Field(description="null: espera a anterior da mesma conversa.")
    ] = None
    event: Annotated[EventBody, Field(description="O evento, como é entregue.")]


class DeliveryPage(Answer):
    """Uma página do registro de entregas."""

    items: Annotated[list[Delivery], Field(description="Da mais nova para a mais antiga.")]
    next_cursor: Annotated[
        str | None, Field(description="O `cursor` da próxima página; null na última.")
    ] = None


class Redelivered(Answer):
    """Quantas voltaram para a fila."""

    redelivered: Annotated[int, Field(description="Quantas.", examples=[3])]


@router.post(
    "",
    summary="Cria um webhook",
    responses=answers(
        WebhookWithSecret,
        "invalid_webhook_url",
        *ONE_CONNECTION,
        "too_many_webhooks",
        "quota_webhooks",
        body=True,
    ),
)
async def create_webhook(body: CreateWebhook, caller: OwnerManages, runtime: Runtime) -> Response:
    """O segredo da assinatura vem só nesta resposta. Veja `docs/webhooks.md`."""
    noted().connection = body.connection_id
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


@router.get("/{id}", summary="Um webhook", responses=answers(Webhook, "webhook_not_found"))
async def get_webhook(
    webhook_id: IdInPath, caller: OwnerReads, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """Com o estado das entregas."""
    return success(await runtime.webhooks(caller.owner(owner_id)).one(webhook_id))


@router.patch(
    "/{id}",
    summary="Altera um webhook",
    responses=answers(Webhook, "invalid_webhook_url", "webhook_not_found", body=True),
)
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


@router.delete(
    "/{id}", summary="Exclui um webhook", responses=answers(Message, "webhook_not_found", body=True)
)
async def delete_webhook(
    webhook_id: IdInPath, caller: OwnerManages, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """Com tudo o que esperava por ele."""
    await runtime.webhooks(caller.owner(owner_id)).remove(webhook_id)
    return success({"message": "Webhook excluído."}, message="Webhook excluído.")


@router.post(
    "/{id}/secret",
    summary="Troca o segredo",
    responses=answers(WebhookWithSecret, "webhook_not_found", body=True),
)
async def rotate_webhook_secret(
    webhook_id: IdInPath, caller: OwnerManages, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """O novo segredo vale desde já, e vem só nesta resposta."""
    return success(await runtime.webhooks(caller.owner(owner_id)).rotate(webhook_id))


@router.post(
    "/{id}/test",
    summary="Entrega de teste",
    responses=answers(TrialDelivery, "webhook_not_found", body=True),
)
async def send_test_delivery(
    webhook_id: IdInPath, caller: OwnerManages, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """Entrega um evento `healthCheck` agora, uma vez, e diz o que houve."""
    return success(await runtime.webhooks(caller.owner(owner_id)).test(webhook_id))


@router.get(
    "/{id}/deliveries",
    summary="Registro de entregas",
    responses=answers(DeliveryPage, "webhook_not_found"),
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
    responses=answers(Redelivered, "webhook_not_found", body=True),
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
    responses=answers(
        Message, "webhook_not_found", "delivery_not_found", "delivery_pending", body=True
    ),
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
