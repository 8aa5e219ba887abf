"""Named places where a fault test may end, stop or break the product.

Off unless ``ZAPVISOR_FAILPOINT=<name>:<action>[@<n>]`` is set when the process starts; then, at the
n-th passage (default 1) of the named place, the action happens once:

- ``kill``: SIGKILL to this process;
- ``stop``: SIGSTOP to this process, until somebody sends SIGCONT;
- ``eio``, ``enospc``: the OSError that a failing or full disk gives, raised there.

A name that is not in ``FAILPOINTS`` is the bridge's (``bridge/README.md``). With
``ZAPVISOR_FAILPOINT=@<file>`` the same is read from that file at every passage, by both processes;
whoever strikes removes it first. So a running product can be armed, and is struck only once.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

VARIABLE = "ZAPVISOR_FAILPOINT"

FAILPOINTS = frozenset(
    {
        "journal-write",  # in the transaction, before its COMMIT
        "fsync",  # after the COMMIT, before anybody is told
        "checkpoint",  # the log of the last run is about to be moved into the main file
        "ack",  # a batch of the bridge is on the disk, the bridge not told
        "claim",  # the writer has a batch, Supabase not asked
        "rpc-sent",  # the request is out, no answer yet
        "rpc-committed",  # Supabase has answered, nothing settled
        "settle",  # settled, no event published
        "command-written",  # an outgoing message is on the disk, the API's client not told
        "send",  # about to be handed to the bridge
        "sent",  # the bridge says that it is written to WhatsApp
        "robot-decided",  # the robot knows what to say, nothing of it is on the disk
        "server-ack",  # WhatsApp's acknowledgement is here, not recorded
    }
)
ACTIONS = frozenset({"kill", "stop", "eio", "enospc"})


class _Point:
    """One specification, and how many passages are left until it strikes."""

    def __init__(self, spec: str) -> None:
        self.spec = spec
        self.name, _, rest = spec.partition(":")
        self.action, _, count = rest.partition("@")
        self.left = int(count or 1)
        if self.name in FAILPOINTS and self.action not in ACTIONS:
            raise ValueError(f"unknown action in {VARIABLE}={spec}")

    def passes(self) -> bool:
        """Count a passage; True when it is the one to strike at."""
        self.left -= 1
        return self.left == 0

    def strike(self) -> None:
        match self.action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "eio":
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            case "enospc":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


_spec = os.environ.get(VARIABLE)
_file = Path(_spec[1:]) if _spec and _spec.startswith("@") else None
_point = _Point(_spec) if _spec and _file is None else None


def failpoint(name: str) -> None:
    """Pass the place ``name``. Raises OSError when a failing disk is asked for."""
    if _spec is not None:
        _pass(name)


def armed() -> bool:
    """Whether anything may ever strike: for hooks that cost something."""
    return _spec is not None


def for_bridge() -> Mapping[str, str]:
    """The variable as the bridge is to have it."""
    if _spec is None or (_point is not None and _point.name in FAILPOINTS):
        return {}
    return {VARIABLE: _spec}


def _pass(name: str) -> None:
    global _point
    if _file is not None:
        spec = ""
        with suppress(FileNotFoundError):
            spec = _file.read_text().strip()
        if _point is None or _point.spec != spec:
            _point = _Point(spec) if spec else None
    point = _point
    if point is None or point.name != name or not point.passes():
        return
    if _file is not None:
        _file.unlink()
    point.strike()
