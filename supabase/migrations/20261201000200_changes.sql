-- Whose word counts for a change (an edit, a deletion, a reaction), what a change does that comes
-- before its message, and what content does that comes after a change.

do $$
begin
    if not exists (
        select from pg_catalog.pg_attribute
        where attrelid = 'zapvisor.item'::regclass and attname = 'alvos'
    ) then
        -- All of the kind 'change'; each may be left out.
        alter type zapvisor.item add attribute alvos uuid[];     -- the ids its message may have, beside `alvo`
        alter type zapvisor.item add attribute proprias uuid[];  -- those of them that only its author's can have
        alter type zapvisor.item add attribute autores text[];   -- the names of its author, beside `autor`
        alter type zapvisor.item add attribute admin boolean;    -- its author administers the group
    end if;
end
$$;

-- Changes whose message is not here. Those of one owner are bounded, see `waited_enough`. Nobody but the
-- service role has a way in: the schema is not exposed.
create table if not exists zapvisor.pending_changes (
    id uuid primary key,
    owner_id uuid not null,
    connection_id text not null,
    numero_cliente text not null,
    alvos uuid[] not null,
    operacao text not null,
    autor text not null,
    valor text,
    "timestamp" timestamptz,
    seq bigint not null,
    item jsonb not null,
    espera_desde timestamptz not null default now()
);

do $$
begin
    -- As the messages themselves: an installation may know its owners from elsewhere.
    if not exists (
        select from pg_catalog.pg_constraint
        where conrelid = 'zapvisor.pending_changes'::regclass and contype = 'f'
    ) and exists (
        select from pg_catalog.pg_constraint
        where conrelid = 'public.whatsapp_mensagens'::regclass
          and contype = 'f' and confrelid = to_regclass('auth.users')
    ) then
        alter table zapvisor.pending_changes
            add foreign key (owner_id) references auth.users (id) on delete cascade;
    end if;
end
$$;

create index if not exists zapvisor_pending_changes_alvos on zapvisor.pending_changes using gin (alvos);
create index if not exists zapvisor_pending_changes_chat
    on zapvisor.pending_changes (owner_id, connection_id, numero_cliente, espera_desde, seq);
create index if not exists zapvisor_pending_changes_age
    on zapvisor.pending_changes (owner_id, espera_desde, seq);
revoke all on zapvisor.pending_changes from public, anon, authenticated;
grant select, insert, delete on zapvisor.pending_changes to service_role;

-- One name for each person: a number without domain and device, with the ninth digit; a LID without device.
create or replace function zapvisor.person(name text) returns text
language sql immutable
set search_path = ''
as $$
    select regexp_replace(
        regexp_replace(name, '(:\d+)?(@s\.whatsapp\.net|@c\.us)$|:\d+(?=@lid$)', ''),
        '^(55\d\d)([6-9]\d{7})$', '\19\2')
$$;

-- By which names the author of a change is known.
create or replace function zapvisor.names_of(change zapvisor.item) returns text[]
language sql immutable
set search_path = ''
as $$
    select array(select zapvisor.person(n) from unnest(change.autores || change.autor) as n)
$$;

-- What somebody else may have written into `dados`, where it should be a time.
create or replace function zapvisor.moment(value text) returns timestamptz
language plpgsql stable
set search_path = ''
as $$
begin
    return coalesce(value::timestamptz, '-infinity');
exception
    when data_exception then
        return '-infinity';
end
$$;

-- When a change was made, of what `dados` says of it: to be compared. Of two in one second that which came
-- first is the earlier; what cannot be read is the earliest.
create or replace function zapvisor.order_of(fact jsonb) returns numeric[]
language sql stable
set search_path = ''
as $$
    select array[
        extract(epoch from zapvisor.moment(fact ->> 'em')),
        case when jsonb_typeof(fact -> 'ordem') = 'number' then (fact ->> 'ordem')::numeric else -1 end
    ]
$$;

-- A key of `dados`, if it is what we write there; anything else is somebody else's format.
create or replace function zapvisor.part(facts jsonb, name text, kind text) returns jsonb
language sql immutable
set search_path = ''
as $$
    select case when jsonb_typeof(facts -> name) = kind then facts -> name end
$$;

-- Whether the author of a change may make it, by what the row says of who wrote it. The ids in `proprias`
-- were made from the author's own names: a message with such an id is the author's.
create or replace function zapvisor.may_change(
    target public.whatsapp_mensagens, number text, change zapvisor.item
) returns boolean
language plpgsql stable
set search_path = ''
as $$
declare
    names text[] := zapvisor.names_of(change);
    is_group boolean := change.numero_cliente like '%@g.us';
    is_own boolean := 'eu' = any (names);
    is_here boolean := zapvisor.person(number) = zapvisor.person(change.numero_cliente)
        or (not is_group and zapvisor.person(number) = any (names));
    is_author boolean := coalesce(target.id = any (change.proprias), false) or case
        when is_own then target.remetente <> 'CLIENTE'
        when target.remetente <> 'CLIENTE' or not is_here then false
        when is_group then coalesce(zapvisor.person(target.dados #>> '{participante,numero}') = any (names), false)
        else zapvisor.person(number) = any (names)
    end;
begin
    if target.connection_id is distinct from change.connection_id then
        return false;
    end if;
    return case change.operacao
        when 'reacao' then is_own or is_here
        when 'edicao' then is_author
        else is_author or (is_group and is_here and coalesce(change.admin, false))
    end;
end
$$;

-- The row as a change leaves it. Changes are ordered by when they were made, whenever they come: a late
-- one does not undo a later one, and doing one again changes nothing. What was before stays in `dados`.
create or replace function zapvisor.changed(target public.whatsapp_mensagens, change zapvisor.item)
returns public.whatsapp_mensagens
language plpgsql stable
set search_path = ''
as $$
declare
    facts jsonb := case jsonb_typeof(target.dados) when 'object' then target.dados else '{}' end;
    known jsonb;
    done jsonb := jsonb_build_object('em', change."timestamp", 'ordem', change.seq);
    theirs text[];
    place integer;
begin
    if change.operacao = 'reacao' then
        known := coalesce(zapvisor.part(facts, 'reacoes', 'object'), '{}');
        theirs := array(
            select k from jsonb_object_keys(known) as k
            where zapvisor.person(k) = any (zapvisor.names_of(change))
        );
        if exists (
            select from unnest(theirs) as k
            where zapvisor.order_of(known -> k) >= zapvisor.order_of(done)
        ) then
            return target;
        end if;
        known := known - theirs || jsonb_build_object(change.autor, done || jsonb_build_object('emoji', nullif(change.valor, '')));
        target.dados := facts || jsonb_build_object('reacoes', known);
    elsif change.operacao = 'edicao' then
        known := coalesce(zapvisor.part(facts, 'edicoes', 'array'), '[]');
        if exists (select from jsonb_array_elements(known) as e where e ->> 'id' = change.id::text) then
            return target;
        end if;
        select count(*) into place from jsonb_array_elements(known) as e
        where zapvisor.order_of(e) < zapvisor.order_of(done);
        done := done || jsonb_build_object('id', change.id);
        if place = jsonb_array_length(known) then
            known := known || jsonb_build_array(done || jsonb_build_object('antes', target.conteudo));
            target.conteudo := change.valor;
        else  -- between two: what it wrote is what the next one replaced
            done := done || jsonb_build_object('antes', known -> place -> 'antes');
            known := jsonb_set(known, array[place::text, 'antes'], to_jsonb(change.valor));
            known := jsonb_insert(known, array[place::text], done);
        end if;
        if jsonb_array_length(known) > 100 then  -- nobody needs more of them; the first text stays
            known := known - 1;
        end if;
        target.dados := facts || jsonb_build_object('edicoes', known);
    else
        known := zapvisor.part(facts, 'apagada', 'object');
        if facts ? 'apagada' and (known is null or zapvisor.order_of(known) <= zapvisor.order_of(done)) then
            return target;
        end if;
        target.dados := facts || jsonb_build_object('apagada', done || jsonb_build_object('por', change.autor));
    end if;
    return target;
end
$$;

-- Makes a change, if its message is here and its author may: {"result": "updated | ignored | missing",
-- "atendimento_id": …, "alvo": the message}.
create or replace function zapvisor.change_message(change zapvisor.item) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    ids uuid[] := change.alvo || change.alvos;
    target public.whatsapp_mensagens;
    after public.whatsapp_mensagens;
    number text;
    answer jsonb := '{"result": "missing", "atendimento_id": null}';
begin
    for target in
        select m.* from public.whatsapp_mensagens m
        where m.id = any (ids) and m.owner_id = change.owner_id
        order by array_position(ids, m.id)
        for no key update
    loop
        select a.numero_cliente into number from public.whatsapp_atendimentos a
        where a.id = target.atendimento_id and a.owner_id = change.owner_id;
        answer := '{"result": "ignored", "atendimento_id": null}';
        continue when not coalesce(zapvisor.may_change(target, number, change), false);
        after := zapvisor.changed(target, change);
        answer := answer || jsonb_build_object('atendimento_id', target.atendimento_id, 'alvo', target.id);
        if after is distinct from target then
            update public.whatsapp_mensagens m set dados = after.dados, conteudo = after.conteudo
            where m.id = target.id;
            answer := answer || '{"result": "updated"}';
        end if;
        return answer;
    end loop;
    return answer;
end
$$;

-- Lets a change wait for its message.
create or replace function zapvisor.await_message(change zapvisor.item) returns void
language sql volatile
set search_path = ''
as $$
    insert into zapvisor.pending_changes
        (id, owner_id, connection_id, numero_cliente, alvos, operacao, autor, valor, "timestamp", seq, item)
    values (change.id, change.owner_id, change.connection_id, change.numero_cliente, change.alvo || change.alvos,
            change.operacao, change.autor, change.valor, change."timestamp", change.seq,
            jsonb_strip_nulls(to_jsonb(change)))
    on conflict (id) do nothing
$$;

-- Which changes wait too long, or with too many: they wait for 30 days, with at most 200 others of their
-- chat and 5,000 of their owner; the oldest go first. `items` are those that came just now.
create or replace function zapvisor.waited_enough(items zapvisor.item[]) returns uuid[]
language sql stable
set search_path = ''
set enable_seqscan = off
as $$
    select array(
        select o.id
        from (select distinct i.owner_id, i.connection_id, i.numero_cliente
              from unnest(items) as i where i.kind = 'change') as c
        cross join lateral (
            select p.id from zapvisor.pending_changes p
            where p.owner_id = c.owner_id and p.connection_id = c.connection_id
              and p.numero_cliente = c.numero_cliente
            order by p.espera_desde desc, p.seq desc offset 200
        ) as o
    ) || array(
        select o.id
        from (select distinct i.owner_id from unnest(items) as i where i.kind = 'change') as c
        cross join lateral (
            (select p.id from zapvisor.pending_changes p where p.owner_id = c.owner_id
             order by p.espera_desde desc, p.seq desc offset 5000)
            union all
            (select p.id from zapvisor.pending_changes p
             where p.owner_id = c.owner_id and p.espera_desde < now() - interval '30 days')
        ) as o
    )
$$;

-- Those wait no longer. Each is shown in its conversation as a line of its own, where there is a
-- conversation; it begins none, and is no news.
create or replace function zapvisor.end_waiting(over uuid[]) returns void
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
begin
    insert into public.whatsapp_mensagens
        (id, owner_id, atendimento_id, connection_id, conteudo, tipo, remetente, "timestamp", lida,
         whatsapp_id, ordem, dados)
    select i.id, i.owner_id, t.id, i.connection_id, i.conteudo, i.tipo, i.remetente, i."timestamp", true,
           i.whatsapp_id, i.seq, i.dados
    from zapvisor.pending_changes p
    cross join lateral jsonb_populate_record(null::zapvisor.item, p.item) as i
    cross join lateral (
        select a.id
        from zapvisor.atendimentos_of(
            (zapvisor.spellings(p.numero_cliente))[1], (zapvisor.spellings(p.numero_cliente))[2]) as a
        where a.owner_id = p.owner_id and a.connection_id = p.connection_id
        order by a.data_inicio desc
        limit 1
    ) as t
    where p.id = any (over)
    on conflict (id) do nothing;
    delete from zapvisor.pending_changes p where p.id = any (over);
end
$$;

-- Reactions, edits and deletions, in the order of the journal. One whose message is not here is `waiting`;
-- one that was shown as a line of its own is a `duplicate`.
create or replace function zapvisor.ingest_changes(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    change zapvisor.item;
    answer jsonb;
    over uuid[];
    results jsonb := '{}';
begin
    for position in 1 .. cardinality(items) loop
        change := items[position];
        continue when change.kind <> 'change';
        answer := zapvisor.change_message(change);
        if answer ->> 'result' = 'missing' then
            if exists (
                select from public.whatsapp_mensagens m where m.id = change.id and m.owner_id = change.owner_id
            ) then
                answer := answer || '{"result": "duplicate"}';
            else
                perform zapvisor.await_message(change);
                answer := answer || '{"result": "waiting"}';
            end if;
        end if;
        results := results || jsonb_build_object(position, answer);
    end loop;
    if jsonb_path_exists(results, '$.* ? (@.result == "waiting")') then
        over := zapvisor.waited_enough(items);
        if over <> '{}' then
            perform zapvisor.end_waiting(over);
        end if;
    end if;
    return results;
end
$$;

-- Makes the changes that waited for messages that were inserted just now. `results` are those of the
-- batch; returns them with `changes` at each such message: the changes made, as they came.
create or replace function zapvisor.ingest_pending(items zapvisor.item[], results jsonb) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    inserted uuid[] := array(
        select items[r.key::integer].id from jsonb_each(results) as r where r.value ->> 'result' = 'inserted'
    );
    waiting record;
    answer jsonb;
    made jsonb := '{}';
begin
    for waiting in
        select p.id, p.item from zapvisor.pending_changes p where p.alvos && inserted order by p.seq
    loop
        answer := zapvisor.change_message(jsonb_populate_record(null::zapvisor.item, waiting.item));
        continue when answer ->> 'result' = 'missing';  -- another owner's message
        delete from zapvisor.pending_changes p where p.id = waiting.id;
        continue when answer ->> 'result' <> 'updated';
        made := made || jsonb_build_object(answer ->> 'alvo', coalesce(made -> (answer ->> 'alvo'), '[]')
            || jsonb_build_array(waiting.item || jsonb_build_object('alvo', answer -> 'alvo')));
    end loop;
    if made <> '{}' then
        results := results || coalesce((
            select jsonb_object_agg(r.key,
                r.value || jsonb_build_object('changes', made -> items[r.key::integer].id::text))
            from jsonb_each(results) as r
            where r.value ->> 'result' = 'inserted' and made ? items[r.key::integer].id::text
        ), '{}');
    end if;
    return results;
end
$$;

-- What `dados` says of a stub once its content is here. What happened to the message meanwhile stays:
-- reactions, deletion, edits (of which the first replaced this content) and what became of its file.
create or replace function zapvisor.filled(stub jsonb, content jsonb, conteudo text) returns jsonb
language plpgsql immutable
set search_path = ''
as $$
declare
    facts jsonb := (stub - 'stub') || coalesce(content, '{}');
    edits jsonb := zapvisor.part(stub, 'edicoes', 'array');
    file jsonb := zapvisor.part(stub, 'midia', 'object');
begin
    if stub ? 'reacoes' then
        facts := facts || jsonb_build_object('reacoes', stub -> 'reacoes');
    end if;
    if stub ? 'apagada' then
        facts := facts || jsonb_build_object('apagada', stub -> 'apagada');
    end if;
    if edits is not null then
        facts := facts || jsonb_build_object('edicoes', jsonb_set(edits, '{0,antes}', to_jsonb(conteudo)));
    end if;
    if file is not null then
        facts := facts || jsonb_build_object(
            'midia', coalesce(zapvisor.part(content, 'midia', 'object'), '{}') || file);
    end if;
    return nullif(facts, '{}');
end
$$;

-- Content that came after its stub takes the stub's place, except where something later stands already.
-- Only messages that were reported as duplicates can be such.
create or replace function zapvisor.ingest_fills(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    results jsonb;
begin
    with fills as (
        select distinct on (i.id) i.*
        from unnest(items) with ordinality as i
        where i.kind = 'message' and not coalesce(i.dados ? 'stub', false)
        order by i.id, i.ordinality
    ),
    filled as (
        update public.whatsapp_mensagens m
        set conteudo = case
                when jsonb_array_length(zapvisor.part(m.dados, 'edicoes', 'array')) > 0 then m.conteudo
                else f.conteudo
            end,
            tipo = f.tipo,
            midia_url = coalesce(f.midia_url, m.midia_url),
            midia_tipo = coalesce(m.midia_tipo, f.midia_tipo),
            midia_nome = coalesce(m.midia_nome, f.midia_nome),
            midia_tamanho = coalesce(m.midia_tamanho, f.midia_tamanho),
            dados = zapvisor.filled(m.dados, f.dados, f.conteudo)
        from fills f
        where m.id = f.id and m.owner_id = f.owner_id
          and m.connection_id is not distinct from f.connection_id
          and jsonb_typeof(m.dados) = 'object' and m.dados ? 'stub'
        returning f.ordinality, m.atendimento_id
    )
    select jsonb_object_agg(ordinality, jsonb_build_object('result', 'updated', 'atendimento_id', atendimento_id))
    into results from filled;
    return coalesce(results, '{}');
end
$$;

-- As before. A change of a message that is not here is `waiting`; the answer to the message says which
-- changes were made when it came: {"seq": …, "result": "inserted", …, "changes": [item, …]}.
create or replace function public.zapvisor_ingest(items jsonb) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    batch zapvisor.item[] := array(
        select i from jsonb_populate_recordset(null::zapvisor.item, items) as i
    );
    refused zapvisor.item;
    lock record;
    kinds text[];
    results jsonb := '{}';
begin
    select i.* into refused
    from unnest(batch) as i
    where case i.kind
        when 'message' then i.owner_id is null or i.connection_id is null or i.numero_cliente is null
        when 'change' then i.owner_id is null or i.connection_id is null or i.numero_cliente is null
            or i.alvo is null or i.autor is null
            or coalesce(i.operacao not in ('reacao', 'edicao', 'exclusao'), true)
            or (i.operacao = 'edicao' and i.valor is null)
        when 'placed' then i.owner_id is null or i.atendimento_id is null
        when 'read' then i.owner_id is null or i.id is null
        when 'contact' then i.owner_id is null or i.connection_id is null or i.numero_cliente is null
        when 'session' then i.connection_id is null
        when 'status' then zapvisor.status_rank(i.status) = 0
        else true
    end
    limit 1;
    if found then
        raise exception 'zapvisor_ingest cannot take item % of kind %', refused.seq, refused.kind
            using errcode = 'invalid_parameter_value',
                  detail = 'Kinds are message (with owner_id, connection_id and numero_cliente), '
                      'change (the same, with alvo, operacao and autor), '
                      'placed (with owner_id and atendimento_id), read (with owner_id and id), '
                      'contact (with owner_id, connection_id and numero_cliente), '
                      'session (with connection_id) and status (of a known value).';
    end if;

    kinds := array(select distinct i.kind from unnest(batch) as i);
    -- A change that finds no message waits for it, and a message takes the changes that wait; so neither
    -- may miss the other. Before any other lock, and in one order, so that callers cannot wait for each other.
    if kinds && array['message', 'placed', 'change'] then
        for lock in
            select hashtextextended('changes ' || i.owner_id, 0) as key, bool_or(i.kind = 'change') as alone
            from unnest(batch) as i
            where i.kind in ('message', 'placed', 'change')
            group by i.owner_id
            order by key
        loop
            if lock.alone then
                perform pg_advisory_xact_lock(lock.key);
            else
                perform pg_advisory_xact_lock_shared(lock.key);
            end if;
        end loop;
    end if;
    if 'message' = any (kinds) then
        results := results || zapvisor.ingest_messages(batch);
        if exists (
            select from public.whatsapp_atendimentos a
            where a.status not in ('AGUARDANDO', 'EM_ATENDIMENTO') and a.id = any (array(
                select distinct (r.value ->> 'atendimento_id')::uuid
                from jsonb_each(results) as r
                where r.value ->> 'result' = 'inserted'
            ))
        ) then
            raise exception 'an atendimento was closed while its messages were stored'
                using errcode = 'serialization_failure';
        end if;
        if jsonb_path_exists(results, '$.* ? (@.result == "duplicate")') then
            results := results || zapvisor.ingest_fills(batch);
        end if;
    end if;
    if 'placed' = any (kinds) then
        results := results || zapvisor.ingest_placed(batch);
    end if;
    if 'change' = any (kinds) then
        results := results || zapvisor.ingest_changes(batch);
    end if;
    if kinds && array['message', 'placed'] then
        results := zapvisor.ingest_pending(batch, results);
    end if;
    if 'status' = any (kinds) then  -- after the messages they may be about
        results := results || zapvisor.ingest_statuses(batch);
    end if;
    if 'read' = any (kinds) then
        results := results || zapvisor.ingest_reads(batch);
    end if;
    if 'contact' = any (kinds) then
        results := results || zapvisor.ingest_contacts(batch);
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

revoke all on function
    public.zapvisor_ingest(jsonb),
    zapvisor.ingest_fills(zapvisor.item[]), zapvisor.ingest_changes(zapvisor.item[]),
    zapvisor.ingest_pending(zapvisor.item[], jsonb),
    zapvisor.change_message(zapvisor.item), zapvisor.await_message(zapvisor.item),
    zapvisor.waited_enough(zapvisor.item[]), zapvisor.end_waiting(uuid[]),
    zapvisor.may_change(public.whatsapp_mensagens, text, zapvisor.item),
    zapvisor.changed(public.whatsapp_mensagens, zapvisor.item),
    zapvisor.filled(jsonb, jsonb, text), zapvisor.part(jsonb, text, text),
    zapvisor.order_of(jsonb), zapvisor.moment(text),
    zapvisor.names_of(zapvisor.item), zapvisor.person(text)
    from public, anon, authenticated;
grant execute on function
    public.zapvisor_ingest(jsonb),
    zapvisor.ingest_fills(zapvisor.item[]), zapvisor.ingest_changes(zapvisor.item[]),
    zapvisor.ingest_pending(zapvisor.item[], jsonb),
    zapvisor.change_message(zapvisor.item), zapvisor.await_message(zapvisor.item),
    zapvisor.waited_enough(zapvisor.item[]), zapvisor.end_waiting(uuid[]),
    zapvisor.may_change(public.whatsapp_mensagens, text, zapvisor.item),
    zapvisor.changed(public.whatsapp_mensagens, zapvisor.item),
    zapvisor.filled(jsonb, jsonb, text), zapvisor.part(jsonb, text, text),
    zapvisor.order_of(jsonb), zapvisor.moment(text),
    zapvisor.names_of(zapvisor.item), zapvisor.person(text)
    to service_role;

notify pgrst, 'reload schema';
