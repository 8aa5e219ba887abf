"""Bodies of the calls that send messages; see ``schemas`` for the rest."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from runtime import limits
from runtime.identity import check_recipient
from runtime.outbound.beside import check_person
from runtime.phones import read_phone

from .schemas import (
    ConnectionId,
    IdempotencyKey,
    RequestBody,
    check_not_blank,
    within,
)
from .validation import checked, custom_error

MAX_DATA_URL = 23 * 1024 * 1024  # 16 MiB in base64, and what surrounds them

FileName = Annotated[
    str | None,
    Field(max_length=1024, description="Nome de um documento.", examples=["boleto.pdf"]),
]
Voice = Annotated[bool, Field(description="Mensagem de voz: só para audio em OGG com codec Opus.")]
ViewOnce = Annotated[bool, Field(description="Visualização única: só para image, video e audio.")]
QuotedId = Annotated[
    UUID | None, Field(description="O id da linha da mensagem respondida.", examples=[None])
]
Mentions = Annotated[
    list[Annotated[str, AfterValidator(checked(check_person))]],
    Field(max_length=limits.MENTIONS, description="Números ou JIDs mencionados no texto."),
]


def _split(value: object) -> object:
    """A form has texts only: several in one, with commas."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


Place = Annotated[str, Field(max_length=limits.PLACE), within(limits.PLACE)]


class LocationBody(RequestBody):
    """A place on the map."""

    latitude: Annotated[
        float,
        Field(ge=-90, le=90, allow_inf_nan=False, description="Graus.", examples=[-23.5613]),
    ]
    longitude: Annotated[
        float,
        Field(ge=-180, le=180, allow_inf_nan=False, description="Graus.", examples=[-46.6565]),
    ]
    name: Annotated[Place | None, Field(description="O lugar.")] = None
    address: Annotated[Place | None, Field(description="O endereço.")] = None


class ContactBody(RequestBody):
    """A contact to share."""

    name: Annotated[
        str,
        Field(max_length=limits.CONTACT_NAME, description="Como se chama.", examples=["Maria"]),
        AfterValidator(check_not_blank),
        within(limits.CONTACT_NAME),
    ]
    phones: Annotated[
        list[Annotated[str, AfterValidator(checked(read_phone))]],
        Field(
            min_length=1,
            max_length=10,
            description="Os seus números.",
            examples=[["(11) 98765-4321"]],
        ),
    ]


PollOption = Annotated[
    str,
    Field(max_length=limits.POLL_OPTION),
    AfterValidator(check_not_blank),
    within(limits.POLL_OPTION),
]


class PollBody(RequestBody):
    """A question with 2 to 12 different options."""

    name: Annotated[
        str,
        Field(max_length=limits.POLL_NAME, description="A pergunta.", examples=["Que dia?"]),
        AfterValidator(check_not_blank),
        within(limits.POLL_NAME),
    ]
    options: Annotated[
        list[PollOption],
        Field(
            min_length=2,
            max_length=limits.POLL_OPTIONS,
            description="As respostas possíveis.",
            examples=[["Sábado", "Domingo"]],
        ),
    ]
    selectable: Annotated[
        int, Field(ge=0, le=limits.POLL_OPTIONS, description="0: quantas quiser.")
    ] = 1


LinkDescription = Annotated[
    str, Field(max_length=limits.LINK_DESCRIPTION), within(limits.LINK_DESCRIPTION)
]


class LinkPreviewBody(RequestBody):
    """What is shown of an address in the text; nobody visits it."""

    url: Annotated[
        str,
        Field(
            max_length=limits.LINK_URL,
            pattern="^https?://[^\\s]+$",
            description="Como está no texto.",
            examples=["https://loja.example/bolos"],
        ),
        within(limits.LINK_URL),
    ]
    title: Annotated[
        str,
        Field(
            max_length=limits.LINK_TITLE, description="Em destaque.", examples=["Bolos da semana"]
        ),
        AfterValidator(check_not_blank),
        within(limits.LINK_TITLE),
    ]
    description: Annotated[LinkDescription | None, Field(description="Abaixo do título.")] = None


class SendMessage(RequestBody):
    """A message to one recipient."""

    connection_id: ConnectionId
    to: Annotated[
        str,
        Field(
            max_length=64,
            description="JID, ou número de telefone em qualquer grafia brasileira ou E.164.",
            examples=["(11) 98765-4321", "+5511987654321", "5511987654321@s.whatsapp.net"],
        ),
        AfterValidator(checked(check_recipient)),
    ]
    type: Annotated[
        Literal[
            "text",
            "image",
            "video",
            "audio",
            "document",
            "sticker",
            "location",
            "contact",
            "poll",
        ],
        Field(description="Arquivos precisam de mediaUrl; os outros, do campo de mesmo nome."),
    ] = "text"
    content: Annotated[
        str,
        Field(
            max_length=limits.TEXT,
            description="O texto, ou a legenda do arquivo (até 4096). Em unidades UTF-16, como no "
            "WhatsApp: a maioria dos emojis conta como dois.",
            examples=["Olá! Seu pedido saiu."],
        ),
        within(limits.TEXT),
    ] = Field(default="", validate_default=True)
    media_url: Annotated[
        str | None,
        Field(
            max_length=MAX_DATA_URL,
            description="Endereço http(s) público do arquivo, ou o próprio arquivo como data URL.",
            examples=[None],
        ),
    ] = None
    file_name: FileName = None
    ptt: Voice = False
    view_once: ViewOnce = False
    quoted_message_id: QuotedId = None
    mentions: Mentions = Field(default=[])
    link_preview: Annotated[LinkPreviewBody | None, Field(description="Só com type text.")] = None
    location: Annotated[LocationBody | None, Field(description="Só com type location.")] = None
    contacts: Annotated[
        Annotated[list[ContactBody], Field(min_length=1, max_length=limits.CONTACTS)] | None,
        Field(description="Só com type contact."),
    ] = None
    poll: Annotated[PollBody | None, Field(description="Só com type poll.")] = None
    idempotency_key: Annotated[
        IdempotencyKey | None,
        Field(description="O mesmo que o cabeçalho Idempotency-Key."),
    ] = None

    @property
    def is_plain(self) -> bool:
        """Whether this is a text alone, in the way of the first versions."""
        more = (self.quoted_message_id, self.link_preview)
        return self.type == "text" and more == (None, None) and not self.mentions

    @field_validator("content")
    @classmethod
    def _text_has_content(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("type") == "text" and not value.strip():
            raise custom_error("validation_error", "content é obrigatório e não pode ser vazio.")
        return value


class SendFile(RequestBody):
    """The fields beside an uploaded file."""

    connection_id: ConnectionId
    to: Annotated[str, Field(max_length=64), AfterValidator(checked(check_recipient))]
    type: Literal["image", "video", "audio", "document", "sticker"]
    content: Annotated[str, Field(max_length=limits.TEXT), within(limits.TEXT)] = ""
    file_name: FileName = None
    ptt: Voice = False
    view_once: ViewOnce = False
    quoted_message_id: QuotedId = None
    mentions: Annotated[Mentions, BeforeValidator(_split)] = Field(default=[])
    idempotency_key: IdempotencyKey | None = None
