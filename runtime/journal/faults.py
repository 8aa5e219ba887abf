"""What an SQLite or operating system error means for the journal. Pure.

An error of one job (a constraint, a wrong value) is that caller's; an error of the database is
everyone's: the connection is given up, and nothing is tried again on it, least of all a sync.
"""

from __future__ import annotations

import errno
import sqlite3
from dataclasses import dataclass

from ..errors import JournalUnavailable
from ..reasons import about
from .schema import SchemaTooNew

# Primary result codes: https://www.sqlite.org/rescode.html (low byte of an extended code).
_JOB_CODES = frozenset(
    {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_TOOBIG,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_MISUSE,
        sqlite3.SQLITE_RANGE,
    }
)
_CORRUPT_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})


class Corrupt(Exception):
    """The integrity check found damage; the text says which."""


class FileReplaced(Exception):
    """The database file was removed or replaced under us: what is written now would be lost."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why the database cannot be used.

    Attributes:
        code: ``journal_disk_full``, ``journal_io_error``, ``journal_corrupt`` or
            ``journal_too_new``.
        text: what the system said, for the log.
        permanent: trying again cannot help; a person must act.
    """

    code: str
    text: str
    permanent: bool

    @property
    def reason(self) -> str:
        """What ``code`` means, for a person."""
        return about(self.code).pt

    def as_error(self) -> JournalUnavailable:
        """The same, for a caller."""
        return JournalUnavailable(
            "A fila durável não está aceitando mensagens no momento.",
            code=self.code,
            details={"reason": self.reason},
            retry_after=60.0 if self.permanent else 10.0,
        )


def is_job_error(error: Exception) -> bool:
    """Whether ``error`` concerns only the job that raised it, not the database."""
    if not isinstance(error, sqlite3.DatabaseError):
        return not isinstance(error, FileReplaced)
    code = getattr(error, "sqlite_errorcode", None)
    # Errors that the Python module itself raises (wrong bindings) carry no code.
    return code is None or (code & 0xFF) in _JOB_CODES


def diagnose(error: BaseException) -> Fault | None:
    """What ``error`` says about the database; None when it is a bug instead."""
    if isinstance(error, SchemaTooNew):
        return Fault("journal_too_new", str(error), permanent=True)
    if isinstance(error, Corrupt):
        return Fault("journal_corrupt", str(error), permanent=True)
    if isinstance(error, FileReplaced):
        return Fault("journal_io_error", str(error), permanent=False)
    if isinstance(error, OSError):
        code = "journal_disk_full" if error.errno in _FULL_ERRNOS else "journal_io_error"
        return Fault(code, f"{error.strerror or error}", permanent=False)
    if isinstance(error, sqlite3.DatabaseError) and not is_job_error(error):
        primary = error.sqlite_errorcode & 0xFF
        text = f"{error} ({error.sqlite_errorname})"
        if primary in _CORRUPT_CODES:
            return Fault("journal_corrupt", text, permanent=True)
        if primary == sqlite3.SQLITE_FULL:
            return Fault("journal_disk_full", text, permanent=False)
        return Fault("journal_io_error", text, permanent=False)
    return None
