"""Named places where a fault test may end, stop or break the product.

Off unless ``ZAPVISOR_FAILPOINT=<name>:<action>[@<n>]`` is set when the process starts; then, at the
n-th passage (default 1) of the named place, the action happens once:

- ``kill``: SIGKILL to this process;
- ``stop``: SIGSTOP to this process, until somebody sends SIGCONT;
- ``eio``, ``enospc``: the OSError that a failing or full disk gives, raised there.

A name that is not in ``FAILPOINTS`` is the bridge's (``bridge/README.md``) and is handed to the
first bridge process, so that the one which takes its place runs on.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass

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
        "server-ack",  # WhatsApp's acknowledgement is here, not recorded
    }
)
ACTIONS = frozenset({"kill", "stop", "eio", "enospc"})


@dataclass(slots=True)
class _Armed:
    name: str
    action: str
    left: int


def failpoint(name: str) -> None:
    """Pass the place ``name``. Raises OSError when a failing disk is asked for."""
    if _armed is None or _armed.name != name:
        return
    _armed.left -= 1
    if _armed.left == 0:
        _act(_armed)


def armed(name: str) -> bool:
    """Whether something is to happen at this place: for hooks that cost something."""
    return _armed is not None and _armed.name == name


def for_bridge() -> Mapping[str, str]:
    """The variable for the bridge's environment, the first time that it is asked for."""
    global _bridge_spec
    spec, _bridge_spec = _bridge_spec, None
    return {} if spec is None else {VARIABLE: spec}


def _act(point: _Armed) -> None:
    match point.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "eio":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        case "enospc":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _read(spec: str) -> tuple[_Armed | None, str | None]:
    """What is armed here, and what is for the bridge. Raises ValueError."""
    name, _, rest = spec.partition(":")
    if name not in FAILPOINTS:
        return None, spec or None
    action, _, count = rest.partition("@")
    if action not in ACTIONS:
        raise ValueError(f"unknown action in {VARIABLE}={spec}")
    return _Armed(name, action, int(count or 1)), None


_armed, _bridge_spec = _read(os.environ.get(VARIABLE, ""))
