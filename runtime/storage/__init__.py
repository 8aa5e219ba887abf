"""Supabase: the client, what its errors mean, whether it is there, and the writer into it.

- ``errors``: one error for every refusal, with HTTP status, code and ``Retry-After``.
- ``classify``: what an error asks for (retry, split, bisect, pause), as one table.
- ``client``: supabase-py on trio.
- ``probe``: is it there, and is it migrated.
- ``batch``: how many entries go into the next call. Pure.
- ``lane``: how new messages pass an old queue.
- ``writer``: drains the journal.
- ``media``: the bucket of files, and what rows say of them.
- ``atendimentos``, ``configuracoes``: what the API and the robot do with these tables.
"""

from .atendimentos import AtendimentoFilter, Atendimentos
from .classify import Action, Verdict, classify
from .client import REQUIRED_SCHEMA_VERSION, Supabase, SupabaseStatistics
from .configuracoes import Configuracoes
from .errors import SupabaseError, UnexpectedAnswer
from .media import MediaStorage
from .probe import Probe, Problem
from .rows import MessageRow
from .writer import Writer, WriterState, WriterStatistics

__all__ = [
    "REQUIRED_SCHEMA_VERSION",
    "Action",
    "AtendimentoFilter",
    "Atendimentos",
    "Configuracoes",
    "MediaStorage",
    "MessageRow",
    "Probe",
    "Problem",
    "Supabase",
    "SupabaseError",
    "SupabaseStatistics",
    "UnexpectedAnswer",
    "Verdict",
    "Writer",
    "WriterState",
    "WriterStatistics",
    "classify",
]
