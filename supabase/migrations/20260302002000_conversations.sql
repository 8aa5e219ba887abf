-- What happens to messages after they were stored (edits, deletions, reactions, content that comes
-- late, reading), and who is who: the spellings of one customer become one.

do $$
begin
    if not exists (
        select from pg_catalog.pg_attribute
        where attrelid = 'zapvisor.item'::regclass and attname = 'alvo'
    ) then
        alter type zapvisor.item add attribute alvo uuid;       -- change: the message it is about
        alter type zapvisor.item add attribute operacao text;   -- change: reacao, edicao, exclusao
        alter type zapvisor.item add attribute autor text;      -- change: who did it
        alter type zapvisor.item add attribute valor text;      -- change: the emoji, the new text
        alter type zapvisor.item add attribute apelido text;    -- contact: what they were known as
        alter type zapvisor.item add attribute foto_url text;   -- contact
    end if;
end
$$;

-- The spellings of a Brazilian mobile number: with and without the ninth digit. Any other number
-- has one.
create or replace function zapvisor.spellings(number text) returns text[]
language sql immutable
as $$
    select case
        when number ~ '^55\d\d9[6-9]\d{7}$' then array[number, substr(number, 1, 4) || substr(number, 6)]
        when number ~ '^55\d\d[6-9]\d{7}$' then array[number, substr(number, 1, 4) || '9' || substr(number, 5)]
        else array[number]
    end
$$;

-- As before, for the customer in any spelling.
create or replace function zapvisor.open_atendimentos(owner uuid, connection text, number text)
returns table (id uuid)
language sql stable
as $$
    select t.id
    from zapvisor.atendimentos_of((zapvisor.spellings(number))[1], (zapvisor.spellings(number))[2]) as t
    where t.owner_id = owner and t.connection_id = connection
      and t.status in ('AGUARDANDO', 'EM_ATENDIMENTO')
    order by t.ultima_mensagem desc, t.id
    limit 1
$$;

-- Content that came after its stub takes the stub's place. Only messages that were reported as
-- duplicates can be such.
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
        set conteudo = f.conteudo, tipo = f.tipo,
            midia_url = coalesce(f.midia_url, m.midia_url), midia_tipo = f.midia_tipo,
            midia_nome = f.midia_nome, midia_tamanho = f.midia_tamanho,
            dados = nullif((m.dados - 'stub') || coalesce(f.dados, '{}'), '{}')
        from fills f
        where m.id = f.id and m.owner_id = f.owner_id and m.dados ? 'stub'
        returning f.ordinality, m.atendimento_id
    )
    select jsonb_object_agg(ordinality, jsonb_build_object('result', 'updated', 'atendimento_id', atendimento_id))
    into results from filled;
    return coalesce(results, '{}');
end
$$;

-- Reactions, edits and deletions change the message that they are about, in the order of the
-- journal; what was before stays in `dados`. Doing one again changes nothing.
create or replace function zapvisor.ingest_changes(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    change record;
    target public.whatsapp_mensagens;
    facts jsonb;
    known jsonb;
    outcome text;
    results jsonb := '{}';
begin
    for change in
        select i.* from unnest(items) with ordinality as i where i.kind = 'change' order by i.ordinality
    loop
        outcome := 'ignored';
        target := null;
        select m.* into target from public.whatsapp_mensagens m
        where m.id = change.alvo and m.owner_id = change.owner_id
        for no key update;
        if found then
            facts := coalesce(target.dados, '{}');
            if change.operacao = 'reacao' then
                known := facts #> array['reacoes', change.autor];
                if coalesce((known ->> 'ordem')::bigint, -1) < change.seq then
                    facts := facts || jsonb_build_object('reacoes', coalesce(facts -> 'reacoes', '{}') ||
                        jsonb_build_object(change.autor, jsonb_build_object(
                            'emoji', nullif(change.valor, ''), 'em', change."timestamp", 'ordem', change.seq)));
                    outcome := 'updated';
                end if;
            elsif change.operacao = 'edicao' then
                known := coalesce(facts -> 'edicoes', '[]');
                if not exists (
                    select from jsonb_array_elements(known) as e
                    where e ->> 'id' = change.id::text or (e ->> 'ordem')::bigint > change.seq
                ) then
                    facts := facts || jsonb_build_object('edicoes', known || jsonb_build_object(
                        'id', change.id, 'antes', target.conteudo, 'em', change."timestamp",
                        'ordem', change.seq));
                    target.conteudo := change.valor;
                    outcome := 'updated';
                end if;
            elsif not facts ? 'apagada' then
                facts := facts || jsonb_build_object('apagada', jsonb_build_object(
                    'em', change."timestamp", 'por', change.autor));
                outcome := 'updated';
            end if;
            if outcome = 'updated' then
                update public.whatsapp_mensagens m
                set dados = facts, conteudo = target.conteudo
                where m.id = target.id;
            end if;
        end if;
        results := results || jsonb_build_object(change.ordinality, jsonb_build_object(
            'result', outcome, 'atendimento_id', target.atendimento_id));
    end loop;
    return results;
end
$$;

-- An attendant has read a message, and with it all before it in its atendimento.
create or replace function zapvisor.ingest_reads(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    results jsonb;
begin
    with reads as (
        select i.ordinality, t.atendimento_id, t."timestamp", t.ordem
        from unnest(items) with ordinality as i
        join public.whatsapp_mensagens t on t.id = i.id and t.owner_id = i.owner_id
        where i.kind = 'read'
    ),
    due as (  -- locked in the order in which statuses lock them
        select m.id from public.whatsapp_mensagens m
        where m.remetente = 'CLIENTE' and not coalesce(m.lida, false)
          and exists (
            select from reads r
            where r.atendimento_id = m.atendimento_id and m."timestamp" <= r."timestamp"
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

-- What was stored under another name of a customer (a LID, another spelling) becomes theirs. Of
-- several open atendimentos the oldest goes on with all the messages; the others are closed as
-- CANCELADO, with a note. Name and picture are taken over when given; '' means no picture any more.
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
                where m.atendimento_id = any (opened[2:]);
                update public.whatsapp_atendimentos a
                set ultima_mensagem = greatest(a.ultima_mensagem, o.latest),
                    nome_cliente = coalesce(a.nome_cliente, o.name),
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
                    select max(x.ultima_mensagem) as latest, max(x.nome_cliente) as name,
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
            set nome_cliente = coalesce(nullif(contact.nome_cliente, ''), a.nome_cliente),
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

-- As before, with the kinds 'change', 'read' and 'contact'. A change of a message that is not here is
-- stored as a message of its own. Content that follows its stub is `updated`.
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
    if 'change' = any (kinds) then
        for position in 1 .. cardinality(batch) loop
            if batch[position].kind = 'change'
                and not exists (
                    select from public.whatsapp_mensagens m
                    where m.id = batch[position].alvo and m.owner_id = batch[position].owner_id)
                and not exists (
                    select from unnest(batch) as i
                    where i.kind in ('message', 'placed') and i.id = batch[position].alvo)
            then
                batch[position].kind := 'message';
            end if;
        end loop;
        kinds := array(select distinct i.kind from unnest(batch) as i);
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

create or replace function public.zapvisor_schema_version() returns integer
language sql immutable
set search_path = ''
as $$ select 2 $$;

revoke all on function
    public.zapvisor_ingest(jsonb), public.zapvisor_schema_version(),
    zapvisor.ingest_fills(zapvisor.item[]), zapvisor.ingest_changes(zapvisor.item[]),
    zapvisor.ingest_reads(zapvisor.item[]), zapvisor.ingest_contacts(zapvisor.item[]),
    zapvisor.spellings(text)
    from public, anon, authenticated;
grant execute on function
    public.zapvisor_ingest(jsonb), public.zapvisor_schema_version(),
    zapvisor.ingest_fills(zapvisor.item[]), zapvisor.ingest_changes(zapvisor.item[]),
    zapvisor.ingest_reads(zapvisor.item[]), zapvisor.ingest_contacts(zapvisor.item[]),
    zapvisor.spellings(text)
    to service_role;

notify pgrst, 'reload schema';
