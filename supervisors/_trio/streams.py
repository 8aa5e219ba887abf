"""The standard streams, when the process is about to end or to fork."""

from __future__ import annotations

import sys
from contextlib import suppress


def flush_streams() -> None:
    """Writes out what Python still holds; a stream may be closed, broken or None."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
