"""One error tree.

``SupervisionError`` is the root of everything this library raises at its callers. ``Park`` and
``Escalate`` are not errors of the library: they are verdicts a child raises (or its classifier
returns) to say what its exit means, and ``Done`` is how it says that there is nothing left to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class Park(Exception):
    """The child cannot go on until a person acts; it is not restarted until it is unparked.

    ``reason`` is a sentence for people, ``code`` a stable word for programs. A parked child keeps
    its name, its mailbox and its reason, and uses no restart budget and no CPU.
    """

    def __init__(self, reason: str, code: str = "parked") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class Escalate(Exception):
    """The child knows that restarting it alone cannot help: its supervisor gives up at once."""

    def __init__(self, reason: str, code: str = "escalated") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class Done(Exception):
    """The child has done all it had to do: a normal end after which it is not restarted, whatever
    its restart type. ``reason`` is a sentence for people."""

    def __init__(self, reason: str = "done") -> None:
        super().__init__(reason)
        self.reason = reason


class SupervisionError(Exception):
    """Root of the errors this library raises."""


class EscalationError(SupervisionError):
    """A supervisor gave up: budget exceeded, an ``Escalate`` verdict, or a child that did not end.

    ``path`` names the supervisor, ``reason`` says why; ``__cause__`` is the exception of the exit
    that triggered it, when there was one. For the parent supervisor this is a crash like any other.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} gave up: {reason}")
        self.path = path
        self.reason = reason


class StartFailedError(SupervisionError):
    """A start that somebody waits for failed. ``__cause__`` is the child's exception."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} did not start: {reason}")
        self.path = path
        self.reason = reason


class NotReadyError(SupervisionError):
    """The child did not call ``ctx.ready()`` within its ``ready_deadline`` (a crash)."""


class LivenessError(SupervisionError):
    """The child did not beat within its ``liveness`` deadline (a crash)."""


class NoSuchChildError(SupervisionError, LookupError):
    """No child of that name or path."""


class ChildExistsError(SupervisionError):
    """The name is taken by another child of the same supervisor."""


class KeyTakenError(SupervisionError):
    """The key is registered for another child."""


class ChildStateError(SupervisionError):
    """The command does not fit the child's state (unpark of a child that is not parked, deletion of
    a live child, restart of one that is stopping)."""


class TooManyChildrenError(SupervisionError):
    """``max_children`` is reached."""


class NotStoppedError(SupervisionError):
    """Something did not end in time. ``path`` names it, ``where`` are the frames in which it hangs,
    as ``file:line in function``."""

    def __init__(self, path: str, reason: str, where: tuple[str, ...] = ()) -> None:
        super().__init__("\n    ".join([f"{path} {reason}", *where]))
        self.path = path
        self.reason = reason
        self.where = where


class StopError(ExceptionGroup[Exception], SupervisionError):
    """Children that were told to stop crashed instead: what they raised. The tree did stop."""

    def derive(self, excs: Sequence[Exception]) -> StopError:  # type: ignore[override]
        """As ``ExceptionGroup.derive``."""
        return StopError(self.message, excs)


class SupervisorDownError(SupervisionError):
    """The supervisor is not running, or it stopped while the caller waited."""


class ChildDownError(SupervisionError):
    """The child cannot be reached: it is at rest or being stopped for good, or it died before it
    answered a ``call``."""


class CallCycleError(SupervisionError):
    """A ``call`` could never be answered: the task that would have to take it from the mailbox
    waits, directly or through other calls, for the caller itself."""


class MailboxGoneError(SupervisionError):
    """The mailbox's child no longer exists: it was deleted, or its supervisor ended."""


class StaleIncarnationError(SupervisionError):
    """A context was used after the incarnation it belongs to had ended."""
