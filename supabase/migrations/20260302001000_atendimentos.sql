-- Messages that belong to a given atendimento, and what the atendimento and robot calls need.

-- `atendimento_id` and `tag` are of the kind 'placed' alone.
do $$
begin
    if not exists (
        select from pg_catalog.pg_attribute
        where attrelid = 'zapvisor.item'::regclass and attname = 'atendimento_id'
    ) then
        alter type zapvisor.item add attribute atendimento_id uuid;
        alter type zapvisor.item add attribute tag text;
    end if;
end
$$;

-- Inserts messages into the atendimento that each names, open or closed: the robot's goodbye comes
-- after the end and must not begin anything new. A message whose atendimento is gone is ignored.
-- Its `tag`, when given, is added to those of the atendimento.
create or replace function zapvisor.ingest_placed(items zapvisor.item[]) returns jsonb
language plpgsql volatile
set search_path = ''
set enable_seqscan = off
as $$
declare
    inserted uuid[];
    results jsonb;
begin
    perform from public.whatsapp_atendimentos a
    where a.id in (select i.atendimento_id from unnest(items) as i where i.kind = 'placed')
    order by a.id
    for no key update;

    with placed as (
        select distinct on (i.id) i.*
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
    set ultima_mensagem = greatest(a.ultima_mensagem, news.latest),
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

    select jsonb_object_agg(i.ordinality, jsonb_build_object(
        'result', case when i.occurrence = 1 and i.id = any (inserted) then 'inserted'
                       when m.id is not null then 'duplicate'
                       else 'ignored' end,
        'atendimento_id', m.atendimento_id
    ))
    into results
    from (
        select u.id, u.ordinality, row_number() over (partition by u.id order by u.ordinality) as occurrence
        from unnest(items) with ordinality as u
        where u.kind = 'placed'
    ) as i
    left join public.whatsapp_mensagens m on m.id = i.id;
    return results;
end
$$;

-- As before, with the kind 'placed' (with owner_id and atendimento_id), and with 40001 when an
-- atendimento was closed between being found and being locked: called again, a new one is opened.
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
        when 'placed' then i.owner_id is null or i.atendimento_id is null
        when 'session' then i.connection_id is null
        when 'status' then zapvisor.status_rank(i.status) = 0
        else true
    end
    limit 1;
    if found then
        raise exception 'zapvisor_ingest cannot take item % of kind %', refused.seq, refused.kind
            using errcode = 'invalid_parameter_value',
                  detail = 'Kinds are message (with owner_id, connection_id and numero_cliente), '
                      'placed (with owner_id and atendimento_id), '
                      'session (with connection_id) and status (of a known value).';
    end if;

    kinds := array(select distinct i.kind from unnest(batch) as i);
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
    end if;
    if 'placed' = any (kinds) then
        results := results || zapvisor.ingest_placed(batch);
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

revoke all on function
    public.zapvisor_ingest(jsonb), zapvisor.ingest_placed(zapvisor.item[])
    from public, anon, authenticated;
grant execute on function
    public.zapvisor_ingest(jsonb), zapvisor.ingest_placed(zapvisor.item[])
    to service_role;

-- Lists page by (ultima_mensagem, id), of one owner or of all.
create index if not exists zapvisor_atendimentos_list
    on public.whatsapp_atendimentos (owner_id, ultima_mensagem desc, id desc);
create index if not exists zapvisor_atendimentos_recent
    on public.whatsapp_atendimentos (ultima_mensagem desc, id desc);

-- What was finished lately: the robot says goodbye.
create index if not exists zapvisor_atendimentos_finished
    on public.whatsapp_atendimentos (updated_at, id)
    where status = 'FINALIZADO';

-- `unique (owner_id, company_id)` lets an owner without a company have any number of robots. Where
-- that happened already the rows stay, and the newest of them counts.
do $$
begin
    if exists (
        select from public.whatsapp_configuracoes
        where company_id is null group by owner_id having count(*) > 1
    ) then
        raise warning 'whatsapp_configuracoes has several rows of one owner without a company: not made unique';
    else
        create unique index if not exists zapvisor_configuracoes_owner_key
            on public.whatsapp_configuracoes (owner_id) where company_id is null;
    end if;
end
$$;

notify pgrst, 'reload schema';
