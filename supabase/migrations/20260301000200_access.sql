-- Row-level security and updated_at.

alter table public.whatsapp_sessions enable row level security;
alter table public.whatsapp_atendimentos enable row level security;
alter table public.whatsapp_mensagens enable row level security;
alter table public.whatsapp_configuracoes enable row level security;

-- Policies are permissive and add up: those an installation already has, under whatever name, stay.
-- `(select auth.uid())` is evaluated once per statement, the bare call once per row.
do $$
declare
    target text;
begin
    foreach target in array array[
        'whatsapp_sessions', 'whatsapp_atendimentos', 'whatsapp_mensagens', 'whatsapp_configuracoes'
    ]
    loop
        if not exists (
            select from pg_catalog.pg_policies
            where schemaname = 'public' and tablename = target and policyname = 'zapvisor_owner'
        ) then
            execute format(
                'create policy zapvisor_owner on public.%I for all to authenticated
                 using ((select auth.uid()) = owner_id) with check ((select auth.uid()) = owner_id)',
                target
            );
        end if;
    end loop;
end
$$;

create or replace function public.zapvisor_touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
    new.updated_at := now();
    return new;
end
$$;

revoke all on function public.zapvisor_touch_updated_at() from public, anon, authenticated;

create or replace trigger zapvisor_touch_updated_at before update on public.whatsapp_sessions
    for each row execute function public.zapvisor_touch_updated_at();
create or replace trigger zapvisor_touch_updated_at before update on public.whatsapp_atendimentos
    for each row execute function public.zapvisor_touch_updated_at();
create or replace trigger zapvisor_touch_updated_at before update on public.whatsapp_configuracoes
    for each row execute function public.zapvisor_touch_updated_at();
