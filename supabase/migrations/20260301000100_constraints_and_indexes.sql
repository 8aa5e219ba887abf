-- Widens CHECK constraints that refuse values zapvisor writes (in the field `tipo` may lack STICKER
-- and SISTEMA), and adds the indexes.

-- The old expression stays, `or` the values it refused: what was allowed remains allowed. NOT VALID
-- because a wider check holds for every row the narrower one let in, so there is nothing to scan.
do $$
declare
    needed record;
    found record;
    accepted boolean;
begin
    for needed in
        select * from (values
            ('whatsapp_sessions', 'status', array['disconnected', 'connecting', 'connected', 'error']),
            ('whatsapp_atendimentos', 'status',
                array['AGUARDANDO', 'EM_ATENDIMENTO', 'FINALIZADO', 'CANCELADO']),
            ('whatsapp_mensagens', 'tipo',
                array['TEXTO', 'IMAGEM', 'VIDEO', 'AUDIO', 'DOCUMENTO', 'STICKER', 'SISTEMA']),
            ('whatsapp_mensagens', 'remetente', array['CLIENTE', 'ATENDENTE', 'SISTEMA']),
            ('whatsapp_mensagens', 'status',
                array['queued', 'sent', 'delivered', 'read', 'played', 'failed'])
        ) as v (table_name, column_name, allowed)
    loop
        for found in
            select c.conname, c.conrelid, pg_get_expr(c.conbin, c.conrelid) as expression
            from pg_catalog.pg_constraint c
            join pg_catalog.pg_attribute a on a.attrelid = c.conrelid and a.attname = needed.column_name
            where c.conrelid = to_regclass(format('public.%I', needed.table_name))
              and c.contype = 'c'
              and c.conkey = array[a.attnum]
        loop
            execute format(
                'select coalesce(bool_and(%s), true) from unnest($1) as sample (%I)',
                found.expression, needed.column_name
            ) into accepted using needed.allowed;
            if not accepted then
                execute format('alter table public.%I drop constraint %I',
                    needed.table_name, found.conname);
                execute format('alter table public.%I add constraint %I check ((%s) or %I = any (%L::text[])) not valid',
                    needed.table_name, found.conname, found.expression,
                    needed.column_name, needed.allowed);
            end if;
        end loop;
    end loop;
end
$$;

-- One row per connection. Where old rows already share an id the index cannot be unique: they are
-- kept, and zapvisor_ingest writes to the newest of them.
do $$
begin
    if not exists (
        select from pg_catalog.pg_index i
        join pg_catalog.pg_attribute a
            on a.attrelid = i.indrelid and a.attname = 'connection_id' and a.attnum = i.indkey[0]
        where i.indrelid = 'public.whatsapp_sessions'::regclass
          and i.indisunique and i.indnkeyatts = 1 and i.indpred is null
    ) then
        if exists (
            select from public.whatsapp_sessions
            where connection_id is not null
            group by connection_id having count(*) > 1
        ) then
            raise warning 'whatsapp_sessions has rows that share a connection_id: its index is not unique';
            create index if not exists zapvisor_sessions_connection
                on public.whatsapp_sessions (connection_id);
        else
            create unique index zapvisor_sessions_connection_key
                on public.whatsapp_sessions (connection_id);
        end if;
    end if;
end
$$;

create index if not exists zapvisor_sessions_owner
    on public.whatsapp_sessions (owner_id);

create index if not exists zapvisor_atendimentos_active
    on public.whatsapp_atendimentos (owner_id, ultima_mensagem desc)
    where status in ('AGUARDANDO', 'EM_ATENDIMENTO');

-- Finds what a customer has open, and what is known of them from earlier. By the number first: of the
-- indexes that an owner's rows could be found by as well, the planner takes one that is as good while
-- the table is young, and then stays with it. Not unique: front ends reopen closed ones by a plain
-- update, and that must go on working; zapvisor_ingest itself never opens a second one.
create index if not exists zapvisor_atendimentos_number
    on public.whatsapp_atendimentos (numero_cliente, owner_id, data_inicio desc);

create index if not exists zapvisor_mensagens_history
    on public.whatsapp_mensagens (atendimento_id, "timestamp", ordem);
