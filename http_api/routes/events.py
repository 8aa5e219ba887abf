"""``GET /api/whatsapp-integration/events``: what happens, as it happens (Server-Sent Events)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any, cast

import trio
from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import AfterValidator, BeforeValidator, Field
from starlette.responses import Response

from runtime.event_log import EventFilter
from runtime.events import EventName

from ..guards import Lists
from ..limits import EVENTS_PATH
from ..parsed import Route
from ..principal import Permission
from ..schemas import ConnectionId, EventBody, OptionalOwnerId
from ..streams import EventStream, Streams
from ..validation import custom_error
from .answers import ONE_CONNECTION, Runtime, answers

router = APIRouter(route_class=Route, tags=["Eventos"])

MAX_RECENT = 500


def _position(value: str | None) -> str | None:
    if value and not (len(value) <= 32 and all(digit in "0123456789abcdef" for digit in value)):
        raise custom_error("invalid_event_id", "O id de um evento tem 32 dígitos hexadecimais.")
    return value or None


def _names(value: object) -> object:
    """Repeated, or separated by commas."""
    parts = value if isinstance(value, list) else [value]
    names = [name for part in parts for name in str(part).split(",")]
    return [name.strip() for name in names if name.strip()]


EventNames = Annotated[
    list[EventName], BeforeValidator(_names), Field(max_length=len(EventName), examples=[[]])
]
EventId = Annotated[str | None, AfterValidator(_position), Field(max_length=64, examples=[None])]

_ANSWERS: dict[int | str, dict[str, Any]] = {
    **answers(EventBody, "invalid_event_id", *ONE_CONNECTION, "too_many_streams", "quota_streams"),
    200: {
        "description": "Um evento por vez: `id`, `event` e, em `data`, o JSON do evento.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
}


async def _place(request: Request) -> AsyncIterator[Streams]:
    streams = cast("Streams", request.app.state.streams)
    with streams.place(request.state.principal):
        yield streams


@router.get(EVENTS_PATH, summary="Eventos ao vivo", response_class=Response, responses=_ANSWERS)
async def stream_events(
    caller: Lists,
    runtime: Runtime,
    request: Request,
    streams: Annotated[Streams, Depends(_place)],
    event: Annotated[
        EventNames, Query(description="Só estes; repetido ou separado por vírgulas.")
    ] = [],  # noqa: B006 - FastAPI copies it
    connection_id: Annotated[
        ConnectionId | None, Query(alias="connectionId", description="Só os desta conexão.")
    ] = None,
    owner_id: Annotated[OptionalOwnerId, Query(alias="ownerId")] = None,
    since: Annotated[
        EventId,
        Query(alias="lastEventId", description="Como Last-Event-ID; `0`: desde o mais antigo."),
    ] = None,
    recent: Annotated[
        int, Query(ge=0, le=MAX_RECENT, description="Começa com os últimos tantos eventos.")
    ] = 0,
    last_event_id: Annotated[EventId, Header(description="O último evento recebido.")] = None,
) -> Response:
    """Os eventos como Server-Sent Events, a partir de agora ou de `Last-Event-ID`.

    Os eventos ficam guardados por 7 dias: quem perde a conexão volta com `Last-Event-ID` (os
    navegadores fazem isso sozinhos) e não perde nenhum. Uma linha de comentário vem a cada 15
    segundos; a transmissão termina a cada 15 minutos, e o cliente volta.
    """
    owner = caller.owner(owner_id)
    wanted = EventFilter(
        events=frozenset(event),
        # Who scans a QR code has the conversations: it is for those who may pair.
        hidden=frozenset() if caller.may(Permission.MANAGE) else frozenset({EventName.QR_CODE}),
        connection_id=caller.connection_id or connection_id,
        owner_id=None if owner is None else str(owner),
    )
    with trio.fail_after(streams.limits.request_seconds):
        feed = await runtime.follow_events(wanted, after=last_event_id or since, recent=recent)
    return EventStream(streams, feed, partial(request.app.state.keys.holds, caller))
