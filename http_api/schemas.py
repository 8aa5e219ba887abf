"""Requests and answers of the API, as pydantic models: the source of the OpenAPI document.

Requests are validated by these models; unknown fields are tolerated, wrong types are not.
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
)
from pydantic.alias_generators import to_camel

from runtime.identity import check_connection_id

from .principal import CALLER
from .validation import checked, custom_error

MAX_TEXT = 65_536  # characters in one WhatsApp message
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
    """Base of request bodies: camelCase, unknown fields ignored."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)


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

    success: Literal[True] = True
    data: T
    message: str | None = Field(default=None, description="Frase para pessoas, quando houver.")


class FieldError(BaseModel):
    """One bad field."""

    field: str = Field(examples=["ownerId"])
    code: str = Field(examples=["validation_error"])
    message: str = Field(examples=["ownerId é obrigatório"])


class FailureBody(BaseModel):
    """The envelope of every failed call."""

    success: Literal[False] = False
    error: str = Field(
        description="Frase em português, para pessoas.",
        examples=["Dados inválidos: ownerId é obrigatório."],
    )
    code: str = Field(description="Código estável, para programas.", examples=["validation_error"])
    details: list[FieldError] | dict[str, Any] | list[Any] | None = None


class Message(Answer):
    """Calls that only report that they were done."""

    message: str


class Status(Answer):
    """Whether the parts run."""

    is_initialized: bool
    supabase_connected: bool
    integration_service_running: bool
    watchdog_running: bool = Field(description="A supervisão está ativa.")
    errors: list[Any] = []
    start_time: datetime | None = Field(default=None, examples=["2026-01-31T12:00:00Z"])


class Stats(Status):
    """Status, figures and the supervision tree."""

    uptime: float = Field(description="Milissegundos.", examples=[86_400_000])
    timestamp: datetime
    memory: dict[str, Any] = {}
    platform: Any = None
    queue: dict[str, Any] | None = Field(
        default=None,
        description="null enquanto o diário não está disponível.",
        examples=[{"pending": 0, "oldestPendingSeconds": 0.0, "deadLetters": 0, "drainRate": 12.5}],
    )
    media: dict[str, int] | None = Field(
        default=None,
        description="Arquivos de mensagens das últimas duas semanas, por estado.",
        examples=[{"pending": 0, "available": 12, "failed": 0}],
    )
    connections: list[dict[str, Any]] = Field(
        default=[], examples=[[{"id": _CONNECTION_EXAMPLE, "status": "connected", "sent": 3}]]
    )
    supabase: dict[str, Any] = Field(
        default={}, examples=[{"p50Ms": 3.1, "p95Ms": 5.0, "p99Ms": 9.7}]
    )
    send_success_rate: float | None = Field(default=None, examples=[0.998])
    tree: Any = None


class SelfTestResults(Answer):
    """One boolean per part."""

    supabase: bool
    integration: bool
    watchdog: bool
    message_queue: bool


class Check(Answer):
    """One step of the self-test."""

    name: str
    ok: bool
    duration_ms: float
    error: str | None = Field(default=None, description="O que está errado.")
    action: str | None = Field(default=None, description="O que fazer.")


class SelfTest(Answer):
    """The self-test's outcome."""

    success: bool
    results: SelfTestResults
    checks: list[Check]


class TemporaryConnectionCreated(Answer):
    """The temporary connection."""

    connection_id: str = Field(examples=["teste-3f9a1c20"])
    message: str


class ConnectionCreated(Answer):
    """A connection that was just created."""

    connection_id: str = Field(examples=[_CONNECTION_EXAMPLE])
    name: str = Field(examples=["Loja Centro"])
    status: str = Field(examples=["connecting"])
    qr_code: str | None = None


class Connection(Answer):
    """A connection in a list."""

    id: str = Field(examples=[_CONNECTION_EXAMPLE])
    name: str = Field(examples=["Loja Centro"])
    is_connected: bool
    status: str = Field(examples=["connected"])
    phone_number: str | None = Field(default=None, examples=["5511987654321"])
    last_seen: datetime | None = None
    owner_id: UUID = Field(examples=[UUID_EXAMPLE])
    company_id: UUID | None = None


class ConnectionDetail(Connection):
    """A connection with its QR code and what supervision knows of it."""

    qr_code: str | None = None


class Qr(Answer):
    """The current QR code; all null while connected."""

    connection_id: str = Field(examples=[_CONNECTION_EXAMPLE])
    qr_code: str | None = Field(description="O conteúdo do QR code.")
    qr_code_png: str | None = Field(description="data:image/png;base64,…")
    is_connected: bool
    expires_at: datetime | None = None


class Sent(Answer):
    """What became of a message to send."""

    message_id: str = Field(examples=["3EB0C431C26A1916E07A"])
    status: str = Field(description="sent ou queued", examples=["sent"])
    sent_at: datetime | None = None


class MediaRetried(Answer):
    """A file that is being fetched again."""

    id: UUID
    state: str = Field(examples=["pending"])


class SupabaseStats(Answer):
    """How Supabase does."""

    is_healthy: bool
    queue_stats: Any
    timestamp: datetime


class QueueCleared(Answer):
    """Dead letters that were archived."""

    message: str
    archived: int


class Alive(Answer):
    """The process answers."""

    status: Literal["alive"]


Row = dict[str, Any]
