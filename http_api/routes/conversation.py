"""What is done with messages that are there: reading, reacting, editing, deleting."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from runtime.errors import Invalid, NotFound
from runtime.outbound.plain_message import Card, Link, Location, PlainRequest, Poll
from runtime.storage import MessageRow

from ..audit import noted
from ..conversation import EditMessage, MessagesRead, ReactToMessage
from ..envelope import success
from ..facade import Application
from ..guards import Sends
from ..parsed import Route
from ..principal import Principal
from ..schemas import OptionalOwnerId, Sent
from ..sending import SendMessage
from .answers import LIVE, REFUSED, Runtime, answers, sent_answer

router = APIRouter(
    route_class=Route, prefix="/api/whatsapp-integration/messages", tags=["Mensagens"]
)

MessageId = Annotated[UUID, Path(alias="messageId", description="O id da linha da mensagem.")]
OfOwner = Annotated[OptionalOwnerId, Query(alias="ownerId")]

_IMPOSSIBLE = (
    "message_not_found",
    "connection_not_found",
    "not_a_whatsapp_message",
    "not_own_message",
    "not_editable",
    "unreadable_row",
)
_DELETED = answers(Sent, *_IMPOSSIBLE, *REFUSED, body=True)
_CHANGED = answers(Sent, *_IMPOSSIBLE, *REFUSED, "content_too_long", body=True)
for _several in (_CHANGED, _DELETED):
    _several[202] = _several[200] | {"description": "Guardada em disco; será enviada."}


@router.post(
    "/{messageId}/read",
    summary="Marca como lidas",
    responses=answers(
        MessagesRead,
        "message_not_found",
        "connection_not_found",
        "unreadable_row",
        *LIVE,
        body=True,
    ),
)
async def read_message(
    message_id: MessageId, caller: Sends, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """Marca a mensagem e as anteriores do atendimento como lidas, aqui e no WhatsApp."""
    row = await _seen(message_id, owner_id, caller, runtime)
    return success(await runtime.read_message(row))


@router.post("/{messageId}/reaction", summary="Reage a uma mensagem", responses=_CHANGED)
async def react_to_message(
    message_id: MessageId,
    body: ReactToMessage,
    caller: Sends,
    runtime: Runtime,
    owner_id: OfOwner = None,
) -> Response:
    """Reage com um emoji; vazio retira a reação."""
    row = await _seen(message_id, owner_id, caller, runtime)
    return sent_answer(await runtime.change_message(row, "reacao", body.emoji))


@router.patch("/{messageId}", summary="Edita uma mensagem enviada", responses=_CHANGED)
async def edit_message(
    message_id: MessageId,
    body: EditMessage,
    caller: Sends,
    runtime: Runtime,
    owner_id: OfOwner = None,
) -> Response:
    """Troca o texto; o anterior fica em `dados.edicoes`."""
    row = await _seen(message_id, owner_id, caller, runtime)
    return sent_answer(await runtime.change_message(row, "edicao", body.content))


@router.delete("/{messageId}", summary="Apaga uma mensagem enviada", responses=_DELETED)
async def delete_message(
    message_id: MessageId, caller: Sends, runtime: Runtime, owner_id: OfOwner = None
) -> Response:
    """Apaga para todos no WhatsApp; a linha fica, com `dados.apagada`."""
    row = await _seen(message_id, owner_id, caller, runtime)
    return sent_answer(await runtime.change_message(row, "exclusao", None))


async def _seen(
    message_id: UUID, owner_id: UUID | None, caller: Principal, runtime: Application
) -> MessageRow:
    row = await runtime.message(message_id, caller.owner(owner_id))
    if not caller.sees(row.owner_id, row.connection_id):
        raise NotFound("Mensagem não encontrada.", code="message_not_found")
    noted().connection = row.connection_id
    return row


def text_of(identifier: UUID | None) -> str | None:
    """An id as the runtime takes it."""
    return None if identifier is None else str(identifier)


def plain_request(body: SendMessage, key: str | None) -> PlainRequest:
    """What a body without a file asks for. Raises Invalid when what its type names is missing."""
    parts = {"location": body.location, "contact": body.contacts, "poll": body.poll}
    if body.type in parts and parts[body.type] is None:
        field = "contacts" if body.type == "contact" else body.type
        raise Invalid(f"Dados inválidos: {field} é obrigatório.", code=f"missing_{field}")
    place, poll, link = body.location, body.poll, body.link_preview
    return PlainRequest(
        to=body.to,
        text=body.content,
        location=None
        if body.type != "location" or place is None
        else Location(place.latitude, place.longitude, place.name, place.address),
        contacts=None
        if body.type != "contact" or body.contacts is None
        else [Card(one.name, one.phones) for one in body.contacts],
        poll=None
        if body.type != "poll" or poll is None
        else Poll(poll.name, poll.options, poll.selectable),
        link=None
        if body.type != "text" or link is None
        else Link(link.url, link.title, link.description),
        mentions=body.mentions,
        quoted_id=text_of(body.quoted_message_id),
        idempotency_key=key,
    )
