"""What may stand beside any content of ours: the message it answers, and who is mentioned. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import limits
from ..errors import Invalid
from ..identity import check_recipient


@dataclass(frozen=True, slots=True)
class Quoted:
    """The message that is answered: its row and what WhatsApp needs to show it."""

    row_id: str
    message_id: str
    from_me: bool
    text: str
    participant: str | None = None


def check_person(name: str) -> None:
    """Raises Invalid for what can be nobody who can be mentioned, also for a group."""
    check_recipient(name)
    if name.strip().endswith("@g.us"):
        raise Invalid("Só pessoas podem ser mencionadas.", code="invalid_recipient")


def beside(quoted: Quoted | None, mentions: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parts of the frame's content, and the facts for ``dados``.

    ``mentions`` are JIDs.
    """
    content: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    if quoted is not None:
        content["quoted"] = {
            "id": quoted.message_id,
            "fromMe": quoted.from_me,
            "participant": quoted.participant,
            "text": quoted.text,
        }
        facts["resposta"] = {"id": quoted.row_id, "mensagem_id": quoted.message_id}
    if mentions:
        mentioned = list(mentions[: limits.MENTIONS])
        content["mentions"] = mentioned
        facts["mencoes"] = mentioned
    return content, facts
