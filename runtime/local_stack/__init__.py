"""An embedded Supabase for when no ``SUPABASE_URL`` is set: PostgreSQL, PostgREST and a gateway.

- ``stack``: ``LocalStack``, the face of it all, and its supervisor.
- ``account``, ``binaries``, ``cluster``: who runs PostgreSQL, with which programs, on which files.
- ``postgres``, ``schema``, ``postgrest``, ``gateway``: the children, in the order of their start.
- ``server_process``, ``leftovers``: running a server program; ending those of a killed run.
- ``keys``: secrets and tokens.
"""

from runtime.local_stack.stack import LocalStack

__all__ = ["LocalStack"]
