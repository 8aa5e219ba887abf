"""Bodies and answers of ``routes.conversation`` and ``routes.contacts``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from runtime import limits
from runtime.identity import check_recipient
from runtime.phones import read_phone

from .schemas import (
    MAX_NAME,
    UUID_EXAMPLE,
    Answer,
    RequestBody,
    ShownConnection,
    check_not_blank,
    within,
)
from .validation import checked, custom_error

Phone = Annotated[
    str,
    Field(
        max_length=32,
        description="Número de telefone em qualquer grafia brasileira ou E.164.",
        examples=["(11) 98765-4321"],
    ),
    AfterValidator(checked(read_phone)),
]
Recipient = Annotated[
    str,
    Field(max_length=64, description="JID ou número de telefone.", examples=["+5511987654321"]),
    AfterValidator(checked(check_recipient)),
]


class ReactToMessage(RequestBody):
    """A reaction; an empty emoji takes it back."""

    emoji: Annotated[
        str,
        Field(max_length=limits.REACTION, description="Vazio retira a reação.", examples=["👍"]),
        within(limits.REACTION),
    ]


class EditMessage(RequestBody):
    """The new text of a message that was sent."""

    content: Annotated[
        str,
        Field(max_length=limits.TEXT, description="O novo texto.", examples=["Texto corrigido"]),
        AfterValidator(check_not_blank),
        within(limits.TEXT),
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

    @model_validator(mode="after")
    def _has_its_chat(self) -> ShowPresence:
        if self.to is None and self.state not in ("available", "unavailable"):
            raise custom_error("validation_error", f"to é obrigatório com state {self.state}.")
        return self


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

    store_groups: Annotated[bool | None, Field(description="Guardar mensagens de grupos.")] = None
    reject_calls: Annotated[bool | None, Field(description="Recusar chamadas.")] = None
    always_online: Annotated[bool | None, Field(description="Aparecer sempre online.")] = None
    read_automatically: Annotated[
        bool | None, Field(description="Marcar mensagens como lidas ao chegarem.")
    ] = None
    proxy: Annotated[
        Annotated[str, Field(max_length=512)] | None,
        Field(description="URL http, https, socks5 ou socks5h."),
    ] = None
    pacing: Annotated[PacingBody | None, Field(description="O ritmo dos envios.")] = None
    history: Annotated[
        HistoryBody | None, Field(description="O que um novo pareamento importa; null: nada.")
    ] = None


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

    message_id: Annotated[str, Field(description="A mensagem lida.", examples=[UUID_EXAMPLE])]
    read: Annotated[int, Field(description="Quantas foram marcadas.", examples=[3])]


class PairingCode(Answer):
    """The code to type on the phone."""

    connection_id: ShownConnection
    pairing_code: Annotated[str, Field(description="8 letras e números.", examples=["A1B2C3D4"])]


class CheckedContact(Answer):
    """What WhatsApp says of a number."""

    phone: Annotated[str, Field(description="Como foi perguntado.", examples=["(11) 98765-4321"])]
    exists: Annotated[bool, Field(description="Se está no WhatsApp.", examples=[True])]
    number: Annotated[
        str | None,
        Field(description="O número como o WhatsApp o conhece.", examples=["5511987654321"]),
    ]
    jid: Annotated[
        str | None,
        Field(description="O endereço do número.", examples=["5511987654321@s.whatsapp.net"]),
    ]
    lid: Annotated[str | None, Field(description="O endereço que esconde o número, se houver.")] = (
        None
    )
    checked_at: Annotated[datetime | None, Field(description="Quando o WhatsApp disse isso.")] = (
        None
    )
