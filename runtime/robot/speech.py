"""The robot's messages as commands of the outbox and entries of the journal. Pure.

Whatever a message is derived from gives it its ids: the same step of the same atendimento is the
same message to WhatsApp, to the outbox and to Supabase, however often it were made.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from ..journal import Connection, NewCommand, NewEntry
from ..outbound.outbox import compose
from .decide import Message

LIFETIME = timedelta(minutes=15)
"""How long a message waits for its connection; an answer later than this helps nobody."""


def speak(
    connection: Connection, atendimento_id: str, number: str, message: Message, now: datetime
) -> tuple[NewCommand, NewEntry]:
    """The message to a customer. Raises Invalid when there is no sending to this number."""
    name = f"{atendimento_id}/{message.step}"
    return compose(
        connection,
        to=number if "@" in number else f"{number}@s.whatsapp.net",
        text=message.text,
        message_id=f"3EB0{hashlib.sha256(name.encode()).hexdigest()[:18].upper()}",
        # Keys that come with a request are ASCII, so none of them is ever one of ours.
        idempotency_key=f"robô/{name}",
        now=now,
        lifetime=LIFETIME,
        sender="SISTEMA",
        facts={
            "kind": "placed",
            "atendimento_id": atendimento_id,
            "tag": message.tag,
            "dados": {"robo": message.step},
        },
    )
