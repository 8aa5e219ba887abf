-- What the runtime calls: zapvisor_ingest and zapvisor_schema_version, for the service role only.
-- Their parts live in the schema `zapvisor`, which PostgREST does not expose.

create schema if not exists zapvisor;
grant usage on schema zapvisor to service_role;

-- An item of a batch: the union of the keys of every kind. A missing key is null.
do $$
begin
    if to_regtype('zapvisor.item') is null then
        create type zapvisor.item as (
            kind text, seq bigint, id uuid, owner_id uuid, connection_id text, status text,
            -- message
            company_id uuid, numero_cliente text, nome_cliente text, conteudo text, tipo text,
            remetente text, "timestamp" timestamptz, lida boolean, whatsapp_id text, midia_url text,
            midia_tipo text, midia_nome text, midia_tamanho integer, dados jsonb,
            -- status and session
            "at" timestamptz, error text, session_name text, phone_number text, whatsapp_info jsonb,
            qr_code text
        );
    end if;
end
$$;

-- All atendimentos of a customer under two numbers (the other may be null), of whatever owner: found by
-- the numbers and nothing else, so that there is but one index for it. Knowing the owner, that it is open,
-- or that the newest is wanted, the planner may take an index by which it walks through all that the
-- owner has open: while the table is young each is as good, and it stays with its choice. So what else is
-- asked of them is asked afterwards, of a materialized expression. (A function to be joined, not one to be
-- called for each customer: that one would be planned anew for each, which costs ten times the look-up.)
create or replace function zapvisor.atendimentos_of(number text, other text)
returns setof public.whatsapp_atendimentos
language sql stable
as $$
    with theirs as materialized (
        select * from public.whatsapp_atendimentos where numero_cliente in (number, other)
    )
    select * from theirs
$$;

-- The open atendimento of a customer on a connection: the newest; no row where there is none.
create or replace function zapvisor.open_atendimentos(owner uuid, connection text, number text)
returns table (id uuid)
language sql stable
as $$
    select t.id from zapvisor.atendimentos_of(number, null) as t
    where t.owner_id = owner and t.connection_id = connection
      and t.status in ('AGUARDANDO', 'EM_ATENDIMENTO')
    order by t.ultima_mensagem desc, t.id
    limit 1
$$;

-- Finds, adopts or opens the atendimento of every new message, and inserts the messages.
-- Returns {"<position in items>": {"result": …, "atendimento_id": …}}, as the next two functions do.
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
                (owner_id, connection_id, company_id, numero_cliente, nome_cliente, foto_url, status,
                 data_inicio, ultima_mensagem)
            select f.owner_id, f.connection_id, f.company_id, f.numero_cliente, k.nome_cliente, k.foto_url,
                   case f.remetente when 'ATENDENTE' then 'EM_ATENDIMENTO' else 'AGUARDANDO' end,
                   f.began, f.began
            from fresh f
            left join lateral (  -- known from the last time
                select t.nome_cliente, t.foto_url from zapvisor.atendimentos_of(f.numero_cliente, null) as t
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
    set ultima_mensagem = greatest(a.ultima_mensagem, news.latest),
        nome_cliente = coalesce(news.name, a.nome_cliente)
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
      and (news.latest > a.ultima_mensagem or news.name <> coalesce(a.nome_cliente, ''));

    select jsonb_object_agg(i.ordinality, jsonb_build_object(
        'result', case when i.occurrence = 1 and i.id = any (inserted) then 'inserted' else 'duplicate' end,
        'atendimento_id', (select m.atendimento_id from public.whatsapp_mensagens m where m.id = i.id)
    ))
    into results
    from (
        select u.id, u.ordinality, row_number() over (partition by u.id order by u.ordinality) as occurrence
        from unnest(items) with ordinality as u
        where u.kind = 'message'
    ) as i;
    if jsonb_path_exists(results, '$.* ? (@.atendimento_id == null)') then
        raise exception 'a message was deleted while its batch was stored'
            using errcode = 'serialization_failure';
    end if;
    return results;
end
$$;

-- How far a message got. A failure outranks `sent` (it may follow it) but no proof of delivery.
create or replace function zapvisor.status_rank(status text) returns integer
language sql immutable
as $$
    select coalesce(array_position(
        array['queued', 'sent', 'failed', 'delivered', 'read', 'played'], status), 0)
$$;

-- Moves the status of messages, only ever forward; of several for one message the furthest counts.
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

    with furthest as (
        select distinct on (i.id) i.id, i.status, i.error, i."at", i.ordinality
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
        returning f.ordinality
    )
    select array_agg(ordinality) into moved from done;

    select jsonb_object_agg(i.ordinality, jsonb_build_object(
        'result', case when i.ordinality = any (moved) then 'updated' else 'ignored' end,
        'atendimento_id', (select m.atendimento_id from public.whatsapp_mensagens m where m.id = i.id)
    ))
    into results
    from unnest(items) with ordinality as i
    where i.kind = 'status';
    return results;
end
$$;

-- Brings the row of each connection to its last state in the batch. Facts about the phone that an
-- item leaves out stay; the QR code is always the item's.
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

-- Stores a batch of the journal: one call, one transaction, safe to repeat.
--
-- `items` is an array in journal order; each item has `kind` ('message', 'status' or 'session') and
-- `seq`. Returns an array of the same order and length:
--   {"seq": …, "result": "inserted|duplicate|updated|ignored", "atendimento_id": uuid or null}
-- A faulty item fails the call as a whole with the SQLSTATE of its fault; an unknown kind or message
-- status, or a missing part of the customer's key, is 22023. 40001: call again.
create or replace function public.zapvisor_ingest(items jsonb) returns jsonb
language plpgsql volatile
set search_path = ''
as $$
declare
    batch zapvisor.item[] := array(
        select i from jsonb_populate_recordset(null::zapvisor.item, items) as i
    );
    refused zapvisor.item;
    kinds text[];
    results jsonb := '{}';
begin
    select i.* into refused
    from unnest(batch) as i
    where case i.kind
        when 'message' then i.owner_id is null or i.connection_id is null or i.numero_cliente is null
        when 'session' then i.connection_id is null
        when 'status' then zapvisor.status_rank(i.status) = 0
        else true
    end
    limit 1;
    if found then
        raise exception 'zapvisor_ingest cannot take item % of kind %', refused.seq, refused.kind
            using errcode = 'invalid_parameter_value',
                  detail = 'Kinds are message (with owner_id, connection_id and numero_cliente), '
                      'session (with connection_id) and status (of a known value).';
    end if;

    kinds := array(select distinct i.kind from unnest(batch) as i);
    if 'message' = any (kinds) then
        results := results || zapvisor.ingest_messages(batch);
    end if;
    if 'status' = any (kinds) then  -- after the messages they may be about
        results := results || zapvisor.ingest_statuses(batch);
    end if;
    if 'session' = any (kinds) then
        results := results || zapvisor.ingest_sessions(batch);
    end if;

    return (
        select coalesce(jsonb_agg(
            jsonb_build_object('seq', i.seq) || (results -> i.ordinality::text) order by i.ordinality
        ), '[]')
        from unnest(batch) with ordinality as i
    );
end
$$;

create or replace function public.zapvisor_schema_version() returns integer
language sql immutable
set search_path = ''
as $$ select 1 $$;

revoke all on function
    public.zapvisor_ingest(jsonb),
    public.zapvisor_schema_version(),
    zapvisor.ingest_messages(zapvisor.item[]),
    zapvisor.ingest_statuses(zapvisor.item[]),
    zapvisor.ingest_sessions(zapvisor.item[]),
    zapvisor.atendimentos_of(text, text), zapvisor.open_atendimentos(uuid, text, text),
    zapvisor.status_rank(text)
    from public, anon, authenticated;
grant execute on function
    public.zapvisor_ingest(jsonb),
    public.zapvisor_schema_version(),
    zapvisor.ingest_messages(zapvisor.item[]),
    zapvisor.ingest_statuses(zapvisor.item[]),
    zapvisor.ingest_sessions(zapvisor.item[]),
    zapvisor.atendimentos_of(text, text), zapvisor.open_atendimentos(uuid, text, text),
    zapvisor.status_rank(text)
    to service_role;

-- PostgREST learns of new tables and functions at once.
notify pgrst, 'reload schema';
