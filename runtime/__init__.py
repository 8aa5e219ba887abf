"""The product: WhatsApp → journal → Supabase, and back.

Layout, in the order a message meets it:

- ``settings``, ``errors``, ``events``, ``identity``: what everything else speaks in.
- ``whatsapp``: the Node bridge process, its protocol, one actor per connection.
- ``inbound``: what WhatsApp delivered, made into a row of ``whatsapp_mensagens``.
- ``journal``: the durable fallback queue (SQLite): inbox, outbox, connection registry.
- ``storage``: the Supabase client, the probe and the writer that drains the journal.
- ``contacts``, ``options``: who is who on WhatsApp; what each connection was told to do.
- ``outbound``: what our API accepted, on its way to WhatsApp.
- ``robot``: welcome, menu, reminder and goodbye, from what the writer settled.
- ``local_stack``: embedded PostgreSQL + PostgREST when no ``SUPABASE_URL`` is set.
- ``tree``: the whole supervision tree, one literal on one screen.
- ``lifecycle``, ``app``, ``launch``: the parts and their tree; the application as the HTTP API and
  the command line see it; running it all.

Imports go ``http_api → runtime → supervisors``, never back; ``inbound`` and ``outbound`` do not
know each other.
"""
