-- The four tables, as the earlier system knows them.
--
-- Empty project: creates them. Existing installation: leaves tables, columns, constraints and rows
-- as they are. Only a table created here gets foreign keys to `companies` and `employees`, and only
-- when those exist: on tables with rows an added constraint could refuse what is already there.

do $$
declare
    created text[] := '{}';
    fresh text;
    reference record;
begin
    if to_regclass('public.whatsapp_sessions') is null then
        create table public.whatsapp_sessions (
            id uuid primary key default gen_random_uuid(),
            owner_id uuid not null references auth.users (id) on delete cascade,
            session_name text not null,
            status text not null default 'disconnected'
                check (status in ('disconnected', 'connecting', 'connected', 'error')),
            qr_code text,
            connected_at timestamptz,
            disconnected_at timestamptz,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now()
        );
        created := array_append(created, 'whatsapp_sessions');
    end if;

    if to_regclass('public.whatsapp_atendimentos') is null then
        create table public.whatsapp_atendimentos (
            id uuid primary key default gen_random_uuid(),
            owner_id uuid not null references auth.users (id) on delete cascade,
            company_id uuid,
            numero_cliente text not null,
            nome_cliente text,
            status text not null default 'AGUARDANDO'
                check (status in ('AGUARDANDO', 'EM_ATENDIMENTO', 'FINALIZADO', 'CANCELADO')),
            data_inicio timestamptz not null default now(),
            data_fim timestamptz,
            ultima_mensagem timestamptz not null default now(),
            atendente_id uuid,
            prioridade integer default 1,
            tags jsonb,
            observacoes text,
            canal text default 'whatsapp',
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now()
        );
        created := array_append(created, 'whatsapp_atendimentos');
    end if;

    if to_regclass('public.whatsapp_mensagens') is null then
        create table public.whatsapp_mensagens (
            id uuid primary key default gen_random_uuid(),
            owner_id uuid not null references auth.users (id) on delete cascade,
            atendimento_id uuid not null
                references public.whatsapp_atendimentos (id) on delete cascade,
            conteudo text not null,
            tipo text not null default 'TEXTO'
                check (tipo in ('TEXTO', 'IMAGEM', 'VIDEO', 'AUDIO', 'DOCUMENTO', 'STICKER', 'SISTEMA')),
            remetente text not null check (remetente in ('CLIENTE', 'ATENDENTE', 'SISTEMA')),
            "timestamp" timestamptz not null default now(),
            lida boolean default false,
            midia_url text,
            midia_tipo text,
            midia_nome text,
            midia_tamanho integer,
            created_at timestamptz not null default now()
        );
        created := array_append(created, 'whatsapp_mensagens');
    end if;

    if to_regclass('public.whatsapp_configuracoes') is null then
        create table public.whatsapp_configuracoes (
            id uuid primary key default gen_random_uuid(),
            owner_id uuid not null references auth.users (id) on delete cascade,
            company_id uuid,
            nome text not null,
            mensagem_boas_vindas text not null,
            mensagem_menu text not null,
            mensagem_despedida text not null,
            tempo_resposta integer default 300,
            max_tentativas integer default 3,
            ativo boolean default true,
            created_at timestamptz not null default now(),
            updated_at timestamptz not null default now(),
            unique (owner_id, company_id)
        );
        created := array_append(created, 'whatsapp_configuracoes');
    end if;

    -- Row-level security decides what these two roles see; without a matching policy, nothing.
    foreach fresh in array created loop
        execute format('grant select, insert, update, delete on public.%I to anon, authenticated', fresh);
    end loop;

    for reference in
        select v.table_name, v.column_name, v.target from (values
            ('whatsapp_atendimentos', 'company_id', 'companies'),
            ('whatsapp_atendimentos', 'atendente_id', 'employees'),
            ('whatsapp_configuracoes', 'company_id', 'companies')
        ) as v (table_name, column_name, target)
        join pg_catalog.pg_constraint c on c.conrelid = to_regclass('public.' || v.target)
        join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
        where v.table_name = any (created)
          and c.contype = 'p' and a.attname = 'id' and a.atttypid = 'uuid'::regtype
    loop
        execute format(
            'alter table public.%I add foreign key (%I) references public.%I (id) on delete set null',
            reference.table_name, reference.column_name, reference.target
        );
    end loop;
end
$$;

grant select, insert, update, delete on
    public.whatsapp_sessions, public.whatsapp_atendimentos,
    public.whatsapp_mensagens, public.whatsapp_configuracoes
    to service_role;

-- What zapvisor adds. `ordem` is the journal sequence: it orders messages of one second.
alter table public.whatsapp_sessions
    add column if not exists connection_id text,
    add column if not exists phone_number text,
    add column if not exists whatsapp_id text,
    add column if not exists whatsapp_info jsonb;

alter table public.whatsapp_atendimentos
    add column if not exists connection_id text,
    add column if not exists foto_url text;

alter table public.whatsapp_mensagens
    add column if not exists connection_id text,
    add column if not exists whatsapp_id text,
    add column if not exists status text
        check (status in ('queued', 'sent', 'delivered', 'read', 'played', 'failed')),
    add column if not exists status_em timestamptz,
    add column if not exists erro text,
    add column if not exists ordem bigint,
    add column if not exists dados jsonb;
