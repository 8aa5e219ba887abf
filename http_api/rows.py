"""Rows of the tables, as the API answers them: column names, further columns may appear.

They are shown as they are stored. Whoever may write a row chooses what is in its JSON columns, and
times that PostgreSQL has and others have not (``infinity``, the year 10000).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from .schemas import UUID_EXAMPLE

_AT = "2026-03-01T12:00:00.123456+00:00"
_CONVERSATION = "0d8c3a52-64b7-4b36-9d3d-5a1c9e3b7f10"

Id = Annotated[UUID, Field(description="Id da linha.", examples=[_CONVERSATION])]
Owner = Annotated[UUID, Field(description="O dono, em auth.users.", examples=[UUID_EXAMPLE])]
Company = Annotated[UUID | None, Field(description="A empresa, se houver.", examples=[None])]
ConnectionOf = Annotated[
    str | None, Field(description="A conexão; null em linhas antigas.", examples=["loja-centro"])
]
CreatedAt = Annotated[datetime, Field(description="Quando a linha foi criada.", examples=[_AT])]
UpdatedAt = Annotated[datetime, Field(description="A última alteração.", examples=[_AT])]


class TableRow(BaseModel):
    """Base of rows; an installation may have columns of its own."""

    model_config = ConfigDict(extra="allow")


class SessionRow(TableRow):
    """Uma linha de `whatsapp_sessions`: um número e o seu estado."""

    id: Id
    owner_id: Owner
    session_name: Annotated[str, Field(description="Nome da conexão.", examples=["Loja Centro"])]
    status: Annotated[
        Literal["disconnected", "connecting", "connected", "error"],
        Field(description="Como está.", examples=["connected"]),
    ]
    qr_code: Annotated[str | None, Field(description="O QR code a ler, se houver.")] = None
    connected_at: Annotated[
        datetime | None, Field(description="Quando se conectou.", examples=[_AT])
    ] = None
    disconnected_at: Annotated[datetime | None, Field(description="Quando se desconectou.")] = None
    created_at: CreatedAt
    updated_at: UpdatedAt
    connection_id: ConnectionOf = None
    phone_number: Annotated[
        str | None, Field(description="O número, só dígitos.", examples=["5511987654321"])
    ] = None
    whatsapp_id: Annotated[
        str | None, Field(description="O JID do número.", examples=["5511987654321@s.whatsapp.net"])
    ] = None
    whatsapp_info: Annotated[
        Any,
        Field(description="O que o WhatsApp diz do número.", examples=[{"name": "Loja"}]),
    ] = None


class AtendimentoRow(TableRow):
    """Uma linha de `whatsapp_atendimentos`: uma conversa, do começo ao fim."""

    id: Id
    owner_id: Owner
    company_id: Company = None
    numero_cliente: Annotated[
        str, Field(description="Só dígitos, ou o JID de um grupo.", examples=["5511987654321"])
    ]
    nome_cliente: Annotated[
        str | None, Field(description="Como o cliente se apresenta.", examples=["Maria"])
    ] = None
    status: Annotated[
        Literal["AGUARDANDO", "EM_ATENDIMENTO", "FINALIZADO", "CANCELADO"],
        Field(description="Em que passo está.", examples=["AGUARDANDO"]),
    ]
    data_inicio: Annotated[datetime, Field(description="A primeira mensagem.", examples=[_AT])]
    data_fim: Annotated[datetime | None, Field(description="Quando terminou.")] = None
    ultima_mensagem: Annotated[datetime, Field(description="A mais recente.", examples=[_AT])]
    atendente_id: Annotated[UUID | None, Field(description="Quem atende.")] = None
    prioridade: Annotated[int | None, Field(description="Maior é antes.", examples=[1])] = None
    tags: Annotated[Any, Field(description="Etiquetas.", examples=[["vip"]])] = None
    observacoes: Annotated[str | None, Field(description="Notas da equipe.")] = None
    canal: Annotated[str | None, Field(description="Por onde veio.", examples=["whatsapp"])] = None
    created_at: CreatedAt
    updated_at: UpdatedAt
    connection_id: ConnectionOf = None
    foto_url: Annotated[str | None, Field(description="A foto do cliente, se houver.")] = None


class MessageRow(TableRow):
    """Uma linha de `whatsapp_mensagens`."""

    id: Id
    owner_id: Owner
    atendimento_id: Annotated[UUID, Field(description="A conversa.", examples=[_CONVERSATION])]
    conteudo: Annotated[
        str, Field(description="O texto, ou a legenda do arquivo.", examples=["Bom dia!"])
    ]
    tipo: Annotated[
        Literal["TEXTO", "IMAGEM", "VIDEO", "AUDIO", "DOCUMENTO", "STICKER", "SISTEMA"],
        Field(description="O que é.", examples=["TEXTO"]),
    ]
    remetente: Annotated[
        Literal["CLIENTE", "ATENDENTE", "SISTEMA"],
        Field(description="Quem escreveu.", examples=["CLIENTE"]),
    ]
    timestamp: Annotated[datetime, Field(description="A hora no WhatsApp.", examples=[_AT])]
    lida: Annotated[bool | None, Field(description="Se a equipe leu.", examples=[False])] = None
    midia_url: Annotated[
        str | None, Field(description="Endereço do arquivo, atrás da credencial.")
    ] = None
    midia_tipo: Annotated[str | None, Field(description="Tipo MIME do arquivo.")] = None
    midia_nome: Annotated[str | None, Field(description="Nome do arquivo.")] = None
    midia_tamanho: Annotated[int | None, Field(description="Bytes do arquivo.")] = None
    created_at: CreatedAt
    connection_id: ConnectionOf = None
    whatsapp_id: Annotated[
        str | None,
        Field(description="O id da mensagem no WhatsApp.", examples=["3EB0C431C26A1916E07A"]),
    ] = None
    status: Annotated[
        Literal["queued", "sent", "delivered", "read", "played", "failed"] | None,
        Field(description="Das enviadas: até onde chegou; null nas recebidas."),
    ] = None
    status_em: Annotated[datetime | None, Field(description="Quando chegou até aí.")] = None
    erro: Annotated[str | None, Field(description="Por que não foi enviada.")] = None
    ordem: Annotated[
        int | None, Field(description="Desempata mensagens do mesmo instante.", examples=[1042])
    ] = None
    dados: Annotated[
        Any,
        Field(
            description="O que o tipo tem a mais: localização, contatos, enquete, reações, mídia.",
            examples=[{"midia": {"estado": "available"}}],
        ),
    ] = None


class RobotRow(TableRow):
    """Uma linha de `whatsapp_configuracoes`: um robô."""

    id: Id
    owner_id: Owner
    company_id: Company = None
    nome: Annotated[str, Field(description="Nome do robô.", examples=["Robô da loja"])]
    mensagem_boas_vindas: Annotated[
        str, Field(description="Enviada no começo.", examples=["Olá! Bem-vindo à Loja Centro."])
    ]
    mensagem_menu: Annotated[
        str, Field(description="As opções, uma por linha.", examples=["1 - Vendas\n2 - Suporte"])
    ]
    mensagem_despedida: Annotated[
        str, Field(description="Enviada no fim.", examples=["Obrigado pelo contato. Até logo!"])
    ]
    tempo_resposta: Annotated[
        int | None, Field(description="Segundos à espera de uma resposta.", examples=[300])
    ] = None
    max_tentativas: Annotated[
        int | None, Field(description="Respostas erradas até um atendente.", examples=[3])
    ] = None
    ativo: Annotated[bool | None, Field(description="Se responde.", examples=[True])] = None
    created_at: CreatedAt
    updated_at: UpdatedAt
