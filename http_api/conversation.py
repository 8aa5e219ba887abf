"""Bodies and answers of ``routes.conversation`` and ``routes.contacts``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from runtime.identity import phone_digits, recipient_jid

from .schemas import MAX_NAME, MAX_TEXT, Answer, RequestBody, check_not_blank
from .validation import checked

Phone = Annotated[
    str,
    Field(
        max_length=32,
        description="Número de telefone em qualquer grafia brasileira ou E.164.",
        examples=["(11) 98765-4321"],
    ),
    AfterValidator(checked(phone_digits)),
]
Recipient = Annotated[
    str,
    Field(max_length=64, description="JID ou número de telefone.", examples=["+5511987654321"]),
    AfterValidator(checked(recipient_jid)),
]


class ReactToMessage(RequestBody):
    """A reaction; an empty emoji takes it back."""

    emoji: Annotated[str, Field(max_length=16, examples=["👍"])]


class EditMessage(RequestBody):
    """The new text of a message that was sent."""

    content: Annotated[
        str,
        Field(max_length=MAX_TEXT, examples=["Texto corrigido"]),
        AfterValidator(check_not_blank),
    ]


class ShowPresence(RequestBody):
    """What the attendant is doing."""

    state: Annotated[
        Literal["available", "unavailable", "composing", "recording", "paused"],
        Field(
            description="composing e recording valem para um chat: informe `to`.",
            examples=["available"],
        ),
    ]
    to: Annotated[Recipient | None, Field(description="O chat, para composing e recording.")] = None


class AskPairingCode(RequestBody):
    """The number of the phone that will type the code."""

    phone: Phone


class PacingBody(RequestBody):
    """How fast messages go out."""

    min_interval_ms: Annotated[
        int, Field(ge=0, le=600_000, description="Milissegundos entre duas mensagens, no mínimo.")
    ] = 0
    per_minute: Annotated[
        Annotated[int, Field(ge=1, le=6000)] | None,
        Field(description="Mensagens por minuto, no máximo; null: sem limite."),
    ] = None
    jitter_ms: Annotated[
        int, Field(ge=0, le=60_000, description="Espera adicional ao acaso, até tanto.")
    ] = 0


class HistoryBody(RequestBody):
    """How much of the phone's history a new pairing imports."""

    days: Annotated[int, Field(ge=1, le=365, description="Dias para trás.")] = 7
    max_messages: Annotated[int, Field(ge=1, le=20_000, description="Mensagens, no máximo.")] = 500


class OptionsBody(RequestBody):
    """Options to change; null puts one back to its default, what is left out stays."""

    store_groups: Annotated[bool, Field(description="Guardar mensagens de grupos.")] | None = None
    reject_calls: Annotated[bool, Field(description="Recusar chamadas.")] | None = None
    always_online: Annotated[bool, Field(description="Aparecer sempre online.")] | None = None
    read_automatically: (
        Annotated[bool, Field(description="Marcar mensagens como lidas ao chegarem.")] | None
    ) = None
    proxy: (
        Annotated[
            str,
            Field(max_length=512, description="URL http, https, socks5 ou socks5h."),
        ]
        | None
    ) = None
    pacing: PacingBody | None = None
    history: HistoryBody | None = None


class ChangeConnection(RequestBody):
    """What to change of a connection."""

    name: Annotated[
        Annotated[str, Field(max_length=MAX_NAME), AfterValidator(check_not_blank)] | None,
        Field(description="Nome para pessoas.", examples=["Loja Centro"]),
    ] = None
    options: Annotated[
        OptionsBody | None, Field(description="As opções a mudar; as demais ficam como estão.")
    ] = None

    def changed_options(self) -> dict[str, Any] | None:
        """Those that were sent, by their names in the API."""
        if self.options is None:
            return None
        return self.options.model_dump(by_alias=True, exclude_unset=True)


class MessagesRead(Answer):
    """How many messages WhatsApp is told of."""

    message_id: str
    read: int


class PairingCode(Answer):
    """The code to type on the phone."""

    connection_id: str
    pairing_code: str = Field(examples=["A1B2C3D4"])


class CheckedContact(Answer):
    """What WhatsApp says of a number."""

    phone: str = Field(description="Como foi perguntado.")
    exists: bool
    number: str | None = Field(description="O número como o WhatsApp o conhece.")
    jid: str | None
    lid: str | None = None
    checked_at: datetime | None = None
