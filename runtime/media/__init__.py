"""Media: files of messages on their way from WhatsApp into a store, and from the API to WhatsApp.

The message never waits for its file: the row says at once where the file will be, a durable task in
the journal brings it there. Modules:

- ``names``, ``sniff``, ``policy``, ``addresses``: names, types, limits and addresses from
  strangers, judged. Pure.
- ``incoming``: the file of a message from WhatsApp. Pure.
- ``spool``: the directory through which bridge, API and store hand files over.
- ``stores``: where files stay: a local directory, or Supabase Storage.
- ``fetch``: a file from a URL that a client gave.
- ``tasks``: the one step of a task. ``worker``: the supervised child that runs due tasks.
- ``desk``: what the API asks of all this.
"""
