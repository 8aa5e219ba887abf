-- Where the runtime's self-test writes a value and reads it back: one row, nobody else's business.

create table if not exists public.zapvisor_self_test (
  id boolean primary key default true check (id),
  nonce text not null,
  updated_at timestamptz not null default now()
);

alter table public.zapvisor_self_test enable row level security;

revoke all on public.zapvisor_self_test from public, anon, authenticated;
grant select, insert, update on public.zapvisor_self_test to service_role;
