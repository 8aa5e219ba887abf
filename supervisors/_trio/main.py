"""``run_supervisor``: the main function of a supervised program."""

from __future__ import annotations

import _thread
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from types import FrameType

import trio

from supervisors._core.errors import EscalationError, NotStoppedError
from supervisors._core.exits import leaves
from supervisors._trio.base import SupervisorBase
from supervisors._trio.init import become_init
from supervisors._trio.leftovers import describe
from supervisors._trio.opened import Overrun, open_supervisor
from supervisors._trio.overrun import EXIT_STOP_OVERRUN, hard_exit
from supervisors._trio.root import Root
from supervisors._trio.streams import flush_streams
from supervisors._trio.system import Observer, logger
from supervisors._trio.user import unprotected

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

LAST_WORDS = 3.0
"""Seconds that the log has when the process is to end at once."""

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def run_supervisor(
    supervisor: SupervisorBase,
    *,
    name: str = "root",
    body: Callable[[Root], Awaitable[object]] | None = None,
    stop_limit: float | None = None,
    observers: Iterable[Observer] = (),
    overrun: Overrun | None = hard_exit,
) -> int:
    """Runs a tree as a program: ``sys.exit(run_supervisor(tree))``. Returns the exit code.

    body
        ``async (Root) -> None``: what runs inside the open tree; when it returns, the tree is
        stopped. Default None: wait to be told to stop.
    name, stop_limit, observers
        As for ``open_supervisor``.
    overrun
        As for ``open_supervisor``, but default ``hard_exit``: whoever runs the program starts a
        process that has ended anew, and not one that hangs half dead.

    SIGTERM and SIGINT (on Windows also SIGBREAK) begin an orderly stop, also while the tree still
    starts: children drain and stop in reverse order. A second one ends the process at once, with
    code 128 and the signal's number, after logging what is still there; it is heard even when the
    event loop is blocked, and a log that is stuck delays it by 3 s at most. No other signal is
    touched: SIGHUP ends the process, as ever. Handlers are put back afterwards. Raises RuntimeError
    outside the main thread.

    If the root logger has no handler, logging is set up: standard error, level INFO.

    As process 1 of a container it forks first, and stays as an init that passes signals on and
    reaps orphans; what runs the tree is then process 1's child. (Not if there are other threads
    already: then a warning is logged instead.) A Ctrl-C on the container's terminal counts once.

    | code | when |
    | --- | --- |
    | 0 | told to stop by a signal, ``body`` returned, or auto_shutdown |
    | 1 | the supervisor gave up, ``body`` raised, children crashed while stopping (logged) |
    | 70 | something did not end in time |
    | 128 + n | told to stop twice |
    | other | a child, or ``body``, raised SystemExit with it; 130 for KeyboardInterrupt |

    A SystemExit or KeyboardInterrupt in an exception group counts as if alone, the first of
    several; other errors beside it are logged, and its code is then never 0. As in Python, a
    SystemExit of None is 0, and of anything but a number is written to standard error and is 1.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("run_supervisor handles signals, so it belongs in the main thread")
    if not logging.getLogger().handlers:
        logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    if os.getpid() == 1:
        _fork_from_init()
    stop = _Stop(supervisor)

    async def main() -> None:
        with stop.listening() as scope, scope:
            async with open_supervisor(
                supervisor,
                name=name,
                stop_limit=stop_limit,
                observers=observers,
                overrun=overrun,
            ) as root:
                if body is None:
                    await trio.sleep_forever()
                else:
                    await unprotected(body, root)

    with _handlers(stop):
        try:
            trio.run(main)
        except BaseException as error:
            return _code_of(error, name)
    return 0


class _Stop:
    """What the signals ask for."""

    def __init__(self, supervisor: SupervisorBase) -> None:
        self._supervisor = supervisor
        self._asked = False
        self._ending = False
        self._scope: trio.CancelScope | None = None
        self._token: trio.lowlevel.TrioToken | None = None

    @contextmanager
    def listening(self) -> Generator[trio.CancelScope, None, None]:
        """The scope that is cancelled when a stop is asked for, or was before."""
        self._token = trio.lowlevel.current_trio_token()
        self._scope = trio.CancelScope()
        if self._asked:
            self._scope.cancel()
        try:
            yield self._scope
        finally:
            self._token = None

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """In the main thread, between any two instructions."""
        if self._asked:
            self._end_at_once(number)
        self._asked = True
        token, scope = self._token, self._scope
        if token is not None and scope is not None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(scope.cancel)

    def _end_at_once(self, number: int) -> None:
        """Returns, for what we interrupted may be a write to the log, which bears no other within
        it. Bare threads: to start a Thread takes a lock that may be held as well."""
        if self._ending:
            return
        self._ending = True
        code = 128 + number
        try:
            _thread.start_new_thread(_end_after, (LAST_WORDS, code))
            there = "".join(f"\n    {line}" for line in describe(self._supervisor))
            _thread.start_new_thread(_end_with_words, (code, number, there))
        except BaseException:
            os._exit(code)

    def done(self) -> None:
        """Returns unless the process is being ended: no other exit code may overtake that."""
        while self._ending:
            time.sleep(LAST_WORDS)


def _end_after(seconds: float, code: int) -> None:
    """For a log that is stuck."""
    time.sleep(seconds)
    os._exit(code)


def _end_with_words(code: int, number: int, there: str) -> None:
    try:
        logger.critical("told to stop twice (signal %d); still there:%s", number, there)
        flush_streams()
        logging.shutdown()
    finally:
        os._exit(code)


@contextmanager
def _handlers(stop: _Stop) -> Generator[None, None, None]:
    names = ("SIGTERM", "SIGINT", "SIGBREAK")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, stop.on_signal) for number in numbers}
    try:
        yield
    finally:
        stop.done()
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _fork_from_init() -> None:
    if threading.active_count() > 1:
        logger.warning(
            "process 1 with %d threads: orphans are not reaped", threading.active_count()
        )
    else:
        become_init()


def _code_of(error: BaseException, name: str) -> int:
    """The exit code for what came out of the run; logs it, unless it only asks for that code."""
    parts = leaves(error)
    ends = [part for part in parts if isinstance(part, KeyboardInterrupt | SystemExit)]
    if len(ends) == len(parts):
        return _code_of_end(ends[0])
    logger.critical("%s has ended", name, exc_info=error)
    if ends:
        return _code_of_end(ends[0]) or EXIT_FAILED
    return EXIT_STOP_OVERRUN if any(map(_is_late, parts)) else EXIT_FAILED


def _is_late(error: BaseException) -> bool:
    """Whether it tells of something that did not end in time."""
    late = isinstance(error.__cause__, NotStoppedError) and isinstance(error, EscalationError)
    return late or isinstance(error, NotStoppedError)


def _code_of_end(end: KeyboardInterrupt | SystemExit) -> int:
    """The exit code that Python gives it."""
    if isinstance(end, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code
    sys.stderr.write(f"{end.code}\n")
    return EXIT_FAILED
