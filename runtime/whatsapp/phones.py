"""Whose phone a connection is: another one in its place, or one that two connections share."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ..events import EventName
from ..journal import Connection
from ..phones import person
from .disconnects import DELETED, PHONE_CHANGED, GiveUp
from .services import Services

logger = logging.getLogger("zapvisor.connections")

SHARED = "phone_in_use"
"""The code of the warning for connections that are linked to one phone."""


def another_phone(connection: Connection, phone: str | None) -> GiveUp | None:
    """The verdict on a connection that another phone than its last one has been linked to.

    Numbers change, and phones are mixed up: a person says which it was, before two histories are
    one. A restart takes the new phone, see `Connections.restart`.
    """
    before = connection.phone_number
    if before is None or phone is None or person(before) == person(phone):
        return None
    return GiveUp(
        PHONE_CHANGED,
        f"Foi conectado outro celular (final {phone[-4:]}) no lugar do anterior (final "
        f"{before[-4:]}). Para continuar com ele, chame POST …/restart; para voltar ao anterior, "
        "POST …/logout, depois POST …/restart, e leia o QR code com o celular certo.",
    )


async def review_sharing(services: Services, phone: str | None) -> None:
    """Warn, or no longer warn, all the connections that are linked to this phone."""
    if phone is None:
        return
    linked = [
        one
        for one in await services.journal.connections()
        if one.parked_code != DELETED
        and one.phone_number is not None
        and person(one.phone_number) == person(phone)
    ]
    sharing = [one for one in linked if one.parked_code is None]
    for one in linked:
        live = services.lives[one.id]
        others = [other for other in sharing if other.id != one.id]
        if one not in sharing or not others:
            if live.calm(SHARED):
                await services.sessions.record(one, live)
            continue
        if SHARED in live.warned:
            continue
        sentence = _sentence(one, others)
        live.warn(SHARED, sentence)
        logger.warning("one phone, several connections", extra={"connection": one.id})
        await services.sessions.record(one, live)
        services.events.publish(
            EventName.CONNECTION_WARNING,
            {"code": SHARED, "reason": sentence},
            connection_id=one.id,
            owner_id=one.owner_id,
        )


def _sentence(connection: Connection, others: Sequence[Connection]) -> str:
    """Another owner's connection is not named: nobody else may know what it is called."""
    own = [other.id for other in others if other.owner_id == connection.owner_id]
    if not own:
        return "Este celular também está conectado em outra conexão, de outro dono."
    return (
        f"Este celular também está conectado em {', '.join(own)}: cada mensagem é guardada mais de "
        "uma vez. Exclua as conexões que sobram."
    )
