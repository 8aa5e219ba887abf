"""Installations of the earlier system, as they are found in the field, with rows."""

from __future__ import annotations

from dataclasses import dataclass, field

OWNERS = """
insert into auth.users (id, email) values
    ('00000000-0000-4000-8000-000000000001', 'a@example.test'),
    ('00000000-0000-4000-8000-000000000002', 'b@example.test');
"""
NEIGHBOURS = """
create table public.companies (id uuid primary key, name text);
create table public.employees (id uuid primary key, name text);
insert into public.companies values ('00000000-0000-4000-8000-00000000000c', 'Loja');
insert into public.employees values ('00000000-0000-4000-8000-00000000000e', 'Ana');
"""
TABLES = """
create table public.whatsapp_sessions (
    id uuid primary key default gen_random_uuid(),
    owner_id uuid not null references auth.users(id),
    session_name text not null,
    status text not null default 'disconnected' {session_status},
    qr_code text, connected_at timestamptz, disconnected_at timestamptz,
    {session_columns}
    created_at timestamptz default now(), updated_at timestamptz default now());
create table public.whatsapp_atendimentos (
    id uuid primary key default gen_random_uuid(),
    owner_id uuid not null references auth.users(id),
    company_id uuid {companies}, numero_cliente text not null, nome_cliente text,
    status text not null default 'AGUARDANDO',
    data_inicio timestamptz not null default now(), data_fim timestamptz,
    ultima_mensagem timestamptz not null default now(), atendente_id uuid {employees},
    prioridade integer default 1, tags jsonb, observacoes text, canal text default 'whatsapp',
    created_at timestamptz default now(), updated_at timestamptz default now());
create table public.whatsapp_mensagens (
    id uuid primary key default gen_random_uuid(),
    owner_id uuid not null references auth.users(id),
    atendimento_id uuid not null references public.whatsapp_atendimentos(id) on delete cascade,
    conteudo text not null, tipo text not null default 'TEXTO' {tipo},
    remetente text not null, "timestamp" timestamptz not null default now(),
    lida boolean default false, midia_url text, midia_tipo text, midia_nome text,
    midia_tamanho integer, created_at timestamptz default now());
create table public.whatsapp_configuracoes (
    id uuid primary key default gen_random_uuid(),
    owner_id uuid not null references auth.users(id), company_id uuid {companies},
    nome text not null, mensagem_boas_vindas text not null, mensagem_menu text not null,
    mensagem_despedida text not null, tempo_resposta integer default 300,
    max_tentativas integer default 3, ativo boolean default true,
    created_at timestamptz default now(), updated_at timestamptz default now(),
    unique (owner_id, company_id));
"""
SESSION_COLUMNS = """
    connection_id text {unique}, phone_number text, whatsapp_id text, whatsapp_info jsonb,
"""
# One customer with two open atendimentos, which the earlier system let happen.
ROWS = """
insert into public.whatsapp_sessions (owner_id, session_name, status) values
    ('00000000-0000-4000-8000-000000000001', 'loja', 'connected'),
    ('00000000-0000-4000-8000-000000000001', 'loja', 'disconnected');
insert into public.whatsapp_atendimentos (id, owner_id, numero_cliente, status, ultima_mensagem)
select ('00000000-0000-4000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid,
    '00000000-0000-4000-8000-000000000001', '5511987654321',
    (array['FINALIZADO', 'AGUARDANDO', 'EM_ATENDIMENTO', 'CANCELADO'])[n],
    '2026-01-01 12:00+00'::timestamptz + n * interval '1 day'
from generate_series(1, 4) n;
insert into public.whatsapp_mensagens (owner_id, atendimento_id, conteudo, remetente)
select a.owner_id, a.id, 'mensagem ' || n, 'CLIENTE'
from public.whatsapp_atendimentos a, generate_series(1, 5) n;
insert into public.whatsapp_configuracoes
    (owner_id, nome, mensagem_boas_vindas, mensagem_menu, mensagem_despedida)
values ('00000000-0000-4000-8000-000000000001', 'Robô', 'Olá', '1 - Vendas', 'Tchau');
"""
POLICIES = """
alter table public.whatsapp_{0} enable row level security;
create policy "Users can view own {0}" on public.whatsapp_{0} for select
    using (auth.uid() = owner_id);
create policy "Users can insert own {0}" on public.whatsapp_{0} for insert
    with check (auth.uid() = owner_id);
create policy "Users can update own {0}" on public.whatsapp_{0} for update
    using (auth.uid() = owner_id);
"""
NAMES = ("sessions", "atendimentos", "mensagens", "configuracoes")


@dataclass(frozen=True)
class Earlier:
    """One variant; ``sql()`` creates it in an empty project."""

    name: str
    neighbours: bool = False
    session_columns: bool = False
    shared_connection_ids: bool = False
    narrow_checks: bool = False
    policies: bool = True
    missing: tuple[str, ...] = field(default=())

    def sql(self) -> str:
        columns = ""
        if self.session_columns:
            columns = SESSION_COLUMNS.format(unique="" if self.shared_connection_ids else "unique")
        tables = TABLES.format(
            companies="references public.companies(id)" if self.neighbours else "",
            employees="references public.employees(id)" if self.neighbours else "",
            session_columns=columns,
            session_status="check (status in ('disconnected', 'connected'))"
            if self.narrow_checks
            else "",
            tipo="check (tipo in ('TEXTO', 'IMAGEM', 'VIDEO', 'AUDIO', 'DOCUMENTO', 'LOCALIZACAO'))"
            if self.narrow_checks
            else "",
        )
        parts = [OWNERS, NEIGHBOURS if self.neighbours else "", tables, ROWS]
        if self.shared_connection_ids:
            parts.append("update public.whatsapp_sessions set connection_id = 'loja';")
        if self.policies:
            parts += [POLICIES.format(name) for name in NAMES]
        parts += [f"drop table public.whatsapp_{name} cascade;" for name in self.missing]
        return "\n".join(parts)

    def __str__(self) -> str:
        return self.name


VARIANTS = (
    Earlier("plain"),
    Earlier("with_neighbours", neighbours=True),
    Earlier("later_session_columns", session_columns=True),
    Earlier("shared_connection_ids", session_columns=True, shared_connection_ids=True),
    Earlier("narrow_checks", narrow_checks=True),
    Earlier("without_row_level_security", policies=False),
    Earlier("without_robot", neighbours=True, missing=("configuracoes",)),
)
