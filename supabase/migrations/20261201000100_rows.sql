-- A row is a stranger's input: row-level security lets every signed-in user write rows with any
-- connection, any atendimento and any time. Here the database holds a row against what it points at,
-- for every role, and the ingest touches no row but of the item's own owner and connection. Besides:
-- a name that a person wrote stays, and one clock orders a conversation.

-- --- who owns a connection

-- The runtime alone says so (ingest_sessions); whatsapp_sessions cannot, as users may write there.
-- Filled when the runtime starts its connections, not from rows of before, for the same reason.
create table if not exists zapvisor.connections (
    connection_id text primary key,
    owner_id uuid not null
);
revoke all on zapvisor.connections from public, anon, authenticated;
grant select, insert, update, delete on zapvisor.connections to service_role;

alter table public.whatsapp_atendimentos
    add column if not exists nome_whatsapp text;  -- as WhatsApp last told it; see ingest_messages

-- --- what a row may point at

-- Security definer: who writes sees neither zapvisor.connections nor the rows of other owners, and
-- would take these for absent. For each statement and not for each row: the ingest writes hundreds.
create or replace function zapvisor.check_inserted_messages() returns trigger
language plpgsql security definer
set search_path = ''
set enable_seqscan = off
as $$
declare
    named uuid[] := array(select distinct i.atendimento_id from inserted i);
begin
    if exists (
        -- Found by their ids and nothing else, so that no plan of a young table walks through all.
        with theirs as materialized (
            select a.id, a.owner_id from public.whatsapp_atendimentos a where a.id = any (named)
        )
        select from inserted i
        join theirs t on t.id = i.atendimento_id
        where t.owner_id is distinct from i.owner_id
    ) then
        raise exception 'the atendimento of a message belongs to another owner'
            using errcode = 'check_violation';
    end if;
    if exists (
        select from (select distinct n.connection_id, n.owner_id from inserted n) as i
        join zapvisor.connections c on c.connection_id = i.connection_id
        where c.owner_id is distinct from i.owner_id
    ) then
        raise exception 'the connection of a message belongs to another owner'
            using errcode = 'check_violation';
    end if;
    return null;
end
$$;

create or replace function zapvisor.check_inserted() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    if exists (
        select from (select distinct n.connection_id, n.owner_id from inserted n) as i
        join zapvisor.connections c on c.connection_id = i.connection_id
        where c.owner_id is distinct from i.owner_id
    ) then
        raise exception 'the connection of a row of % belongs to another owner', tg_table_name
            using errcode = 'check_violation';
    end if;
    return null;
end
$$;

-- Only for updates that change what a row points at: bad rows of before can still be corrected.
create or replace function zapvisor.check_moved_message() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    if exists (
        select from public.whatsapp_atendimentos a
        where a.id = new.atendimento_id and a.owner_id is distinct from new.owner_id
    ) then
        raise exception 'the atendimento of a message belongs to another owner'
            using errcode = 'check_violation';
    end if;
    if exists (
        select from zapvisor.connections c
        where c.connection_id = new.connection_id and c.owner_id is distinct from new.owner_id
    ) then
        raise exception 'the connection of a message belongs to another owner'
            using errcode = 'check_violation';
    end if;
    return new;
end
$$;

create or replace function zapvisor.check_moved() returns trigger
language plpgsql security definer
set search_path = ''
as $$
begin
    if exists (
        select from zapvisor.connections c
        where c.connection_id = new.connection_id and c.owner_id is distinct from new.owner_id
    ) then
        raise exception 'the connection of a row of % belongs to another owner', tg_table_name
            using errcode = 'check_violation';
    end if;
    return new;
end
$$;

create or replace trigger zapvisor_check_inserted after insert on public.whatsapp_mensagens
    referencing new table as inserted
    for each statement execute function zapvisor.check_inserted_messages();
create or replace trigger zapvisor_check_inserted after insert on public.whatsapp_atendimentos
    referencing new table as inserted
    for each statement execute function zapvisor.check_inserted();
create or replace trigger zapvisor_check_inserted after insert on public.whatsapp_sessions
    referencing new table as inserted
    for each statement execute function zapvisor.check_inserted();

create or replace trigger zapvisor_check_moved before update on public.whatsapp_mensagens
    for each row when (
        (old.owner_id, old.connection_id, old.atendimento_id)
        is distinct from (new.owner_id, new.connection_id, new.atendimento_id))
    execute function zapvisor.check_moved_message();
create or replace trigger zapvisor_check_moved before update on public.whatsapp_atendimentos
    for each row when (
        (old.owner_id, old.connection_id) is distinct from (new.owner_id, new.connection_id))
    execute function zapvisor.check_moved();
create or replace trigger zapvisor_check_moved before update on public.whatsapp_sessions
    for each row when (
        (old.owner_id, old.connection_id) is distinct from (new.owner_id, new.connection_id))
    execute function zapvisor.check_moved();

-- --- times

-- PostgreSQL knows infinity and the year 294276; nothing that reads rows does, and a row of such a
-- time would stand first or last for ever. Users write times of about now.
create or replace function zapvisor.refuse_time() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    raise exception 'a time of this row of % is not one of a conversation', tg_table_name
        using errcode = 'check_violation';
end
$$;

do $$
declare
    place record;
begin
    for place in
        select * from (values
            ('whatsapp_sessions', array['connected_at', 'disconnected_at', 'created_at', 'updated_at']),
            ('whatsapp_atendimentos',
                array['data_inicio', 'data_fim', 'ultima_mensagem', 'created_at', 'updated_at']),
            ('whatsapp_mensagens', array['timestamp', 'status_em', 'created_at']),
            ('whatsapp_configuracoes', array['created_at', 'updated_at'])
        ) as v (table_name, columns)
    loop
        -- Only the columns that are there, with a time zone: an installation may have others.
        execute (
            select format(
                'create or replace trigger zapvisor_check_times before insert or update on public.%I '
                'for each row when (current_user in (''anon'', ''authenticated'') and (%s)) '
                'execute function zapvisor.refuse_time()',
                place.table_name,
                string_agg(format(
                    'new.%1$I not between ''1990-01-01 00:00:00+00'' and now() + interval ''1 day''',
                    a.attname), ' or ' order by a.attnum))
            from pg_catalog.pg_attribute a
            where a.attrelid = to_regclass(format('public.%I', place.table_name))
              and a.attname = any (place.columns)
              and a.atttypid = 'timestamptz'::regtype
              and not a.attisdropped
        );
    end loop;
end
$$;

revoke all on function
    zapvisor.check_inserted_messages(), zapvisor.check_inserted(), zapvisor.check_moved_message(),
    zapvisor.check_moved(), zapvisor.refuse_time()
    from public, anon, authenticated;

-- --- what the ingest speaks of

-- Whether a time can be one of a message that has come: WhatsApp is no older, and five minutes is
-- what its clock and ours may differ by.
create or replace function zapvisor.is_plausible(moment timestamptz) returns boolean
language sql stable
as $$ select coalesce(moment between '2009-01-01 00:00:00+00' and now() + interval '5 minutes', false) $$;

-- The name after WhatsApp told another one: it follows as long as it is what WhatsApp told before. A
-- name without a letter, digit or picture (".") is better than none, and than nothing else.
create or replace function zapvisor.name_of(name text, told text, news text) returns text
language sql immutable
as $$
    select case
        when coalesce(news, '') !~ '\S' then name
        when coalesce(name, '') !~ '\S' then news
        when news ~ '^[\s[:punct:]]*$' then name
        when name = told then news
        else name
    end
$$;

-- Whether a row that is found by its id is the one that an item speaks of. Front ends of the earlier
-- system wrote rows without a connection.
create or replace function zapvisor.is_own(
    row_owner uuid, row_connection text, owner uuid, connection text
) returns boolean
language sql immutable
as $$
    select row_owner = owner and (row_connection is null or connection is null or row_connection = connection)
$$;

-- Finds, adopts or opens the atendimento of every new message, and inserts the messages. As before,
-- but: a message whose id is held by a row of another owner or connection is `refused` (`id_taken`):
-- ids can be told beforehand, and whoever comes first must not make it vanish. A time that cannot be
-- becomes that of the arrival. Names: see `name_of`.
create or replace function zapvisor.ingest_messages(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off  -- a plan cached while the tables were small must not scan them later
as $$
declare
    -- The customers who have a new message, and the atendimento of each.
    owners uuid[];
    connections text[];
    numbers text[];
    places uuid[];
    inserted uuid[];
    results jsonb;
begin
    for position in 1 .. cardinality(items) loop
        if items[position].kind = 'message' and not zapvisor.is_plausible(items[position]."timestamp") then
            items[position]."timestamp" := now();
        end if;
    end loop;

    select array_agg(c.owner_id), array_agg(c.connection_id), array_agg(c.numero_cliente), array_agg(o.id)
    into owners, connections, numbers, places
    from (
        select distinct i.owner_id, i.connection_id, i.numero_cliente
        from unnest(items) as i
        where i.kind = 'message'
          and not exists (select from public.whatsapp_mensagens m where m.id = i.id)
    ) as c
    left join lateral zapvisor.open_atendimentos(c.owner_id, c.connection_id, c.numero_cliente) as o on true;

    if array_position(places, null) is not null then
        -- One caller at a time may open an atendimento for a customer. Locks are taken in one order,
        -- so that two callers cannot wait for each other.
        perform pg_advisory_xact_lock(c.key)
        from (
            select distinct hashtextextended(owner_id || ' ' || number, 0) as key
            from unnest(owners, numbers, places) as u (owner_id, number, place)
            where place is null
            order by key
        ) as c;

        with missing as (
            select u.owner_id, u.connection_id, u.number, o.id as place
            from unnest(owners, connections, numbers, places) as u (owner_id, connection_id, number, place)
            left join lateral zapvisor.open_atendimentos(u.owner_id, u.connection_id, u.number) as o on true
            where u.place is null
        ),
        fresh as (
            select i.owner_id, i.connection_id, i.numero_cliente,
                   (array_agg(i.company_id order by i.ordinality desc) filter (where i.company_id is not null))[1] as company_id,
                   (array_agg(i.remetente order by i.ordinality))[1] as remetente,
                   (array_agg(i."timestamp" order by i.ordinality))[1] as began
            from missing c
            join unnest(items) with ordinality as i
                on i.owner_id = c.owner_id and i.connection_id = c.connection_id and i.numero_cliente = c.number
            where c.place is null and i.kind = 'message'
              and not exists (select from public.whatsapp_mensagens m where m.id = i.id)
            group by i.owner_id, i.connection_id, i.numero_cliente
        ),
        adopted as (  -- opened by the earlier system, which knew no connections
            update public.whatsapp_atendimentos a
            set connection_id = f.connection_id, company_id = coalesce(a.company_id, f.company_id)
            from fresh f
            cross join lateral (
                select t.id from zapvisor.atendimentos_of(f.numero_cliente, null) as t
                where t.owner_id = f.owner_id and t.connection_id is null
                  and t.status in ('AGUARDANDO', 'EM_ATENDIMENTO')
                order by t.ultima_mensagem desc, t.id
                limit 1
            ) as o
            -- Still so, if somebody else has just changed it.
            where a.id = o.id and a.connection_id is null and a.status not in ('FINALIZADO', 'CANCELADO')
            returning a.owner_id, a.connection_id, a.numero_cliente, a.id
        ),
        opened as (
            insert into public.whatsapp_atendimentos
                (owner_id, connection_id, company_id, numero_cliente, nome_cliente, nome_whatsapp,
                 foto_url, status, data_inicio, ultima_mensagem)
            select f.owner_id, f.connection_id, f.company_id, f.numero_cliente, k.nome_cliente,
                   k.nome_whatsapp, k.foto_url,
                   case f.remetente when 'ATENDENTE' then 'EM_ATENDIMENTO' else 'AGUARDANDO' end,
                   f.began, f.began
            from fresh f
            left join lateral (  -- known from the last time
                select t.nome_cliente, t.nome_whatsapp, t.foto_url
                from zapvisor.atendimentos_of(f.numero_cliente, null) as t
                where t.owner_id = f.owner_id and t.connection_id = f.connection_id
                order by t.data_inicio desc
                limit 1
            ) as k on true
            where not exists (
                select from adopted a
                where a.owner_id = f.owner_id and a.connection_id = f.connection_id
                  and a.numero_cliente = f.numero_cliente
            )
            returning owner_id, connection_id, numero_cliente, id
        )
        select array_agg(c.owner_id), array_agg(c.connection_id), array_agg(c.number), array_agg(c.place)
        into owners, connections, numbers, places
        from (
            select * from unnest(owners, connections, numbers, places)
                as u (owner_id, connection_id, number, place) where u.place is not null
            union all select * from missing where missing.place is not null
            union all select * from adopted
            union all select * from opened
        ) as c (owner_id, connection_id, number, place);
    end if;

    perform from public.whatsapp_atendimentos a
    where a.id = any (places)
    order by a.id
    for no key update;

    -- Three statements and not one: joined common table expressions, of which the planner expects a
    -- row each, would be compared every one with every other.
    with placed as (
        select distinct on (i.id) i.*, u.place
        from unnest(items) with ordinality as i
        join unnest(owners, connections, numbers, places) as u (owner_id, connection_id, number, place)
            on u.owner_id = i.owner_id and u.connection_id = i.connection_id and u.number = i.numero_cliente
        where i.kind = 'message'
        order by i.id, i.ordinality
    ),
    stored as (
        insert into public.whatsapp_mensagens
            (id, owner_id, atendimento_id, connection_id, conteudo, tipo, remetente, "timestamp", lida,
             whatsapp_id, status, status_em, midia_url, midia_tipo, midia_nome, midia_tamanho, ordem, dados)
        select p.id, p.owner_id, p.place, p.connection_id, p.conteudo, p.tipo, p.remetente, p."timestamp",
               coalesce(p.lida, false), p.whatsapp_id, p.status,
               case when p.status is not null then p."timestamp" end,
               p.midia_url, p.midia_tipo, p.midia_nome, p.midia_tamanho, p.seq, p.dados
        from placed p
        order by p.ordinality
        on conflict (id) do nothing
        returning id
    )
    select array_agg(id) into inserted from stored;

    update public.whatsapp_atendimentos a
    set ultima_mensagem = case when zapvisor.is_plausible(a.ultima_mensagem)
                               then greatest(a.ultima_mensagem, news.latest) else news.latest end,
        nome_cliente = zapvisor.name_of(a.nome_cliente, a.nome_whatsapp, news.name),
        nome_whatsapp = coalesce(news.name, a.nome_whatsapp)
    from (
        select i.owner_id, i.connection_id, i.numero_cliente, max(i."timestamp") as latest,
               (array_agg(i.nome_cliente order by i.ordinality desc)
                   filter (where i.remetente = 'CLIENTE' and i.nome_cliente ~ '\S'))[1] as name
        from unnest(items) with ordinality as i
        where i.kind = 'message' and i.id = any (inserted)
        group by i.owner_id, i.connection_id, i.numero_cliente
    ) as news
    join unnest(owners, connections, numbers, places) as u (owner_id, connection_id, number, place)
        on u.owner_id = news.owner_id and u.connection_id = news.connection_id and u.number = news.numero_cliente
    where a.id = u.place
      and (news.latest > a.ultima_mensagem or not zapvisor.is_plausible(a.ultima_mensagem)
           or news.name <> coalesce(a.nome_whatsapp, ''));

    select jsonb_object_agg(i.ordinality, case
        when i.occurrence = 1 and i.id = any (inserted) then
            jsonb_build_object('result', 'inserted', 'atendimento_id', m.atendimento_id)
        when zapvisor.is_own(m.owner_id, m.connection_id, i.owner_id, i.connection_id) then
            jsonb_build_object('result', 'duplicate', 'atendimento_id', m.atendimento_id)
        when m.id is not null then
            jsonb_build_object('result', 'refused', 'code', 'id_taken', 'atendimento_id', null)
        end)
    into results
    from (
        select u.id, u.owner_id, u.connection_id, u.ordinality,
               row_number() over (partition by u.id order by u.ordinality) as occurrence
        from unnest(items) with ordinality as u
        where u.kind = 'message'
    ) as i
    left join public.whatsapp_mensagens m on m.id = i.id;
    if jsonb_path_exists(results, '$.* ? (@ == null)') then
        raise exception 'a message was deleted while its batch was stored'
            using errcode = 'serialization_failure';
    end if;
    return results;
end
$$;

-- As before, but what is not of the item's owner and connection is refused, as in ingest_messages.
create or replace function zapvisor.ingest_placed(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    inserted uuid[];
    results jsonb;
begin
    for position in 1 .. cardinality(items) loop
        if items[position].kind = 'placed' and not zapvisor.is_plausible(items[position]."timestamp") then
            items[position]."timestamp" := now();
        end if;
    end loop;

    perform from public.whatsapp_atendimentos a
    where a.id in (select i.atendimento_id from unnest(items) as i where i.kind = 'placed')
    order by a.id
    for no key update;

    with placed as (
        select distinct on (i.id) i.*
        from unnest(items) with ordinality as i
        join public.whatsapp_atendimentos a on a.id = i.atendimento_id
            and zapvisor.is_own(a.owner_id, a.connection_id, i.owner_id, i.connection_id)
        where i.kind = 'placed'
        order by i.id, i.ordinality
    ),
    stored as (
        insert into public.whatsapp_mensagens
            (id, owner_id, atendimento_id, connection_id, conteudo, tipo, remetente, "timestamp", lida,
             whatsapp_id, status, status_em, midia_url, midia_tipo, midia_nome, midia_tamanho, ordem, dados)
        select p.id, p.owner_id, p.atendimento_id, p.connection_id, p.conteudo, p.tipo, p.remetente,
               p."timestamp", coalesce(p.lida, false), p.whatsapp_id, p.status,
               case when p.status is not null then p."timestamp" end,
               p.midia_url, p.midia_tipo, p.midia_nome, p.midia_tamanho, p.seq, p.dados
        from placed p
        order by p.ordinality
        on conflict (id) do nothing
        returning id
    )
    select array_agg(id) into inserted from stored;

    update public.whatsapp_atendimentos a
    set ultima_mensagem = case when zapvisor.is_plausible(a.ultima_mensagem)
                               then greatest(a.ultima_mensagem, news.latest) else news.latest end,
        tags = case
            when news.tags is null or a.tags @> news.tags then a.tags
            -- What is not an array is somebody else's format and stays as it is.
            when a.tags is null or jsonb_typeof(a.tags) = 'null' then news.tags
            when jsonb_typeof(a.tags) = 'array' then a.tags || news.tags
            else a.tags
        end
    from (
        select i.atendimento_id, max(i."timestamp") as latest,
               jsonb_agg(distinct i.tag) filter (where i.tag ~ '\S') as tags
        from unnest(items) as i
        where i.kind = 'placed' and i.id = any (inserted)
        group by i.atendimento_id
    ) as news
    where a.id = news.atendimento_id;

    select jsonb_object_agg(i.ordinality, case
        when i.occurrence = 1 and i.id = any (inserted) then
            jsonb_build_object('result', 'inserted', 'atendimento_id', m.atendimento_id)
        when m.id is null then jsonb_build_object('result', 'ignored', 'atendimento_id', null)
        when zapvisor.is_own(m.owner_id, m.connection_id, i.owner_id, i.connection_id) then
            jsonb_build_object('result', 'duplicate', 'atendimento_id', m.atendimento_id)
        else jsonb_build_object('result', 'refused', 'code', 'id_taken', 'atendimento_id', null)
        end)
    into results
    from (
        select u.id, u.owner_id, u.connection_id, u.ordinality,
               row_number() over (partition by u.id order by u.ordinality) as occurrence
        from unnest(items) with ordinality as u
        where u.kind = 'placed'
    ) as i
    left join public.whatsapp_mensagens m on m.id = i.id;
    return results;
end
$$;

-- As before, of rows of the item's owner and connection; items of before name neither. What we sent
-- takes WhatsApp's time as soon as it is known: it may have waited here for hours, or by another clock.
create or replace function zapvisor.ingest_statuses(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    moved bigint[];
    results jsonb;
begin
    perform from public.whatsapp_mensagens m
    where m.id in (select i.id from unnest(items) as i where i.kind = 'status')
    order by m.id
    for no key update;

    with sent as (
        select m.id, m.atendimento_id, m."timestamp" as before, min(i."at") as "at"
        from unnest(items) as i
        join public.whatsapp_mensagens m on m.id = i.id
            and zapvisor.is_own(m.owner_id, m.connection_id, coalesce(i.owner_id, m.owner_id), i.connection_id)
        where i.kind = 'status' and i.status = 'sent' and zapvisor.is_plausible(i."at")
          and m.status = 'queued' and m.remetente <> 'CLIENTE'
        group by m.id, m.atendimento_id, m."timestamp"
    ),
    timed as (
        update public.whatsapp_mensagens m set "timestamp" = s."at" from sent s
        where m.id = s.id and m."timestamp" <> s."at"
    )
    update public.whatsapp_atendimentos a
    set ultima_mensagem = case when a.ultima_mensagem = any (s.befores) or not zapvisor.is_plausible(a.ultima_mensagem)
                               then s.latest else greatest(a.ultima_mensagem, s.latest) end
    from (
        select t.atendimento_id, max(t."at") as latest, array_agg(t.before) as befores
        from sent t group by t.atendimento_id
    ) as s
    where a.id = s.atendimento_id and a.ultima_mensagem <> s.latest;

    with furthest as (
        select distinct on (i.id) i.id, i.owner_id, i.connection_id, i.status, i.error, i."at", i.ordinality
        from unnest(items) with ordinality as i
        where i.kind = 'status'
        order by i.id, zapvisor.status_rank(i.status) desc, i.ordinality
    ),
    done as (
        update public.whatsapp_mensagens m
        set status = f.status,
            status_em = coalesce(f."at", now()),
            erro = case f.status when 'failed' then f.error end
        from furthest f
        where m.id = f.id and zapvisor.status_rank(f.status) > zapvisor.status_rank(m.status)
          and zapvisor.is_own(m.owner_id, m.connection_id, coalesce(f.owner_id, m.owner_id), f.connection_id)
        returning f.ordinality
    )
    select array_agg(ordinality) into moved from done;

    select jsonb_object_agg(i.ordinality, jsonb_build_object(
        'result', case when i.ordinality = any (moved) then 'updated' else 'ignored' end,
        'atendimento_id', (select m.atendimento_id from public.whatsapp_mensagens m where m.id = i.id
            and zapvisor.is_own(m.owner_id, m.connection_id, coalesce(i.owner_id, m.owner_id), i.connection_id))
    ))
    into results
    from unnest(items) with ordinality as i
    where i.kind = 'status';
    return results;
end
$$;

-- As before, of messages of the same owner alone.
create or replace function zapvisor.ingest_reads(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    results jsonb;
begin
    with reads as (
        select i.ordinality, i.owner_id, t.atendimento_id, t."timestamp", t.ordem
        from unnest(items) with ordinality as i
        join public.whatsapp_mensagens t on t.id = i.id and t.owner_id = i.owner_id
        join public.whatsapp_atendimentos a on a.id = t.atendimento_id and a.owner_id = i.owner_id
        where i.kind = 'read'
    ),
    due as (  -- locked in the order in which statuses lock them
        select m.id from public.whatsapp_mensagens m
        where m.remetente = 'CLIENTE' and not coalesce(m.lida, false)
          and exists (
            select from reads r
            where r.atendimento_id = m.atendimento_id and r.owner_id = m.owner_id
              and m."timestamp" <= r."timestamp"
          )
        order by m.id
        for no key update
    ),
    done as (
        update public.whatsapp_mensagens m set lida = true from due where m.id = due.id
    )
    select jsonb_object_agg(i.ordinality, jsonb_build_object(
        'result', case when r.ordinality is null then 'ignored' else 'updated' end,
        'atendimento_id', r.atendimento_id))
    into results
    from unnest(items) with ordinality as i
    left join reads r on r.ordinality = i.ordinality
    where i.kind = 'read';
    return results;
end
$$;

-- As before; names: see `name_of`. Of two that become one a person's name is kept before WhatsApp's.
create or replace function zapvisor.ingest_contacts(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    contact record;
    spelled text[];
    theirs uuid[];
    opened uuid[];
    keeper uuid;
    touched bigint;
    results jsonb := '{}';
begin
    for contact in
        select i.* from unnest(items) with ordinality as i where i.kind = 'contact' order by i.ordinality
    loop
        touched := 0;
        keeper := null;
        if contact.apelido is not null and contact.apelido <> contact.numero_cliente then
            perform pg_advisory_xact_lock(
                hashtextextended(contact.owner_id || ' ' || contact.numero_cliente, 0));
            theirs := array(
                select t.id from zapvisor.atendimentos_of(contact.apelido, contact.numero_cliente) as t
                where t.owner_id = contact.owner_id and t.connection_id = contact.connection_id
            );
            perform from public.whatsapp_atendimentos a
            where a.id = any (theirs)
            order by a.id
            for no key update;
            opened := array(
                select a.id from public.whatsapp_atendimentos a
                where a.id = any (theirs)
                  and a.numero_cliente in (contact.apelido, contact.numero_cliente)
                  and a.status not in ('FINALIZADO', 'CANCELADO')
                order by a.data_inicio, a.id
            );
            keeper := opened[1];
            if cardinality(opened) > 1 then
                update public.whatsapp_mensagens m set atendimento_id = keeper
                where m.atendimento_id = any (opened[2:]) and m.owner_id = contact.owner_id;
                update public.whatsapp_atendimentos a
                set ultima_mensagem = greatest(a.ultima_mensagem, o.latest),
                    nome_cliente = case
                        when a.nome_cliente is distinct from a.nome_whatsapp and a.nome_cliente ~ '\S'
                            then a.nome_cliente
                        else coalesce(o.written, a.nome_cliente, o.name) end,
                    nome_whatsapp = coalesce(a.nome_whatsapp, o.told),
                    foto_url = coalesce(a.foto_url, o.picture),
                    atendente_id = coalesce(a.atendente_id, o.attendant),
                    prioridade = greatest(a.prioridade, o.priority),
                    status = case when o.attended then 'EM_ATENDIMENTO' else a.status end,
                    tags = case
                        -- What is not an array is somebody else's format and stays as it is.
                        when o.tags is null or jsonb_typeof(a.tags) not in ('array', 'null') then a.tags
                        when jsonb_typeof(a.tags) = 'array' then a.tags || (
                            select coalesce(jsonb_agg(t), '[]') from jsonb_array_elements(o.tags) as t
                            where not a.tags @> t)
                        else o.tags
                    end
                from (
                    select max(x.ultima_mensagem) filter (where zapvisor.is_plausible(x.ultima_mensagem)) as latest,
                           max(x.nome_cliente) as name, max(x.nome_whatsapp) as told,
                           max(x.nome_cliente) filter (
                               where x.nome_cliente is distinct from x.nome_whatsapp and x.nome_cliente ~ '\S') as written,
                           max(x.foto_url) as picture, max(x.prioridade) as priority,
                           (array_agg(x.atendente_id) filter (where x.atendente_id is not null))[1] as attendant,
                           bool_or(x.status = 'EM_ATENDIMENTO' or x.atendente_id is not null) as attended,
                           (select jsonb_agg(distinct t)
                            from public.whatsapp_atendimentos y
                            cross join jsonb_array_elements(
                                case jsonb_typeof(y.tags) when 'array' then y.tags else '[]' end) as t
                            where y.id = any (opened[2:])) as tags
                    from public.whatsapp_atendimentos x where x.id = any (opened[2:])
                ) as o
                where a.id = keeper;
                update public.whatsapp_atendimentos a
                set status = 'CANCELADO', data_fim = now(),
                    observacoes = concat_ws(E'\n', a.observacoes, 'Unido ao atendimento ' || keeper || '.')
                where a.id = any (opened[2:]);
            end if;
            update public.whatsapp_atendimentos a set numero_cliente = contact.numero_cliente
            where a.id = any (theirs) and a.numero_cliente = contact.apelido;
            get diagnostics touched = row_count;
        end if;
        if contact.nome_cliente ~ '\S' or contact.foto_url is not null then
            spelled := zapvisor.spellings(contact.numero_cliente);
            theirs := array(
                select t.id from zapvisor.atendimentos_of(spelled[1], spelled[2]) as t
                where t.owner_id = contact.owner_id and t.connection_id = contact.connection_id
            );
            update public.whatsapp_atendimentos a
            set nome_cliente = zapvisor.name_of(a.nome_cliente, a.nome_whatsapp, contact.nome_cliente),
                nome_whatsapp = coalesce(nullif(contact.nome_cliente, ''), a.nome_whatsapp),
                foto_url = nullif(coalesce(contact.foto_url, a.foto_url), '')
            where a.id = any (theirs) and a.status not in ('FINALIZADO', 'CANCELADO');
            if found then
                touched := touched + 1;
            end if;
        end if;
        results := results || jsonb_build_object(contact.ordinality, jsonb_build_object(
            'result', case when touched > 0 then 'updated' else 'ignored' end, 'atendimento_id', keeper));
    end loop;
    return results;
end
$$;

-- As before, and says whose a connection is. The runtime is the authority over the ids of
-- connections: a row of somebody else that has one stays its owner's, without the id.
create or replace function zapvisor.ingest_sessions(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    results jsonb;
begin
    perform pg_advisory_xact_lock(c.key)
    from (
        select distinct hashtextextended('session ' || i.connection_id, 0) as key
        from unnest(items) as i
        where i.kind = 'session'
        order by key
    ) as c;

    insert into zapvisor.connections as known (connection_id, owner_id)
    select distinct on (i.connection_id) i.connection_id, i.owner_id
    from unnest(items) with ordinality as i
    where i.kind = 'session' and i.owner_id is not null
    order by i.connection_id, i.ordinality desc
    on conflict (connection_id) do update set owner_id = excluded.owner_id
    where known.owner_id <> excluded.owner_id;

    update public.whatsapp_sessions r set connection_id = null
    from zapvisor.connections c
    where c.connection_id in (select i.connection_id from unnest(items) as i where i.kind = 'session')
      and r.connection_id = c.connection_id and r.owner_id <> c.owner_id;

    with step as (
        select i.*, s.id as row_id,
               lag(i.status, 1, s.status) over (partition by i.connection_id order by i.ordinality) as before
        from unnest(items) with ordinality as i
        left join lateral (
            select r.id, r.status from public.whatsapp_sessions r
            where r.connection_id = i.connection_id
            order by r.updated_at desc, r.id
            limit 1
        ) as s on true
        where i.kind = 'session'
    ),
    outcome as (
        select s.row_id, s.connection_id,
               max(s.ordinality) as ordinality,
               (array_agg(s.owner_id order by s.ordinality desc))[1] as owner_id,
               (array_agg(s.status order by s.ordinality desc))[1] as status,
               (array_agg(s.qr_code order by s.ordinality desc))[1] as qr_code,
               (array_agg(s.session_name order by s.ordinality desc) filter (where s.session_name is not null))[1] as session_name,
               (array_agg(s.phone_number order by s.ordinality desc) filter (where s.phone_number is not null))[1] as phone_number,
               (array_agg(s.whatsapp_id order by s.ordinality desc) filter (where s.whatsapp_id is not null))[1] as whatsapp_id,
               (array_agg(s.whatsapp_info order by s.ordinality desc) filter (where s.whatsapp_info is not null))[1] as whatsapp_info,
               (array_agg(coalesce(s."at", now()) order by s.ordinality desc) filter (
                   where s.status = 'connected' and s.before is distinct from 'connected'))[1] as connected_at,
               (array_agg(coalesce(s."at", now()) order by s.ordinality desc) filter (
                   where s.status in ('disconnected', 'error')
                     and coalesce(s.before, '') not in ('disconnected', 'error')))[1] as disconnected_at
        from step s
        group by s.row_id, s.connection_id
    ),
    updated as (
        update public.whatsapp_sessions r
        set owner_id = o.owner_id,
            status = o.status,
            qr_code = o.qr_code,
            session_name = coalesce(o.session_name, r.session_name),
            phone_number = coalesce(o.phone_number, r.phone_number),
            whatsapp_id = coalesce(o.whatsapp_id, r.whatsapp_id),
            whatsapp_info = coalesce(o.whatsapp_info, r.whatsapp_info),
            connected_at = coalesce(o.connected_at, r.connected_at),
            disconnected_at = coalesce(o.disconnected_at, r.disconnected_at)
        from outcome o
        where r.id = o.row_id
    ),
    created as (
        insert into public.whatsapp_sessions
            (connection_id, owner_id, session_name, status, qr_code, phone_number, whatsapp_id,
             whatsapp_info, connected_at, disconnected_at)
        select o.connection_id, o.owner_id, coalesce(o.session_name, o.connection_id), o.status, o.qr_code,
               o.phone_number, o.whatsapp_id, o.whatsapp_info, o.connected_at, o.disconnected_at
        from outcome o
        where o.row_id is null
    )
    select jsonb_object_agg(s.ordinality, jsonb_build_object(
        'result', case when s.ordinality <> o.ordinality then 'ignored'
                       when o.row_id is null then 'inserted'
                       else 'updated' end,
        'atendimento_id', null
    ))
    into results
    from step s
    join outcome o on o.connection_id = s.connection_id;
    return results;
end
$$;

-- As before; `owner_id` of an item, where it has one, must be the row's.
create or replace function public.zapvisor_media(items jsonb) returns uuid[]
language sql volatile
set search_path = ''
as $$
    with item as (
        select * from jsonb_to_recordset(items)
            as i (id uuid, owner_id uuid, midia jsonb, tipo text, nome text, tamanho integer)
    ),
    changed as (
        update public.whatsapp_mensagens m
        set dados = jsonb_set(
                case when jsonb_typeof(m.dados) = 'object' then m.dados else '{}' end, '{midia}',
                case when jsonb_typeof(m.dados -> 'midia') = 'object' then m.dados -> 'midia' else '{}' end
                || i.midia
            ),
            midia_tipo = coalesce(i.tipo, m.midia_tipo),
            midia_nome = coalesce(i.nome, m.midia_nome),
            midia_tamanho = coalesce(i.tamanho, m.midia_tamanho)
        from item i
        where m.id = i.id and m.owner_id = coalesce(i.owner_id, m.owner_id)
        returning m.id
    )
    select coalesce(array_agg(id), '{}') from changed
$$;

revoke all on function
    zapvisor.is_plausible(timestamptz), zapvisor.name_of(text, text, text),
    zapvisor.is_own(uuid, text, uuid, text)
    from public, anon, authenticated;
grant execute on function
    zapvisor.is_plausible(timestamptz), zapvisor.name_of(text, text, text),
    zapvisor.is_own(uuid, text, uuid, text)
    to service_role;

notify pgrst, 'reload schema';
