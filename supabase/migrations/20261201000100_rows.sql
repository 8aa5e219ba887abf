-- A row is a stranger's input. Row-level security lets every signed-in user write rows of the four
-- tables, and whatever a row names (a connection, an atendimento, an id that the runtime will want)
-- may be another owner's. So whose a connection is stands where users cannot write, triggers refuse
-- rows that reach over to another owner, and no statement follows a reference without comparing owners.
--
-- Also here: what a person called a customer stays, and one clock orders a conversation.

-- What WhatsApp last said of the name; `nome_cliente` follows it as long as no person wrote another.
alter table public.whatsapp_atendimentos add column if not exists nome_whatsapp text;

-- --- whose a connection is

-- `owners_before`: whose it was before. What the journal still holds of theirs may come later.
create table if not exists zapvisor.connections (
    connection_id text primary key,
    owner_id uuid not null,
    owners_before uuid[] not null default '{}'
);

revoke all on zapvisor.connections from public, anon, authenticated;
grant select, insert, update on zapvisor.connections to service_role;

do $$
begin
    -- As the tables themselves: an installation may know its owners from elsewhere.
    if not exists (
        select from pg_catalog.pg_constraint
        where conrelid = 'zapvisor.connections'::regclass and contype = 'f'
    ) and exists (
        select from pg_catalog.pg_constraint
        where conrelid = 'public.whatsapp_sessions'::regclass
          and contype = 'f' and confrelid = 'auth.users'::regclass
    ) then
        alter table zapvisor.connections
            add foreign key (owner_id) references auth.users (id) on delete cascade;
    end if;
end
$$;

-- A user may have written any of these rows; so only where they all name one owner it is believed,
-- and only until the runtime says otherwise.
insert into zapvisor.connections (connection_id, owner_id)
select s.connection_id, (array_agg(s.owner_id))[1]
from public.whatsapp_sessions s
where s.connection_id is not null
group by s.connection_id
having count(distinct s.owner_id) = 1
   and not exists (
       select from public.whatsapp_atendimentos a
       where a.connection_id = s.connection_id and a.owner_id <> (array_agg(s.owner_id))[1]
   )
on conflict do nothing;

-- Notes whose the connections of a batch are; tells whether there was anything new. The runtime, which registers them and gives each id
-- away once, is the authority: a session says whose its connection is now. So does anything else of an
-- owner not heard of before, for messages may pass a queue in which the session waits; but not what
-- comes late of an owner whose it is no longer.
create or replace function zapvisor.claim(items zapvisor.item[]) returns boolean
language plpgsql volatile
set search_path = ''
as $$
declare
    claim record;
    changed boolean := false;
begin
    for claim in
        with pair as (
            select i.connection_id, i.owner_id,
                   max(i.ordinality) filter (where i.kind = 'session') as told,
                   max(i.ordinality) as last
            from unnest(items) with ordinality as i
            where i.connection_id is not null and i.owner_id is not null
            group by i.connection_id, i.owner_id
        )
        select p.* from pair p
        where exists (
            select from pair q
            left join zapvisor.connections c on c.connection_id = q.connection_id
            where q.connection_id = p.connection_id
              and c.owner_id is distinct from q.owner_id
              and (q.told is not null or not coalesce(q.owner_id = any (c.owners_before), false))
        )
        order by p.connection_id, p.told nulls first, p.last
    loop
        insert into zapvisor.connections as known (connection_id, owner_id)
        values (claim.connection_id, claim.owner_id)
        on conflict (connection_id) do update
        set owner_id = excluded.owner_id,
            owners_before = (known.owner_id || array_remove(known.owners_before, excluded.owner_id))[:8]
        where known.owner_id <> excluded.owner_id
          and (claim.told is not null or not excluded.owner_id = any (known.owners_before));
        changed := true;
    end loop;
    return changed;
end
$$;

-- --- what a row may not reach over to

-- A connection that nobody has is anybody's to name: such a row gains nothing by it later, for every
-- statement compares owners. The service role may still bring what was written while it was another's.
-- Refusals are 23514: should the runtime itself ever meet one, it sets that item aside and goes on.

-- For rows that are new; once for each statement, for the ingest inserts many at a time.
create or replace function zapvisor.check_new_rows() returns trigger
language plpgsql
security definer
set search_path = ''
set enable_seqscan = off
as $$
declare
    is_runtime boolean := current_setting('role') = 'service_role';
begin
    if exists (
        select from (select distinct r.connection_id, r.owner_id from fresh r) as r
        join zapvisor.connections c on c.connection_id = r.connection_id
        where c.owner_id <> r.owner_id and not (is_runtime and r.owner_id = any (c.owners_before))
    ) then
        raise exception 'the connection of a row of % belongs to another owner', tg_table_name
            using errcode = 'check_violation';
    end if;
    return null;
end
$$;

create or replace function zapvisor.check_new_messages() returns trigger
language plpgsql
security definer
set search_path = ''
set enable_seqscan = off
as $$
declare
    is_runtime boolean := current_setting('role') = 'service_role';
begin
    if exists (
        select from (select distinct r.connection_id, r.owner_id from fresh r) as r
        join zapvisor.connections c on c.connection_id = r.connection_id
        where c.owner_id <> r.owner_id and not (is_runtime and r.owner_id = any (c.owners_before))
    ) or exists (  -- found by their ids and nothing else, and compared afterwards; see atendimentos_of
        with theirs as materialized (
            select a.id, a.owner_id from public.whatsapp_atendimentos a
            where a.id = any (array(select distinct r.atendimento_id from fresh r))
        )
        select from theirs a join fresh r on r.atendimento_id = a.id where r.owner_id <> a.owner_id
    ) then
        raise exception 'the connection or the atendimento of a row of % belongs to another owner', tg_table_name
            using errcode = 'check_violation';
    end if;
    return null;
end
$$;

-- For rows whose owner or references change; not for those that are as they were, however they are.
create or replace function zapvisor.check_changed_row() returns trigger
language plpgsql
security definer
set search_path = ''
set enable_seqscan = off
as $$
declare
    is_runtime boolean := current_setting('role') = 'service_role';
begin
    if new.owner_id is distinct from old.owner_id then
        raise exception 'a row of % cannot move to another owner', tg_table_name
            using errcode = 'check_violation';
    end if;
    if tg_table_name = 'whatsapp_configuracoes' then
        return new;
    end if;
    if new.connection_id is distinct from old.connection_id and exists (
        select from zapvisor.connections c
        where c.connection_id = new.connection_id and c.owner_id <> new.owner_id
          and not (is_runtime and new.owner_id = any (c.owners_before))
    ) then
        raise exception 'the connection of a row of % belongs to another owner', tg_table_name
            using errcode = 'check_violation';
    end if;
    if tg_table_name = 'whatsapp_mensagens' then
        if new.atendimento_id is distinct from old.atendimento_id and exists (
            select from public.whatsapp_atendimentos a
            where a.id = new.atendimento_id and a.owner_id <> new.owner_id
        ) then
            raise exception 'the atendimento of a row of % belongs to another owner', tg_table_name
                using errcode = 'check_violation';
        end if;
    end if;
    return new;
end
$$;

create or replace trigger zapvisor_check_new_rows after insert on public.whatsapp_sessions
    referencing new table as fresh
    for each statement execute function zapvisor.check_new_rows();
create or replace trigger zapvisor_check_new_rows after insert on public.whatsapp_atendimentos
    referencing new table as fresh
    for each statement execute function zapvisor.check_new_rows();
create or replace trigger zapvisor_check_new_rows after insert on public.whatsapp_mensagens
    referencing new table as fresh
    for each statement execute function zapvisor.check_new_messages();

create or replace trigger zapvisor_check_changed_row before update on public.whatsapp_sessions
    for each row
    when (new.owner_id is distinct from old.owner_id or new.connection_id is distinct from old.connection_id)
    execute function zapvisor.check_changed_row();
create or replace trigger zapvisor_check_changed_row before update on public.whatsapp_atendimentos
    for each row
    when (new.owner_id is distinct from old.owner_id or new.connection_id is distinct from old.connection_id)
    execute function zapvisor.check_changed_row();
create or replace trigger zapvisor_check_changed_row before update on public.whatsapp_mensagens
    for each row
    when (new.owner_id is distinct from old.owner_id or new.connection_id is distinct from old.connection_id
        or new.atendimento_id is distinct from old.atendimento_id)
    execute function zapvisor.check_changed_row();
create or replace trigger zapvisor_check_changed_row before update on public.whatsapp_configuracoes
    for each row
    when (new.owner_id is distinct from old.owner_id)
    execute function zapvisor.check_changed_row();

-- --- times

-- A time that can be believed: not before the epoch, not more than a clock's error ahead of now.
-- Any other (infinity, the year 5000) becomes the time of arrival, which is the only one known.
create or replace function zapvisor.believed(moment timestamptz) returns timestamptz
language sql stable
as $$
    select case
        when moment between '1970-01-01 00:00+00' and now() + interval '5 minutes' then moment
        when moment is not null then now()
    end
$$;

-- The same for every row, whoever writes it; the arguments name the columns. A clock that is wrong is
-- no offence, so nothing is refused. Called for such rows alone: the triggers' conditions cost little.
create or replace function zapvisor.mend_times() returns trigger
language plpgsql
set search_path = ''
as $$
declare
    facts jsonb := to_jsonb(new);
    mended jsonb := '{}';
    name text;
begin
    foreach name in array tg_argv loop
        if (facts ->> name)::timestamptz
            not between '1970-01-01 00:00+00' and now() + interval '5 minutes'
        then
            mended := mended || jsonb_build_object(name, now());
        end if;
    end loop;
    return jsonb_populate_record(new, mended);
end
$$;

do $$
declare
    watched record;
begin
    for watched in
        select * from (values
            ('whatsapp_sessions', array['connected_at', 'disconnected_at', 'created_at', 'updated_at']),
            ('whatsapp_atendimentos',
                array['data_inicio', 'data_fim', 'ultima_mensagem', 'created_at', 'updated_at']),
            ('whatsapp_mensagens', array['timestamp', 'status_em', 'created_at']),
            ('whatsapp_configuracoes', array['created_at', 'updated_at'])
        ) as v (table_name, columns)
    loop
        execute format(
            'create or replace trigger zapvisor_mend_times before insert or update on public.%I
             for each row when (%s) execute function zapvisor.mend_times(%s)',
            watched.table_name,
            (select string_agg(format(
                'new.%I not between ''1970-01-01 00:00+00'' and now() + interval ''5 minutes''', c), ' or ')
             from unnest(watched.columns) as c),
            (select string_agg(quote_literal(c), ', ') from unnest(watched.columns) as c)
        );
    end loop;
end
$$;

-- --- names

-- Whether somebody may be called so: blanks, points and marks that nobody sees are no name.
create or replace function zapvisor.is_name(name text) returns boolean
language sql immutable
as $$
    select coalesce(name ~ '[^\s\u0001-\u002F\u003A-\u0040\u005B-\u0060\u007B-\u00A9\u00AB-\u00B9\u00BB-\u00BF\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F\u2000-\u206F\u2800\u3000-\u3003\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFFC\uFFFD]', false)
$$;

-- What a customer is called after WhatsApp says `news`: that, while nobody wrote anything else.
create or replace function zapvisor.name_after(news text, name text, before text) returns text
language sql immutable
as $$
    select case
        when not zapvisor.is_name(news) then name
        when coalesce(name, '') !~ '\S' or name = before then news
        else name
    end
$$;

-- --- messages

-- As before, but that claims are noted (an expression, not a statement of its own: the ingest is
-- counted in statements), and owners and connections compared: an id that is held by a row of anybody else is
-- {"result": "refused", "code": "id_taken"}, and nothing is touched for it.
create or replace function zapvisor.ingest_messages(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off  -- a plan cached while the tables were small must not scan them later
as $$
declare
    is_news boolean;
    -- The customers who have a new message, and the atendimento of each.
    owners uuid[];
    connections text[];
    numbers text[];
    places uuid[];
    inserted uuid[];
    results jsonb;
begin
    is_news := zapvisor.claim(items);

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
                   zapvisor.believed((array_agg(i."timestamp" order by i.ordinality))[1]) as began
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
                (owner_id, connection_id, company_id, numero_cliente, nome_cliente, nome_whatsapp, foto_url,
                 status, data_inicio, ultima_mensagem)
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
        select distinct on (i.id) i.*, u.place, zapvisor.believed(i."timestamp") as moment
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
        select p.id, p.owner_id, p.place, p.connection_id, p.conteudo, p.tipo, p.remetente, p.moment,
               coalesce(p.lida, false), p.whatsapp_id, p.status,
               case when p.status is not null then p.moment end,
               p.midia_url, p.midia_tipo, p.midia_nome, p.midia_tamanho, p.seq, p.dados
        from placed p
        order by p.ordinality
        on conflict (id) do nothing
        returning id
    )
    select array_agg(id) into inserted from stored;

    update public.whatsapp_atendimentos a
    set ultima_mensagem = case
            when a.ultima_mensagem > now() + interval '5 minutes' then news.latest
            else greatest(a.ultima_mensagem, news.latest)
        end,
        nome_cliente = zapvisor.name_after(news.name, a.nome_cliente, a.nome_whatsapp),
        nome_whatsapp = coalesce(news.name, a.nome_whatsapp)
    from (
        select i.owner_id, i.connection_id, i.numero_cliente,
               max(zapvisor.believed(i."timestamp")) as latest,
               (array_agg(i.nome_cliente order by i.ordinality desc)
                   filter (where i.remetente = 'CLIENTE' and zapvisor.is_name(i.nome_cliente)))[1] as name
        from unnest(items) with ordinality as i
        where i.kind = 'message' and i.id = any (inserted)
        group by i.owner_id, i.connection_id, i.numero_cliente
    ) as news
    join unnest(owners, connections, numbers, places) as u (owner_id, connection_id, number, place)
        on u.owner_id = news.owner_id and u.connection_id = news.connection_id and u.number = news.numero_cliente
    where a.id = u.place
      and (news.latest > a.ultima_mensagem or a.ultima_mensagem > now() + interval '5 minutes'
           or zapvisor.name_after(news.name, a.nome_cliente, a.nome_whatsapp) is distinct from a.nome_cliente
           or coalesce(news.name, a.nome_whatsapp) is distinct from a.nome_whatsapp);

    select jsonb_object_agg(i.ordinality, case
        when m.id is not null
            and (m.owner_id <> i.owner_id or m.connection_id is distinct from i.connection_id)
        then jsonb_build_object('result', 'refused', 'code', 'id_taken', 'atendimento_id', null)
        else jsonb_build_object(
            'result', case when i.occurrence = 1 and i.id = any (inserted) then 'inserted' else 'duplicate' end,
            'atendimento_id', m.atendimento_id)
    end)
    into results
    from (
        select u.id, u.owner_id, u.connection_id, u.ordinality,
               row_number() over (partition by u.id order by u.ordinality) as occurrence
        from unnest(items) with ordinality as u
        where u.kind = 'message'
    ) as i
    left join public.whatsapp_mensagens m on m.id = i.id;
    if jsonb_path_exists(results, '$.* ? (@.result != "refused" && @.atendimento_id == null)') then
        raise exception 'a message was deleted while its batch was stored'
            using errcode = 'serialization_failure';
    end if;
    return results;
end
$$;

-- As before; an id that is held by a row of anybody else is refused as in ingest_messages.
create or replace function zapvisor.ingest_placed(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    is_news boolean;
    inserted uuid[];
    results jsonb;
begin
    is_news := zapvisor.claim(items);

    perform from public.whatsapp_atendimentos a
    where a.id in (select i.atendimento_id from unnest(items) as i where i.kind = 'placed')
    order by a.id
    for no key update;

    with placed as (
        select distinct on (i.id) i.*, zapvisor.believed(i."timestamp") as moment
        from unnest(items) with ordinality as i
        join public.whatsapp_atendimentos a on a.id = i.atendimento_id and a.owner_id = i.owner_id
        where i.kind = 'placed'
        order by i.id, i.ordinality
    ),
    stored as (
        insert into public.whatsapp_mensagens
            (id, owner_id, atendimento_id, connection_id, conteudo, tipo, remetente, "timestamp", lida,
             whatsapp_id, status, status_em, midia_url, midia_tipo, midia_nome, midia_tamanho, ordem, dados)
        select p.id, p.owner_id, p.atendimento_id, p.connection_id, p.conteudo, p.tipo, p.remetente,
               p.moment, coalesce(p.lida, false), p.whatsapp_id, p.status,
               case when p.status is not null then p.moment end,
               p.midia_url, p.midia_tipo, p.midia_nome, p.midia_tamanho, p.seq, p.dados
        from placed p
        order by p.ordinality
        on conflict (id) do nothing
        returning id
    )
    select array_agg(id) into inserted from stored;

    update public.whatsapp_atendimentos a
    set ultima_mensagem = case
            when a.ultima_mensagem > now() + interval '5 minutes' then news.latest
            else greatest(a.ultima_mensagem, news.latest)
        end,
        tags = case
            when news.tags is null or a.tags @> news.tags then a.tags
            -- What is not an array is somebody else's format and stays as it is.
            when a.tags is null or jsonb_typeof(a.tags) = 'null' then news.tags
            when jsonb_typeof(a.tags) = 'array' then a.tags || news.tags
            else a.tags
        end
    from (
        select i.owner_id, i.atendimento_id, max(zapvisor.believed(i."timestamp")) as latest,
               jsonb_agg(distinct i.tag) filter (where i.tag ~ '\S') as tags
        from unnest(items) as i
        where i.kind = 'placed' and i.id = any (inserted)
        group by i.owner_id, i.atendimento_id
    ) as news
    where a.id = news.atendimento_id and a.owner_id = news.owner_id;

    select jsonb_object_agg(i.ordinality, case
        when m.id is not null
            and (m.owner_id <> i.owner_id or m.connection_id is distinct from i.connection_id)
        then jsonb_build_object('result', 'refused', 'code', 'id_taken', 'atendimento_id', null)
        else jsonb_build_object(
            'result', case when i.occurrence = 1 and i.id = any (inserted) then 'inserted'
                           when m.id is not null then 'duplicate'
                           else 'ignored' end,
            'atendimento_id', m.atendimento_id)
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

-- --- statuses

-- As before, for messages of the owner and the connection that the item names. (Those of an earlier
-- release name none: their ids were made by the runtime.)
--
-- When WhatsApp has taken a message of ours, its time is WhatsApp's, as that of a customer's message
-- is: clocks that differ must not put an answer before its question. WhatsApp counts seconds; so a
-- message of the same second stays where it was shown, and one that moves comes after what the journal
-- had before it.
create or replace function zapvisor.ingest_statuses(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    moving uuid[];
    moments timestamptz[];
    before timestamptz[];
    places uuid[];
    moved bigint[];
    results jsonb;
begin
    select array_agg(m.id), array_agg(s."at"), array_agg(m."timestamp"), array_agg(m.atendimento_id)
    into moving, moments, before, places
    from (
        select distinct on (i.id) i.id, i.owner_id, i.connection_id, i."at"
        from unnest(items) with ordinality as i
        where i.kind = 'status' and i.status = 'sent' and i."at" = zapvisor.believed(i."at")
        order by i.id, i.ordinality
    ) as s
    join public.whatsapp_mensagens m on m.id = s.id
        and m.owner_id = coalesce(s.owner_id, m.owner_id)
        and m.connection_id is not distinct from coalesce(s.connection_id, m.connection_id)
    where m.remetente <> 'CLIENTE'
      and zapvisor.status_rank(m.status) < zapvisor.status_rank('sent')
      and date_trunc('second', m."timestamp") <> date_trunc('second', s."at");

    if moving is not null then  -- atendimentos before messages, as everybody locks them
        perform from public.whatsapp_atendimentos a
        where a.id = any (places)
        order by a.id
        for no key update;
    end if;
    perform from public.whatsapp_mensagens m
    where m.id in (select i.id from unnest(items) as i where i.kind = 'status')
    order by m.id
    for no key update;

    if moving is not null then
        update public.whatsapp_mensagens m
        set "timestamp" = coalesce((
            select max(o."timestamp") + interval '1 microsecond' from public.whatsapp_mensagens o
            where o.atendimento_id = m.atendimento_id and o.ordem < m.ordem
              and o."timestamp" >= u.moment
              and o."timestamp" < date_trunc('second', u.moment) + interval '999999 microseconds'
        ), u.moment)
        from unnest(moving, moments) as u (id, moment)
        where m.id = u.id;

        update public.whatsapp_atendimentos a
        set ultima_mensagem = coalesce(p.latest, a.ultima_mensagem)
        from (
            select u.id, max(u.before) as before, (
                select max(m."timestamp") from public.whatsapp_mensagens m
                where m.atendimento_id = u.id and m."timestamp" <= now() + interval '5 minutes'
            ) as latest
            from unnest(places, before) as u (id, before)
            group by u.id
        ) as p
        where a.id = p.id
          and (a.ultima_mensagem <= greatest(p.before, p.latest)
               or a.ultima_mensagem > now() + interval '5 minutes');
    end if;

    with furthest as (
        select distinct on (i.id) i.id, i.owner_id, i.connection_id, i.status, i.error, i."at", i.ordinality
        from unnest(items) with ordinality as i
        where i.kind = 'status'
        order by i.id, zapvisor.status_rank(i.status) desc, i.ordinality
    ),
    done as (
        update public.whatsapp_mensagens m
        set status = f.status,
            status_em = coalesce(zapvisor.believed(f."at"), now()),
            erro = case f.status when 'failed' then f.error end
        from furthest f
        where m.id = f.id and zapvisor.status_rank(f.status) > zapvisor.status_rank(m.status)
          and m.owner_id = coalesce(f.owner_id, m.owner_id)
          and m.connection_id is not distinct from coalesce(f.connection_id, m.connection_id)
        returning f.ordinality
    )
    select array_agg(ordinality) into moved from done;

    select jsonb_object_agg(i.ordinality, jsonb_build_object(
        'result', case when i.ordinality = any (moved) then 'updated' else 'ignored' end,
        'atendimento_id', (
            select m.atendimento_id from public.whatsapp_mensagens m
            where m.id = i.id and m.owner_id = coalesce(i.owner_id, m.owner_id)
              and m.connection_id is not distinct from coalesce(i.connection_id, m.connection_id))
    ))
    into results
    from unnest(items) with ordinality as i
    where i.kind = 'status';
    return results;
end
$$;

-- --- reading

-- As before, for the messages of the owner alone: a row of theirs may hang in anybody's atendimento.
create or replace function zapvisor.ingest_reads(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    results jsonb;
begin
    with reads as (
        select i.ordinality, t.owner_id, t.connection_id, t.atendimento_id, t."timestamp"
        from unnest(items) with ordinality as i
        join public.whatsapp_mensagens t on t.id = i.id and t.owner_id = i.owner_id
            -- Rows of the earlier system have no connection.
            and coalesce(t.connection_id = i.connection_id, true)
        join public.whatsapp_atendimentos a on a.id = t.atendimento_id and a.owner_id = t.owner_id
        where i.kind = 'read'
    ),
    due as (  -- locked in the order in which statuses lock them
        select m.id from public.whatsapp_mensagens m
        where m.remetente = 'CLIENTE' and not coalesce(m.lida, false)
          and exists (
            select from reads r
            where r.atendimento_id = m.atendimento_id and m."timestamp" <= r."timestamp"
              and r.owner_id = m.owner_id and coalesce(r.connection_id = m.connection_id, true)
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

-- --- contacts

-- As before. A name that a person wrote, on any of the atendimentos that become one, goes before one
-- that WhatsApp told; only the owner's own messages move.
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
                set ultima_mensagem = o.latest,
                    nome_cliente = coalesce(o.given, o.told),
                    nome_whatsapp = o.told,
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
                    select max(zapvisor.believed(x.ultima_mensagem)) as latest,
                           -- Written by a person; in rows from before the column it may be.
                           (array_agg(x.nome_cliente order by x.place)
                               filter (where x.nome_cliente ~ '\S'
                                   and x.nome_cliente is distinct from x.nome_whatsapp))[1] as given,
                           (array_agg(x.nome_whatsapp order by x.place)
                               filter (where x.nome_whatsapp is not null))[1] as told,
                           max(x.foto_url) filter (where x.place > 1) as picture,
                           max(x.prioridade) as priority,
                           (array_agg(x.atendente_id) filter (where x.atendente_id is not null))[1] as attendant,
                           bool_or(x.status = 'EM_ATENDIMENTO' or x.atendente_id is not null)
                               filter (where x.place > 1) as attended,
                           (select jsonb_agg(distinct t)
                            from public.whatsapp_atendimentos y
                            cross join jsonb_array_elements(
                                case jsonb_typeof(y.tags) when 'array' then y.tags else '[]' end) as t
                            where y.id = any (opened[2:])) as tags
                    from (
                        select a.*, array_position(opened, a.id) as place
                        from public.whatsapp_atendimentos a where a.id = any (opened)
                    ) as x
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
        if zapvisor.is_name(contact.nome_cliente) or contact.foto_url is not null then
            spelled := zapvisor.spellings(contact.numero_cliente);
            theirs := array(
                select t.id from zapvisor.atendimentos_of(spelled[1], spelled[2]) as t
                where t.owner_id = contact.owner_id and t.connection_id = contact.connection_id
            );
            update public.whatsapp_atendimentos a
            set nome_cliente = zapvisor.name_after(contact.nome_cliente, a.nome_cliente, a.nome_whatsapp),
                nome_whatsapp = case
                    when zapvisor.is_name(contact.nome_cliente) then contact.nome_cliente
                    else a.nome_whatsapp
                end,
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

-- --- sessions

-- As before, for the connection's owner. A row of anybody else that holds its id loses it: whoever
-- wrote it first must not keep the connection from having a row, nor give it theirs (its name, its
-- phone, what they had read of it) when the connection was theirs before.
create or replace function zapvisor.ingest_sessions(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    is_news boolean;
    results jsonb;
begin
    perform pg_advisory_xact_lock(c.key)
    from (
        select distinct hashtextextended('session ' || i.connection_id, 0) as key
        from unnest(items) as i
        where i.kind = 'session'
        order by key
    ) as c;

    is_news := zapvisor.claim(items);

    update public.whatsapp_sessions r
    set connection_id = null, status = 'disconnected', qr_code = null
    from zapvisor.connections c
    where r.connection_id in (select i.connection_id from unnest(items) as i where i.kind = 'session')
      and c.connection_id = r.connection_id and c.owner_id <> r.owner_id;

    begin
        with told as (
            select i.*, coalesce(i.owner_id, c.owner_id) as whose
            from unnest(items) with ordinality as i
            left join zapvisor.connections c on c.connection_id = i.connection_id
            -- What an owner before said of it is over.
            where i.kind = 'session' and coalesce(i.owner_id = c.owner_id, true)
        ),
        step as (
            select t.*, s.id as row_id,
                   lag(t.status, 1, s.status) over (partition by t.connection_id order by t.ordinality) as before
            from told t
            left join lateral (
                select r.id, r.status from public.whatsapp_sessions r
                where r.connection_id = t.connection_id and r.owner_id = t.whose
                order by r.updated_at desc, r.id
                limit 1
            ) as s on true
        ),
        outcome as (
            select s.row_id, s.connection_id, s.whose as owner_id,
                   max(s.ordinality) as ordinality,
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
            group by s.row_id, s.connection_id, s.whose
        ),
        updated as (
            update public.whatsapp_sessions r
            set status = o.status,
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
            select o.connection_id, o.owner_id, coalesce(o.session_name, o.connection_id), o.status,
                   o.qr_code, o.phone_number, o.whatsapp_id, o.whatsapp_info, o.connected_at,
                   o.disconnected_at
            from outcome o
            where o.row_id is null
        )
        select jsonb_object_agg(i.ordinality, jsonb_build_object(
            'result', case when o.ordinality is null then 'ignored'
                           when o.row_id is null then 'inserted'
                           else 'updated' end,
            'atendimento_id', null
        ))
        into results
        from unnest(items) with ordinality as i
        left join outcome o on o.ordinality = i.ordinality
        where i.kind = 'session';
    exception
        when unique_violation then
            -- Somebody else wrote the id meanwhile. Called again, the row is there to lose it.
            if exists (
                select from public.whatsapp_sessions r
                join zapvisor.connections c on c.connection_id = r.connection_id
                where c.owner_id <> r.owner_id
                  and r.connection_id in (
                      select i.connection_id from unnest(items) as i where i.kind = 'session')
            ) then
                raise exception 'another owner wrote a connection_id while its session was stored'
                    using errcode = 'serialization_failure';
            end if;
            raise;
    end;
    return results;
end
$$;

-- --- files

-- As before, for messages of the owner and the connection that an item names; whatever `dados` is.
create or replace function public.zapvisor_media(items jsonb) returns uuid[]
language sql volatile
set search_path = ''
as $$
    with item as (
        select * from jsonb_to_recordset(items)
            as i (id uuid, owner_id uuid, connection_id text, midia jsonb, tipo text, nome text, tamanho integer)
    ),
    changed as (
        update public.whatsapp_mensagens m
        set dados = jsonb_set(
                case jsonb_typeof(m.dados) when 'object' then m.dados else '{}' end,
                '{midia}',
                case jsonb_typeof(m.dados -> 'midia') when 'object' then m.dados -> 'midia' else '{}' end
                    || i.midia
            ),
            midia_tipo = coalesce(i.tipo, m.midia_tipo),
            midia_nome = coalesce(i.nome, m.midia_nome),
            midia_tamanho = coalesce(i.tamanho, m.midia_tamanho)
        from item i
        where m.id = i.id
          and m.owner_id = coalesce(i.owner_id, m.owner_id)
          and m.connection_id is not distinct from coalesce(i.connection_id, m.connection_id)
        returning m.id
    )
    select coalesce(array_agg(id), '{}') from changed
$$;

revoke all on function
    zapvisor.claim(zapvisor.item[]), zapvisor.check_new_rows(), zapvisor.check_new_messages(),
    zapvisor.check_changed_row(), zapvisor.believed(timestamptz), zapvisor.mend_times(),
    zapvisor.is_name(text), zapvisor.name_after(text, text, text)
    from public, anon, authenticated;
grant execute on function
    zapvisor.claim(zapvisor.item[]), zapvisor.believed(timestamptz), zapvisor.is_name(text),
    zapvisor.name_after(text, text, text)
    to service_role;

notify pgrst, 'reload schema';
