-- Files of messages: the row says where its file is from the start (`midia_url`), and how far the
-- file is in `dados -> 'midia'`: {"estado": "pending | available | failed", "codigo", "motivo", …}.

-- Brings rows up to date with their files. `items` is an array of {id, midia, tipo, nome, tamanho}:
-- `midia` is merged into what `dados` says of the file, the others replace their columns unless they
-- are null. Returns the ids of the rows that exist.
create or replace function public.zapvisor_media(items jsonb) returns uuid[]
language sql volatile
set search_path = ''
as $$
    with item as (
        select * from jsonb_to_recordset(items)
            as i (id uuid, midia jsonb, tipo text, nome text, tamanho integer)
    ),
    changed as (
        update public.whatsapp_mensagens m
        set dados = jsonb_set(
                coalesce(m.dados, '{}'), '{midia}', coalesce(m.dados -> 'midia', '{}') || i.midia
            ),
            midia_tipo = coalesce(i.tipo, m.midia_tipo),
            midia_nome = coalesce(i.nome, m.midia_nome),
            midia_tamanho = coalesce(i.tamanho, m.midia_tamanho)
        from item i
        where m.id = i.id
        returning m.id
    )
    select coalesce(array_agg(id), '{}') from changed
$$;

revoke all on function public.zapvisor_media(jsonb) from public, anon, authenticated;
grant execute on function public.zapvisor_media(jsonb) to service_role;

-- Owners may read their own files straight from Supabase Storage, too: objects are named
-- `<owner>/<message>`. Where this role may not make policies there, the API alone serves them.
do $$
begin
    if to_regclass('storage.objects') is not null and not exists (
        select from pg_catalog.pg_policies
        where schemaname = 'storage' and tablename = 'objects' and policyname = 'zapvisor_media_owner'
    ) then
        create policy zapvisor_media_owner on storage.objects for select to authenticated
        using (bucket_id = 'whatsapp-media' and split_part(name, '/', 1) = (select auth.uid())::text);
    end if;
exception
    when insufficient_privilege then
        raise notice 'no policy on storage.objects: files are served by the API';
end
$$;

-- PostgREST learns of new functions at once.
notify pgrst, 'reload schema';
