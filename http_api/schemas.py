"""Requests and answers of the API, as pydantic models: the source of the OpenAPI document.

Requests are validated by these models; unknown fields are refused, and so are wrong types.
Answers are built by the runtime as dictionaries of these shapes; further fields may appear.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from runtime.events import EventName
from runtime.identity import check_connection_id
from runtime.limits import units

from .fields import LENIENT
from .principal import CALLER
from .validation import checked, custom_error

MAX_NAME = 100
MAX_PAGE = 1000  # rows; PostgREST gives no more at once
MAX_OFFSET = 2**31 - 1

T = TypeVar("T")

UUID_EXAMPLE = "7f1d7f0e-6f0e-4c0c-9a53-0c3f6a1b2c3d"
_CONNECTION_EXAMPLE = "loja-centro"


def _empty_means_absent(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _visible_ascii(value: str) -> str:
    if not all(" " <= character <= "~" for character in value):
        raise custom_error(
            "invalid_idempotency_key",
            "A Idempotency-Key deve ter de 1 a 255 caracteres ASCII imprimíveis.",
        )
    return value


def within(longest: int) -> AfterValidator:
    """At most so many UTF-16 code units, which is what WhatsApp counts."""

    def check(value: str) -> str:
        if units(value) > longest:
            raise PydanticCustomError(
                "string_too_long", "at most {max_length}", {"max_length": longest}
            )
        return value

    return AfterValidator(check)


def check_not_blank(value: str) -> str:
    """A validator of names."""
    if not value.strip():
        raise custom_error("validation_error", "O nome não pode ser vazio.")
    return value.strip()


ConnectionId = Annotated[
    str,
    AfterValidator(checked(check_connection_id)),
    Field(
        description="Identificador da conexão: de 1 a 64 letras sem acento, números, hífens ou "
        "sublinhados.",
        examples=[_CONNECTION_EXAMPLE],
        json_schema_extra={"pattern": "^[A-Za-z0-9_-]{1,64}$"},
    ),
]


def _owner_or_caller(value: object) -> object:
    """An owner may leave its own id out; an admin says whose it is."""
    if value is not None and value != "":
        return value
    caller = CALLER.get()
    if caller is None or caller.owner_id is None:
        raise custom_error("validation_error", "ownerId é obrigatório")
    return caller.owner_id


OwnerId = Annotated[
    UUID,
    BeforeValidator(_owner_or_caller),
    Field(
        default=None,
        validate_default=True,
        description="Dono da conexão (auth.users). Obrigatório com uma chave admin; as outras "
        "credenciais têm o seu.",
        examples=[UUID_EXAMPLE],
    ),
]
OptionalOwnerId = Annotated[
    UUID | None,
    BeforeValidator(_empty_means_absent),
    Field(description="Dono da conexão (auth.users).", examples=[UUID_EXAMPLE]),
]
OptionalCompanyId = Annotated[
    UUID | None,
    BeforeValidator(_empty_means_absent),
    Field(description="Empresa à qual a conexão pertence.", examples=[None]),
]
OptionalId = Annotated[UUID | None, BeforeValidator(_empty_means_absent)]
IdempotencyKey = Annotated[
    str,
    Field(min_length=1, max_length=255, examples=["pedido-1234-confirmacao"]),
    AfterValidator(_visible_ascii),
]


class RequestBody(BaseModel):
    """Base of request bodies: camelCase, unknown fields refused; see ``fields``."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_unknown(cls, value: object) -> object:
        if not (LENIENT.get() and isinstance(value, dict)):
            return value
        known = {field.alias for field in cls.model_fields.values()}
        return {name: one for name, one in value.items() if name in known}


class CreateConnection(RequestBody):
    """A new WhatsApp connection."""

    connection_id: ConnectionId
    name: Annotated[
        str,
        Field(max_length=MAX_NAME, description="Nome para pessoas.", examples=["Loja Centro"]),
        AfterValidator(check_not_blank),
    ]
    owner_id: OwnerId
    company_id: OptionalCompanyId = None


class Restore(RequestBody):
    """Which credentials to put back."""

    archive_id: Annotated[
        Annotated[str, Field(pattern="^[0-9]{1,16}$")] | None,
        Field(
            description="O id de um item de `archives`; sem ele, o mais novo.",
            examples=["1769860800000"],
        ),
    ] = None


class TemporaryConnection(RequestBody):
    """Whose temporary connection it will be."""

    owner_id: OwnerId
    company_id: OptionalCompanyId = None


# --- answers


class Answer(BaseModel):
    """Base of answer bodies: camelCase, open to further fields."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")


class Success(BaseModel, Generic[T]):
    """The envelope of every successful call."""

    success: Annotated[Literal[True], Field(description="A chamada foi feita.")] = True
    data: Annotated[T, Field(description="A resposta.")]
    message: str | None = Field(default=None, description="Frase para pessoas, quando houver.")


class FieldError(BaseModel):
    """One bad field."""

    field: str = Field(examples=["ownerId"])
    code: str = Field(examples=["validation_error"])
    message: str = Field(examples=["ownerId é obrigatório"])


class FailureBody(BaseModel):
    """The envelope of every failed call."""

    success: Annotated[Literal[False], Field(description="A chamada não foi feita.")] = False
    error: str = Field(
        description="Frase em português, para pessoas.",
        examples=["Dados inválidos: ownerId é obrigatório."],
    )
    code: str = Field(description="Código estável, para programas.", examples=["validation_error"])
    details: Annotated[
        list[FieldError] | dict[str, Any] | list[Any] | None,
        Field(description="Com 400: cada campo inválido. Senão, o que ajuda, se houver."),
    ] = None


class Message(Answer):
    """Calls that only report that they were done."""

    message: Annotated[str, Field(description="Para pessoas.", examples=["Feito."])]


_AT = "2026-03-01T12:00:00.123456+00:00"
ShownConnection = Annotated[str, Field(description="A conexão.", examples=[_CONNECTION_EXAMPLE])]
ShownName = Annotated[str, Field(description="Nome para pessoas.", examples=["Loja Centro"])]
ShownStatus = Annotated[
    str,
    Field(description="disconnected, connecting, connected ou error.", examples=["connecting"]),
]
ShownQr = Annotated[
    str | None, Field(description="O conteúdo do QR code, quando há um.", examples=[None])
]
IsConnected = Annotated[bool, Field(description="Se está no WhatsApp agora.", examples=[False])]


class ConnectionCreated(Answer):
    """A connection that was just created."""

    connection_id: ShownConnection
    name: ShownName
    status: ShownStatus
    qr_code: ShownQr = None


class ConnectionWarning(Answer):
    """Something that a person should know of a connection."""

    code: Annotated[str, Field(description="Para programas.", examples=["new_contacts_blocked"])]
    message: Annotated[
        str,
        Field(
            description="Para pessoas.",
            examples=["O WhatsApp não deixa este número iniciar conversas por enquanto."],
        ),
    ]
    since: Annotated[datetime, Field(description="Desde quando.", examples=[_AT])]


class Connection(Answer):
    """A connection in a list."""

    id: ShownConnection
    name: ShownName
    is_connected: IsConnected
    status: ShownStatus
    phone_number: Annotated[
        str | None, Field(description="O número, só dígitos.", examples=["5511987654321"])
    ] = None
    last_seen: Annotated[
        datetime | None, Field(description="O último sinal do WhatsApp.", examples=[_AT])
    ] = None
    owner_id: Annotated[UUID, Field(description="O dono.", examples=[UUID_EXAMPLE])]
    company_id: Annotated[UUID | None, Field(description="A empresa, se houver.")] = None
    status_code: Annotated[
        str | None, Field(description="Por que espera por uma pessoa; null: não espera.")
    ] = None
    status_reason: Annotated[
        str | None,
        Field(description="O mesmo, ou por que o WhatsApp não é alcançado, em uma frase."),
    ] = None
    unavailable_code: Annotated[
        str | None,
        Field(
            description="Por que o WhatsApp não é alcançado agora; tenta-se outra vez sem que "
            "ninguém precise agir, e a sessão não é perdida. null: nada falha.",
            examples=[None],
        ),
    ] = None
    warnings: Annotated[
        list[ConnectionWarning],
        Field(description="O que se deve saber de uma conexão que funciona.", examples=[[]]),
    ] = []
    since: Annotated[
        datetime | None, Field(description="Início do estado atual.", examples=[_AT])
    ] = None
    options: Annotated[
        dict[str, Any],
        Field(
            description="As opções em vigor; a senha de um proxy não é mostrada.",
            examples=[{"storeGroups": False, "rejectCalls": False, "proxy": None}],
        ),
    ] = {}


class CredentialArchive(Answer):
    """Credentials of a connection that were put aside."""

    id: Annotated[str, Field(description="Entre as desta conexão.", examples=["1769860800000"])]
    archived_at: Annotated[datetime, Field(description="Quando.", examples=[_AT])]
    reason: Annotated[
        str | None,
        Field(
            description="Por quê: logged_out (pelo celular), logged_out_by_request, restored "
            "(outras tomaram o lugar); null: não se sabe.",
            examples=["logged_out"],
        ),
    ] = None
    phone_number: Annotated[
        str | None, Field(description="De que número, só dígitos.", examples=["5511987654321"])
    ] = None


class ConnectionDetail(Connection):
    """A connection with its QR code and what supervision knows of it."""

    qr_code: ShownQr = None
    restarts: Annotated[int, Field(description="Reinícios automáticos.", examples=[0])] = 0
    last_error: Annotated[
        dict[str, Any] | None,
        Field(description="Como terminou da última vez: kind, reason, code.", examples=[None]),
    ] = None
    supervision: Annotated[
        str | None, Field(description="O estado na árvore.", examples=["running"])
    ] = None


class Qr(Answer):
    """The current QR code; null when there is none."""

    connection_id: ShownConnection
    qr_code: Annotated[str | None, Field(description="O conteúdo do QR code.", examples=["2@…"])]
    qr_code_png: Annotated[
        str | None,
        Field(description="A imagem, como data URL.", examples=["data:image/png;base64,…"]),
    ]
    is_connected: IsConnected
    expires_at: Annotated[
        datetime | None, Field(description="Quando será renovado.", examples=[_AT])
    ] = None
    code: Annotated[
        str | None,
        Field(description="Por que não virá outro sem uma pessoa: qr_expired, logged_out, …"),
    ] = None
    reason: Annotated[str | None, Field(description="O mesmo, em uma frase.")] = None


class Sent(Answer):
    """What became of a message to send."""

    message_id: Annotated[
        str, Field(description="O id no WhatsApp.", examples=["3EB0C431C26A1916E07A"])
    ]
    status: Annotated[str, Field(description="sent ou queued.", examples=["sent"])]
    sent_at: Annotated[
        datetime | None, Field(description="null enquanto espera.", examples=[_AT])
    ] = None


class MediaRetried(Answer):
    """A file that is being fetched again."""

    id: Annotated[UUID, Field(description="O id da linha da mensagem.", examples=[UUID_EXAMPLE])]
    state: Annotated[str, Field(description="Sempre pending.", examples=["pending"])]


class EventBody(Answer):
    """Um evento, como sai na transmissão e nos webhooks."""

    event: Annotated[EventName, Field(description="O que houve.", examples=["messageReceived"])]
    id: Annotated[
        str,
        Field(
            description="32 dígitos hexadecimais, em ordem.",
            examples=["019a2b3c4d5e00000000000000000a7f"],
        ),
    ]
    timestamp: Annotated[datetime, Field(description="Quando.", examples=[_AT])]
    connection_id: Annotated[
        str | None, Field(description="A conexão, se é de uma.", examples=[_CONNECTION_EXAMPLE])
    ] = None
    owner_id: Annotated[
        str | None, Field(description="O dono, se é de um.", examples=[UUID_EXAMPLE])
    ] = None
    data: Annotated[
        dict[str, Any],
        Field(
            description="O que cada evento diz: veja docs/webhooks.md.",
            examples=[{"from": "5511987654321", "type": "TEXTO", "content": "Bom dia!"}],
        ),
    ]
