"""Why a message of ours was not sent: from WhatsApp's and the bridge's words to our own. Pure.

The journal keeps the word as it came (WhatsApp's number, or the bridge's code); whoever is told of
it (the row, the events, the caller) hears our code, which stays the same whatever WhatsApp says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import Conflict, NotFound, Throttled, Unsendable, ZapvisorError

NEW_CONTACTS_BLOCKED = "new_contacts_blocked"
"""WhatsApp lets the number write only to those who have written to it ("reach-out time lock")."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is told of a send that failed.

    Attributes:
        code: stable snake_case; also the row's ``erro``.
        sentence: Portuguese, for a person.
        kind: the error whose HTTP status fits.
        facts: what was said instead, for an operator: ``whatsappCode`` or ``reason``.
    """

    code: str
    sentence: str
    kind: type[ZapvisorError] = Unsendable
    facts: Mapping[str, Any] | None = None

    def failure(self, details: Mapping[str, Any]) -> ZapvisorError:
        """The error for the caller whose message it was."""
        return self.kind(self.sentence, code=self.code, details={**details, **(self.facts or {})})


_ADDRESS = Refusal(
    "address_refused",
    "O WhatsApp não aceitou o endereçamento da mensagem; tente enviá-la de novo.",
)
_NOT_ALLOWED = Refusal(
    "not_allowed", "O WhatsApp não permite que este número escreva a este destinatário."
)
_BROKEN = Refusal(
    "whatsapp_failed", "O WhatsApp teve um erro e não aceitou a mensagem; tente mais tarde."
)
_OTHER = Refusal("refused_by_whatsapp", "O WhatsApp recusou a mensagem.")
_NOT_IN_GROUP = Refusal(
    "not_in_group", "Este número não participa do grupo, ou não pode escrever nele.", Conflict
)
_UNCONFIRMED = Refusal(
    "unconfirmed", "O WhatsApp não confirmou a mensagem; ela pode ou não ter chegado."
)
_NOT_SENT = Refusal("send_failed", "A mensagem não pôde ser entregue ao WhatsApp.")

_NUMBERS = {
    400: Refusal("malformed", "O WhatsApp considerou a mensagem malformada."),
    401: _NOT_ALLOWED,
    403: _NOT_ALLOWED,
    404: Refusal("recipient_not_found", "O WhatsApp não conhece o destinatário da mensagem."),
    405: Refusal("kind_refused", "O WhatsApp recusou este tipo de mensagem."),
    406: _NOT_ALLOWED,
    408: _BROKEN,
    420: _ADDRESS,
    421: _ADDRESS,
    429: Refusal(
        "throttled_by_whatsapp",
        "O WhatsApp recebeu mensagens demais deste número em pouco tempo; espere alguns minutos.",
        Throttled,
    ),
    463: Refusal(
        NEW_CONTACTS_BLOCKED,
        "O WhatsApp não deixa este número iniciar conversas por enquanto; com quem já escreveu a "
        "ele, pode continuar.",
    ),
    475: _ADDRESS,
    479: _ADDRESS,
    **dict.fromkeys(range(500, 505), _BROKEN),
}
_IN_GROUPS = {
    **dict.fromkeys((401, 403, 406), _NOT_IN_GROUP),
    404: Refusal("group_not_found", "O WhatsApp não conhece este grupo.", NotFound),
}
_WORDS = {
    one.code: one
    for one in (
        _NOT_SENT,
        Refusal("malformed", "A mensagem não tem uma forma que possa ser enviada."),
        Refusal("not_on_whatsapp", "Este número não está no WhatsApp."),
        Refusal("expired", "A conexão não voltou a tempo e a mensagem perdeu a validade."),
        Refusal("connection_deleted", "A conexão foi excluída antes do envio.", Conflict),
        _UNCONFIRMED,
        Refusal("file_missing", "O arquivo da mensagem não está mais nesta máquina."),
    )
}


_WORDS |= dict.fromkeys(("timeout", "no_reply"), _UNCONFIRMED)


def refusal_of(word: str | None, chat: str = "") -> Refusal:
    """What is told of a send that ended with ``word``; ``chat`` is the recipient's JID."""
    if word is not None and word.isascii() and word.isdecimal():
        number = int(word)
        known = _NUMBERS.get(number, _OTHER)
        if chat.endswith("@g.us"):
            known = _IN_GROUPS.get(number, known)
        return _with(known, {"whatsappCode": number})
    if word is None:
        return _OTHER
    return _WORDS.get(word) or _with(_NOT_SENT, {"reason": word})


def _with(refusal: Refusal, facts: Mapping[str, Any]) -> Refusal:
    return Refusal(refusal.code, refusal.sentence, refusal.kind, facts)


def all_refusals() -> list[Refusal]:
    """Every one that there is, for the documentation of the API."""
    every = [_OTHER, *_NUMBERS.values(), *_IN_GROUPS.values(), *_WORDS.values()]
    return list({one.code: one for one in every}.values())
