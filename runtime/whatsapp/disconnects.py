"""What to do when a connection to WhatsApp ends: one table of codes, one pure decision.

Two answers, as in supervision: reconnect, or give up until a person acts (the connection parks).
Only what WhatsApp itself said within an opened session may end in giving up (``SAID``; codes as
Baileys reports them). A failure of the way there says nothing about the session: it is retried
without end, and the credentials are not touched.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from .ways import Trouble, trouble_of

REPLACED_LIMIT = 3
"""Times that another session may take over within the window before we stop fighting."""
REPLACED_WINDOW = 600.0
"""Seconds."""
BAD_SESSION_LIMIT = 5
"""Times in a row that WhatsApp may call the session bad before a person is asked."""

SAID = "whatsapp"
"""The cause of an end that WhatsApp announced itself."""
QR_ENDED = "qr_ended"

LOGGED_OUT = "logged_out_by_request"
"""Parked because somebody logged the connection out over the API."""
QR_EXPIRED = "qr_expired"
"""Parked because nobody read a QR code, or typed a code, in time."""
PHONE_CHANGED = "phone_changed"
"""Parked because another phone was linked in the place of the last one."""
DELETED = "deleted"
"""Parked for good: it is gone to everybody, and its files are about to be."""
QUIET = frozenset({LOGGED_OUT, QR_EXPIRED})
"""Reasons to park that are no error: the connection is merely not connected."""


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Open a new socket.

    Attributes:
        pace: ``now``, ``backoff`` or ``slow`` (at least a minute).
        trouble: why there is no connection meanwhile.
    """

    pace: str
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Stop until a person acts.

    Attributes:
        code: stable snake_case reason.
        reason: Portuguese sentence for a person.
        archive: whether the credentials are of no more use and are put aside.
    """

    code: str
    reason: str
    archive: bool = False


_GIVE_UP = {
    401: GiveUp(
        "logged_out",
        "O aparelho foi desconectado pelo celular. Leia um novo QR code para conectar outra vez.",
        archive=True,
    ),
    402: GiveUp("temporarily_banned", "O WhatsApp baniu este número temporariamente."),
    403: GiveUp("forbidden", "O WhatsApp recusou esta conta (proibida ou bloqueada)."),
    405: GiveUp("client_outdated", "O WhatsApp recusou a versão do cliente: atualize o zapvisor."),
    406: GiveUp("banned", "O WhatsApp baniu este número."),
    411: GiveUp(
        "multi_device_mismatch",
        "A conta exige um novo pareamento. Saia do WhatsApp (logout), reinicie a conexão e leia um "
        "novo QR code.",
    ),
}
KNOWN_CODES = (
    *("401", "402", "403", "405", "406", "408", "411", "428", "440", "500", "503", "515"),
)
"""What a socket may end with; any other is ``other`` to an operator."""
_REPLACED = GiveUp(
    "replaced",
    "Outra sessão assumiu esta conexão várias vezes. Encerre a outra e reinicie esta.",
)
_BAD_SESSION = GiveUp(
    "bad_session",
    "O WhatsApp recusa a sessão como danificada; as credenciais foram mantidas. Reinicie a conexão "
    "para tentar outra vez, restaure um arquivo anterior ou saia (logout) e leia um novo QR code.",
)
_QR_EXPIRED = GiveUp(
    QR_EXPIRED,
    "Ninguém leu o QR code a tempo. Para gerar outro, reinicie a conexão com POST …/restart.",
)


@dataclass(slots=True)
class DisconnectPolicy:
    """The decisions for one connection, with the little memory that they need."""

    _replaced_at: deque[float] = field(default_factory=deque)
    _bad_sessions: int = 0
    _restarted_after_pairing: bool = False
    _retried_after_pairing: bool = False

    def connected(self) -> None:
        """Tell the policy that the connection reached ``open``."""
        self._bad_sessions = 0
        self._restarted_after_pairing = False
        self._retried_after_pairing = False

    def decide(self, code: int, *, cause: str, now: float) -> Reconnect | GiveUp:
        """What to do about an end with ``code`` and ``cause`` at monotonic time ``now``."""
        if cause == QR_ENDED:
            return _QR_EXPIRED
        if cause != SAID:
            return Reconnect("backoff", trouble_of(cause))
        return self._obey(code, now) or Reconnect("backoff", trouble_of("whatsapp_closed"))

    def _obey(self, code: int, now: float) -> Reconnect | GiveUp | None:
        """What WhatsApp's own word asks for, where it is more than to try again."""
        if code == 515:
            self._restarted_after_pairing = True
            return Reconnect("now", trouble_of("whatsapp_closed"))
        if code == 401 and self._restarted_after_pairing and not self._retried_after_pairing:
            # Right after pairing the server may not know the new device yet.
            self._retried_after_pairing = True
            return None
        if code == 440:
            return self._replaced(now)
        if code == 500:
            self._bad_sessions += 1
            return _BAD_SESSION if self._bad_sessions >= BAD_SESSION_LIMIT else None
        return _GIVE_UP.get(code)

    def _replaced(self, now: float) -> Reconnect | GiveUp:
        while self._replaced_at and self._replaced_at[0] <= now - REPLACED_WINDOW:
            self._replaced_at.popleft()
        self._replaced_at.append(now)
        if len(self._replaced_at) >= REPLACED_LIMIT:
            return _REPLACED
        return Reconnect("slow", trouble_of("replaced_for_now"))
