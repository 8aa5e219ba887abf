"""Which settled entries the robot hears of. Pure."""

from __future__ import annotations

from ..journal import Entry, Heard, Stored
from ..storage.rows import moment
from .config import Configs

MAX_TEXT = 1000
"""Characters of a message that are kept for the robot; no answer to a menu is longer."""


def heard_of(entry: Entry, outcome: Stored, configs: Configs | None) -> Heard | None:
    """What the robot shall be told of an entry, if anything.

    Customers are heard where a robot is active, attendants wherever there is one: it must know of
    them when it is switched on again. While ``configs`` are unknown, everybody is.
    """
    payload, facts = entry.payload, entry.event_data or {}
    sender, number = payload.get("remetente"), str(payload.get("numero_cliente"))
    if outcome.atendimento_id is None or payload.get("kind") != "message":
        return None
    if sender not in ("CLIENTE", "ATENDENTE") or not is_person(number):
        return None
    if sender == "CLIENTE" and (payload.get("lida") or facts.get("history")):
        return None
    if "stub" in (payload.get("dados") or {}):
        return None  # what it says comes later, under the same id
    happened_at = moment(payload.get("timestamp"))
    if happened_at is None:
        return None  # a dead letter that was corrected may say anything
    owner, company = str(payload["owner_id"]), payload.get("company_id")
    if configs is not None:
        wanted = (
            configs.knows(owner)
            if sender == "ATENDENTE"
            else configs.find(owner, company) is not None
        )
        if not wanted:
            return None
    return Heard(
        seq=entry.seq,
        atendimento_id=outcome.atendimento_id,
        owner_id=owner,
        company_id=company,
        connection_id=str(payload["connection_id"]),
        number=number,
        sender=sender,
        kind=str(payload.get("tipo")),
        text=str(payload.get("conteudo") or "")[:MAX_TEXT],
        happened_at=happened_at,
        accepted_at=entry.accepted_at,
        offline=bool(facts.get("offline")),
    )


def is_person(number: str) -> bool:
    """Whether this is a customer's number, and not a group, a newsletter or a broadcast."""
    return "@" not in number or number.endswith("@lid")
