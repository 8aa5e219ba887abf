"""Process 1 of a container: passes signals on and reaps what nobody else does."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Set
from contextlib import suppress

from supervisors._trio.streams import flush_streams

FORWARDED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")

FROM_TERMINAL = ("SIGINT", "SIGQUIT", "SIGWINCH")
"""What a terminal sends to all of its foreground group, so to both of us."""


def become_init() -> None:
    """Forks. Returns in the child, which is to do the work; the parent stays as its init and ends
    as the child does (with its code, or 128 and the signal). To be called before any thread exists.
    """
    numbers = {getattr(signal, name) for name in FORWARDED if hasattr(signal, name)}
    # Blocked for good in the parent, which waits for them; so none comes too early or too late.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*numbers, signal.SIGCHLD})
    # Where SIGCHLD is ignored, the kernel reaps, and the exit code is lost.
    on_child = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    flush_streams()
    child = os.fork()
    if child == 0:
        if on_child is not None:
            signal.signal(signal.SIGCHLD, on_child)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    try:
        code = serve(child, numbers)
    except BaseException:  # whatever it is, this copy of the program must not go on
        with suppress(Exception):
            traceback.print_exc()
        os._exit(1)
    os._exit(code)


def serve(child: int, numbers: Set[int]) -> int:
    """Passes these signals on and reaps, orphans that were handed to us too, until the child has
    ended; returns its exit code, 128 and the number for a signal. All of the signals and SIGCHLD
    are blocked. The child's pid is its own until it is reaped, so no signal goes astray."""
    while True:
        code = _reap(child)
        if code is not None:
            return code
        received = signal.sigwaitinfo({*numbers, signal.SIGCHLD})
        number = signal.Signals(received.si_signo)
        if number is not signal.SIGCHLD and not _has_it_too(child, number, received.si_code):
            os.kill(child, number)


def _has_it_too(child: int, number: signal.Signals, si_code: int) -> bool:
    """Whether the child got this signal from the terminal, as we did: passed on, one Ctrl-C would
    be two. A positive ``si_code`` is the kernel's; who calls ``kill`` meant us alone."""
    from_terminal = si_code > 0 and number.name in FROM_TERMINAL
    return from_terminal and os.getpgid(child) == os.getpgrp()


def _reap(child: int) -> int | None:
    """Reaps all that have ended (one SIGCHLD may tell of many), until it is the child."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return None
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
