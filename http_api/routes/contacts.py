"""Numbers on WhatsApp, presence, pairing by code, and the options of a connection."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from runtime.contacts.service import MAX_PHONES

from ..audit import noted
from ..conversation import (
    AskPairingCode,
    ChangeConnection,
    CheckedContact,
    PairingCode,
    Phone,
    ShowPresence,
)
from ..envelope import success
from ..guards import Manages, Sends
from ..parsed import Route
from ..quotas import Quotas
from ..schemas import ConnectionDetail, ConnectionId, Message
from .answers import LIVE, ONE_CONNECTION, Runtime, answers

router = APIRouter(route_class=Route, prefix="/api/whatsapp-integration", tags=["WhatsApp"])

IdInPath = Annotated[ConnectionId, Path(alias="id")]


@router.get(
    "/contacts/check",
    summary="Confere números no WhatsApp",
    responses=answers(
        list[CheckedContact],
        "invalid_phone",
        "ambiguous_number",
        "quota_checks",
        *ONE_CONNECTION,
        *LIVE,
    ),
)
async def check_contacts(
    connection_id: Annotated[ConnectionId, Query(alias="connectionId")],
    phones: Annotated[
        list[Phone],
        Query(
            min_length=1,
            max_length=MAX_PHONES,
            description="Números; repita o parâmetro para vários.",
        ),
    ],
    caller: Sends,
    runtime: Runtime,
    request: Request,
) -> Response:
    """Se cada número está no WhatsApp, e como o WhatsApp o conhece (com ou sem o nono dígito)."""
    noted().connection = connection_id
    cast("Quotas", request.app.state.quotas).check(caller, len(phones))
    return success(await runtime.check_contacts(connection_id, phones))


@router.post(
    "/connections/{id}/presence",
    summary="Mostra presença",
    responses=answers(
        Message,
        "invalid_phone",
        "ambiguous_number",
        "invalid_recipient",
        *ONE_CONNECTION,
        *LIVE,
        body=True,
    ),
)
async def show_presence(
    connection_id: IdInPath, body: ShowPresence, _caller: Sends, runtime: Runtime
) -> Response:
    """Mostra ao chat que o atendente digita ou grava, ou a todos se o número está online."""
    await runtime.show_presence(connection_id, body.to, body.state)
    return success({"message": "Presença enviada."}, message="Presença enviada.")


@router.post(
    "/connections/{id}/pairing-code",
    summary="Código de pareamento",
    responses=answers(
        PairingCode,
        "invalid_phone",
        "ambiguous_number",
        *ONE_CONNECTION,
        "already_connected",
        "connection_parked",
        "qr_expired",
        "already_paired",
        *LIVE,
        body=True,
    ),
)
async def pairing_code(
    connection_id: IdInPath, body: AskPairingCode, _caller: Manages, runtime: Runtime
) -> Response:
    """Um código de 8 caracteres para digitar no celular, em vez de ler o QR code."""
    return success(await runtime.pairing_code(connection_id, body.phone))


@router.patch(
    "/connections/{id}",
    summary="Altera nome e opções",
    responses=answers(
        ConnectionDetail, "invalid_options", "proxy_not_allowed", *ONE_CONNECTION, body=True
    ),
)
async def change_connection(
    connection_id: IdInPath, body: ChangeConnection, caller: Manages, runtime: Runtime
) -> Response:
    """Vale na hora, sem perder a sessão; a senha de um proxy não é mostrada.

    O proxy deve levar a um endereço público da internet, ou estar em ZAPVISOR_PROXY_PRIVATE_HOSTS;
    uma chave admin pode escolher qualquer um.
    """
    return success(
        await runtime.change_connection(
            connection_id,
            name=body.name,
            options=body.changed_options(),
            by_admin=caller.is_admin,
        )
    )
