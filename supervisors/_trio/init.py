"""Process 1 of a container: passes signals on and reaps what nobody else does."""

from __future__ import annotations

import os
import signal
import sys

FORWARDED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH")


def become_init() -> None:
    """Forks. Returns in the child, which is to do the work; the parent stays as its init and ends
    as the child does (with its code, or 128 and the signal). To be called before any thread exists.
    """
    signals = [getattr(signal, name) for name in FORWARDED if hasattr(signal, name)]
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, signals
    )  # until there is whom to pass them to
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    try:
        for number in signals:
            signal.signal(number, lambda received, _frame: os.kill(child, received))
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        code = reap_until_end_of(child)
    except BaseException:  # whatever it is, this copy of the program must not go on
        os._exit(1)
    os._exit(code)


def reap_until_end_of(child: int) -> int:
    """Waits for every process that ends, orphans that were handed to us too, until it is that one;
    returns its exit code, 128 and the number for a signal."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
