"""Requests about atendimentos and robots, as pydantic models; see ``schemas`` for the rest."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from .rows import AtendimentoRow
from .schemas import Answer, ConnectionId, OptionalCompanyId, OwnerId, RequestBody
from .validation import custom_error

MAX_LIST = 200
MAX_TAGS = 50
MAX_NOTES = 10_000
MAX_ROBOT_TEXT = 4096

StatusName = Literal["AGUARDANDO", "EM_ATENDIMENTO", "FINALIZADO", "CANCELADO"]


def _split(value: object) -> object:
    """``?status=A,B`` is the same as ``?status=A&status=B``."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return value
    return [part.strip() for one in value for part in one.split(",") if part.strip()]


def _not_blank(value: str) -> str:
    if not value.strip():
        raise custom_error("validation_error", "Uma etiqueta não pode ser vazia.")
    return value.strip()


def _empty_means_absent(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


Statuses = Annotated[list[StatusName], BeforeValidator(_split)]
Text100 = Annotated[
    Annotated[str, Field(max_length=100)] | None, BeforeValidator(_empty_means_absent)
]
Text256 = Annotated[
    Annotated[str, Field(max_length=256)] | None, BeforeValidator(_empty_means_absent)
]
OptionalConnectionId = Annotated[ConnectionId | None, BeforeValidator(_empty_means_absent)]
OptionalId = Annotated[UUID | None, BeforeValidator(_empty_means_absent)]
OptionalMoment = Annotated[
    datetime | None,
    BeforeValidator(_empty_means_absent),
    Field(description="ISO 8601; sem fuso horário, vale UTC."),
]
OptionalName = Annotated[
    Annotated[str, Field(max_length=200), AfterValidator(str.strip)] | None,
    BeforeValidator(_empty_means_absent),
]
Tag = Annotated[str, Field(max_length=64), AfterValidator(_not_blank)]


class ChangeAtendimento(RequestBody):
    """What an attendant changes; a field that is left out stays as it is."""

    status: Annotated[
        StatusName | None,
        Field(
            description="AGUARDANDO → EM_ATENDIMENTO → FINALIZADO ou CANCELADO; nunca para trás.",
            examples=["EM_ATENDIMENTO"],
        ),
    ] = None
    atendente_id: Annotated[
        OptionalId, Field(description="Quem atende; null tira a atribuição.", examples=[None])
    ] = None
    prioridade: Annotated[
        int | None, Field(ge=0, le=1000, description="Maior é antes.", examples=[1])
    ] = None
    tags: Annotated[
        list[Tag] | None,
        Field(
            max_length=MAX_TAGS,
            description="Todas as etiquetas; null tira todas.",
            examples=[["vip", "Vendas"]],
        ),
    ] = None
    observacoes: Annotated[
        str | None,
        Field(max_length=MAX_NOTES, description="null apaga.", examples=["Cliente antigo."]),
    ] = None
    nome_cliente: Annotated[
        OptionalName,
        Field(
            description="Como a equipe chama o cliente; null volta a seguir o nome do WhatsApp.",
            examples=["João da Silva (Padaria)"],
        ),
    ] = None

    @model_validator(mode="after")
    def _changes_something(self) -> ChangeAtendimento:
        if not self.changes():
            raise custom_error(
                "nothing_to_change",
                "Informe ao menos um destes campos: status, atendenteId, prioridade, tags, "
                "observacoes ou nomeCliente.",
            )
        return self

    @field_validator("tags")
    @classmethod
    def _each_once(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else list(dict.fromkeys(value))

    def changes(self) -> dict[str, Any]:
        """The columns to change, with their values."""
        values = {name: getattr(self, name) for name in self.model_fields_set}
        for name in ("status", "prioridade"):
            if values.get(name) is None:  # null is no status and no priority
                values.pop(name, None)
        if isinstance(values.get("atendente_id"), UUID):
            values["atendente_id"] = str(values["atendente_id"])
        return values


class AtendimentoPage(Answer):
    """One page of a list."""

    items: Annotated[list[AtendimentoRow], Field(description="Linhas de whatsapp_atendimentos.")]
    next_cursor: str | None = Field(
        default=None, description="O `cursor` da próxima página; null na última."
    )


def _name(value: str) -> str:
    if not value.strip():
        raise custom_error("validation_error", "O nome não pode ser vazio.")
    return value.strip()


Name = Annotated[
    str,
    Field(max_length=100, description="Nome do robô.", examples=["Robô da loja"]),
    AfterValidator(_name),
]
Welcome = Annotated[
    str,
    Field(
        max_length=MAX_ROBOT_TEXT,
        description="Enviada quando um atendimento começa; vazia, não é enviada.",
        examples=["Olá! Bem-vindo à Loja Centro."],
    ),
]
Menu = Annotated[
    str,
    Field(
        max_length=MAX_ROBOT_TEXT,
        description="Cada linha que começa com um número é uma opção: `1 - Vendas`.",
        examples=["Escolha uma opção:\n1 - Vendas\n2 - Suporte"],
    ),
]
Goodbye = Annotated[
    str,
    Field(
        max_length=MAX_ROBOT_TEXT,
        description="Enviada quando o atendimento é FINALIZADO; vazia, não é enviada.",
        examples=["Obrigado pelo contato. Até logo!"],
    ),
]
ResponseTime = Annotated[
    int, Field(ge=1, le=86_400, description="Segundos à espera de uma resposta.", examples=[300])
]
Tries = Annotated[
    int,
    Field(ge=1, le=20, description="Respostas erradas até passar a um atendente.", examples=[3]),
]


class CreateRobot(RequestBody):
    """A robot for an owner's company, or for all of the owner's that have none of their own."""

    owner_id: OwnerId
    company_id: OptionalCompanyId = None
    nome: Name
    mensagem_boas_vindas: Welcome
    mensagem_menu: Menu
    mensagem_despedida: Goodbye
    tempo_resposta: ResponseTime = 300
    max_tentativas: Tries = 3
    ativo: Annotated[bool, Field(description="Se o robô responde.")] = True

    def values(self) -> dict[str, Any]:
        """The row to insert."""
        row = self.model_dump()
        row["owner_id"] = str(self.owner_id)
        row["company_id"] = None if self.company_id is None else str(self.company_id)
        return row


class ChangeRobot(RequestBody):
    """What changes; a field that is left out or null stays as it is."""

    nome: Name | None = None
    mensagem_boas_vindas: Welcome | None = None
    mensagem_menu: Menu | None = None
    mensagem_despedida: Goodbye | None = None
    tempo_resposta: ResponseTime | None = None
    max_tentativas: Tries | None = None
    ativo: Annotated[bool | None, Field(description="Se o robô responde.")] = None

    @model_validator(mode="after")
    def _changes_something(self) -> ChangeRobot:
        if not self.changes():
            raise custom_error("nothing_to_change", "Informe ao menos um campo para mudar.")
        return self

    def changes(self) -> dict[str, Any]:
        """The columns to change, with their values."""
        return self.model_dump(exclude_unset=True, exclude_none=True)
