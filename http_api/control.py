"""Answers about the system itself: status, figures, self-test, the supervision tree."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from .schemas import Answer

_AT = "2026-03-01T12:00:00.123456+00:00"
Milliseconds = Annotated[
    float | None, Field(description="Milissegundos; null enquanto não há medidas.", examples=[3.1])
]


class Status(Answer):
    """Se as partes estão em execução."""

    is_initialized: Annotated[bool, Field(description="A árvore está em execução.")]
    supabase_connected: Annotated[bool, Field(description="O Supabase responde.")]
    integration_service_running: Annotated[
        bool, Field(description="A parte do WhatsApp está em execução.")
    ]
    watchdog_running: Annotated[bool, Field(description="A supervisão está ativa.")]
    errors: Annotated[
        list[str], Field(description="O que não está bem, uma frase por parte.", examples=[[]])
    ]
    start_time: Annotated[
        datetime | None, Field(description="Quando o processo começou.", examples=[_AT])
    ] = None


class Memory(Answer):
    """Memória em uso, em bytes."""

    rss: Annotated[int, Field(description="Deste processo.", examples=[94_371_840])]
    children_rss: Annotated[
        int, Field(description="Dos processos que ele iniciou.", examples=[188_743_680])
    ] = 0


class CommitTimes(Answer):
    """Quanto dura uma gravação em disco."""

    p50: Milliseconds = None
    p99: Milliseconds = None


class Queue(Answer):
    """A fila durável: accepted = stored + pending + deadLetters + archived."""

    accepted: Annotated[int, Field(description="Aceitas desde sempre.", examples=[1042])]
    stored: Annotated[int, Field(description="Gravadas no Supabase.", examples=[1040])]
    pending: Annotated[int, Field(description="Ainda na fila.", examples=[2])]
    dead_letters: Annotated[int, Field(description="Rejeitadas, à espera.", examples=[0])]
    archived: Annotated[int, Field(description="Rejeitadas e arquivadas.", examples=[0])] = 0
    oldest_pending_seconds: Annotated[
        float | None, Field(description="Idade da mais antiga da fila.", examples=[0.4])
    ] = None
    drain_rate: Annotated[
        float, Field(description="Linhas gravadas por segundo, no último minuto.", examples=[12.5])
    ]
    outbox: Annotated[
        dict[str, int], Field(description="Envios por estado.", examples=[{"sent": 310}])
    ]
    file_bytes: Annotated[int, Field(description="Tamanho do arquivo.", examples=[4_194_304])] = 0
    commit_ms: Annotated[CommitTimes, Field(description="Gravações em disco.")]


class ResponseTimes(Answer):
    """Como o Supabase responde."""

    calls: Annotated[int, Field(description="Chamadas.", examples=[520])] = 0
    failures: Annotated[int, Field(description="Chamadas sem sucesso.", examples=[0])] = 0
    p50_ms: Annotated[Milliseconds, Field(alias="p50Ms")] = None
    p95_ms: Annotated[Milliseconds, Field(alias="p95Ms")] = None
    p99_ms: Annotated[Milliseconds, Field(alias="p99Ms")] = None


class Counters(Answer):
    """O que houve com uma conexão desde que o processo começou."""

    id: Annotated[str, Field(description="A conexão.", examples=["loja-centro"])]
    status: Annotated[str, Field(description="O estado.", examples=["connected"])]
    received: Annotated[int, Field(description="Mensagens recebidas.", examples=[120])] = 0
    sent: Annotated[int, Field(description="Mensagens enviadas.", examples=[80])] = 0
    failed: Annotated[int, Field(description="Envios recusados.", examples=[0])] = 0
    sockets: Annotated[int, Field(description="Vezes que se conectou.", examples=[1])] = 0
    disconnects: Annotated[int, Field(description="Vezes que se desconectou.", examples=[0])] = 0


class Exit(Answer):
    """Como um filho terminou da última vez."""

    kind: Annotated[
        str,
        Field(
            description="normal, stopped, crashed, parked, escalated ou fatal.",
            examples=["crashed"],
        ),
    ]
    reason: Annotated[str | None, Field(description="Por quê.", examples=["bridge: EOF"])] = None
    code: Annotated[str | None, Field(description="Código estável, se houver.")] = None


class TreeNode(Answer):
    """Um filho da árvore de supervisão, com os seus."""

    name: Annotated[str, Field(description="Nome.", examples=["zapvisor"])]
    path: Annotated[str, Field(description="Caminho desde a raiz.", examples=["zapvisor"])]
    kind: Annotated[str, Field(description="worker ou supervisor.", examples=["supervisor"])] = ""
    state: Annotated[
        str,
        Field(
            description="waiting, starting, running, draining (termina o que tem em mãos), "
            "stopping, backoff, parked, stopped, done ou abandoned.",
            examples=["running"],
        ),
    ]
    incarnation: Annotated[int, Field(description="Quantas vezes começou.", examples=[1])] = 0
    restarts: Annotated[int, Field(description="Reinícios automáticos.", examples=[0])] = 0
    since: Annotated[
        datetime | None, Field(description="Início do estado atual.", examples=[_AT])
    ] = None
    next_restart_at: Annotated[
        datetime | None, Field(description="Quando será a próxima tentativa.")
    ] = None
    last_exit: Annotated[Exit | None, Field(description="null: nunca terminou.")] = None
    children: Annotated[
        list[TreeNode], Field(description="Os filhos, na ordem de início.", examples=[[]])
    ]


class Stats(Status):
    """O estado, os números e a árvore de supervisão."""

    uptime: Annotated[float, Field(description="Milissegundos.", examples=[86_400_000])]
    timestamp: Annotated[datetime, Field(description="Agora.", examples=[_AT])]
    memory: Annotated[Memory, Field(description="Memória em uso.")]
    platform: Annotated[str, Field(description="O sistema.", examples=["Linux-6.1-x86_64"])]
    versions: Annotated[
        dict[str, str | None],
        Field(description="Das partes principais.", examples=[{"zapvisor": "0.1.0"}]),
    ]
    queue: Annotated[
        Queue | None, Field(description="null enquanto o diário não está disponível.")
    ] = None
    media: Annotated[
        dict[str, int] | None,
        Field(
            description="Arquivos de mensagens das últimas duas semanas, por estado.",
            examples=[{"pending": 0, "available": 12, "failed": 0}],
        ),
    ] = None
    webhooks: Annotated[
        dict[str, int] | None,
        Field(
            description="Quantos há, falham agora, estão desativados.",
            examples=[{"total": 1, "failing": 0, "disabled": 0}],
        ),
    ] = None
    connections: Annotated[list[Counters], Field(description="Cada conexão.")]
    active_connections: Annotated[int, Field(description="As conectadas.", examples=[1])] = 0
    supabase: Annotated[ResponseTimes, Field(description="Os tempos de resposta.")]
    send_success_rate: Annotated[
        float | None,
        Field(description="Dos envios com desfecho, a parte aceita.", examples=[0.998]),
    ] = None
    tree: Annotated[TreeNode, Field(description="A árvore de supervisão.")]


class SelfTestResults(Answer):
    """Cada parte, em uma palavra."""

    supabase: Annotated[bool, Field(description="Gravou e leu.")]
    integration: Annotated[bool, Field(description="A ponte do WhatsApp respondeu.")]
    watchdog: Annotated[bool, Field(description="Um filho que caiu foi reiniciado.")]
    message_queue: Annotated[bool, Field(description="O diário gravou e as contas fecham.")]


class Check(Answer):
    """Um passo do autoteste."""

    name: Annotated[str, Field(description="A parte.", examples=["supabase"])]
    ok: Annotated[bool, Field(description="Se funcionou.")]
    duration_ms: Annotated[float, Field(description="Milissegundos.", examples=[12.5])]
    error: Annotated[str | None, Field(description="O que está errado.")] = None
    action: Annotated[str | None, Field(description="O que fazer.")] = None


class SelfTest(Answer):
    """O resultado do autoteste."""

    success: Annotated[bool, Field(description="Se tudo funcionou.")]
    results: Annotated[SelfTestResults, Field(description="Cada parte.")]
    checks: Annotated[list[Check], Field(description="Cada passo, com a sua duração.")]


class TemporaryConnectionCreated(Answer):
    """A conexão temporária."""

    connection_id: Annotated[str, Field(description="O id dela.", examples=["teste-3f9a1c20"])]
    message: Annotated[str, Field(description="Para pessoas.", examples=["Conexão criada."])]


class SupabaseStats(Answer):
    """Como está o Supabase."""

    is_healthy: Annotated[bool, Field(description="Se responde.")]
    queue_stats: Annotated[
        Queue | dict[str, Any] | None,
        Field(description="A fila; vazio para quem não é admin, null sem o diário."),
    ]
    response_times: Annotated[
        ResponseTimes | None, Field(description="Só com uma chave admin.")
    ] = None
    timestamp: Annotated[datetime, Field(description="Agora.", examples=[_AT])]


class QueueCleared(Answer):
    """Mensagens rejeitadas que foram arquivadas."""

    message: Annotated[str, Field(description="Para pessoas.", examples=["Arquivadas."])]
    archived: Annotated[int, Field(description="Quantas.", examples=[0])]


class Alive(Answer):
    """O processo responde."""

    status: Annotated[Literal["alive"], Field(description="Sempre assim.")]


class Ready(Answer):
    """Cada parte, e se está pronta."""

    journal: Annotated[bool, Field(description="O diário está em execução.")]
    storage: Annotated[bool, Field(description="O gravador está em execução.")]
    whatsapp: Annotated[bool, Field(description="A parte do WhatsApp está em execução.")]
    journal_state: Annotated[
        str, Field(description="available, ou por que não.", examples=["available"])
    ]
    supabase: Annotated[bool, Field(description="Responde; uma queda não impede o resto.")]
    supabase_error: Annotated[
        str | None,
        Field(
            description="Por que não serve, como código; as frases estão em `errors` de /status.",
            examples=["network"],
        ),
    ] = None
