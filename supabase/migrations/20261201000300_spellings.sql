-- The spellings of one subscriber; runtime/phones.py says the same. Brazilian mobile numbers with and
-- without the ninth digit; Mexican ones with and without the 1, Argentine ones with and without the 9
-- that WhatsApp has behind the country code. Any other number has one.
create or replace function zapvisor.spellings(number text) returns text[]
language sql immutable
as $$
    select case
        when number ~ '^55\d\d9[6-9]\d{7}$' then array[number, substr(number, 1, 4) || substr(number, 6)]
        when number ~ '^55\d\d[6-9]\d{7}$' then array[number, substr(number, 1, 4) || '9' || substr(number, 5)]
        when number ~ '^521[2-9]\d{9}$' then array[number, '52' || substr(number, 4)]
        when number ~ '^52[2-9]\d{9}$' then array[number, '521' || substr(number, 3)]
        when number ~ '^549[1-3]\d{9}$' then array[number, '54' || substr(number, 4)]
        when number ~ '^54[1-3]\d{9}$' then array[number, '549' || substr(number, 3)]
        else array[number]
    end
$$;

-- What this project has been brought to; in the last file, so that all before it are there.
create or replace function public.zapvisor_schema_version() returns integer
language sql immutable
set search_path = ''
as $$ select 3 $$;

notify pgrst, 'reload schema';
