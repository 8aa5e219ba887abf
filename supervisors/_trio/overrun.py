"""``hard_exit``: the end of a program that does not stop."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from contextlib import suppress

from supervisors._core.errors import NotStoppedError
from supervisors._core.exits import describe
from supervisors._trio.streams import flush_streams
from supervisors._trio.system import logger

EXIT_STOP_OVERRUN = 70
"""Exit code of ``hard_exit``."""


def hard_exit(stuck: NotStoppedError, cause: BaseException | None) -> None:
    """``open_supervisor(..., overrun=hard_exit)``: ends the process on the spot, code 70.

    Logs what did not stop, where it hangs and why the tree was stopped (the first cause), prints
    the stacks of all threads to standard error, flushes what Python and ``logging`` still hold.
    Neither ``finally`` blocks nor ``atexit`` run: whatever must survive that has to be crash-safe.
    """
    logger.critical(
        "%s; ending the process with code %d; it was stopped because of: %s",
        stuck,
        EXIT_STOP_OVERRUN,
        "no error" if cause is None else describe(cause),
        exc_info=cause,
    )
    for handler in [*logging.getLogger().handlers, *logger.handlers]:
        with suppress(Exception):
            handler.flush()
    with suppress(Exception):
        faulthandler.dump_traceback(sys.__stderr__ or 2)
    flush_streams()
    os._exit(EXIT_STOP_OVERRUN)
