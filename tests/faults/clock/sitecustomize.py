"""A wall clock that is wrong by as many seconds as the file ``CLOCK_OFFSET_FILE`` says right now.

Python imports this before anything else where its directory is in ``PYTHONPATH``.
"""

import datetime
import os
import time

_REAL = datetime.datetime
_time, _time_ns = time.time, time.time_ns


def _offset():
    try:
        with open(os.environ["CLOCK_OFFSET_FILE"], encoding="ascii") as file:
            return int(file.read() or 0)
    except OSError:
        return 0


class _Kind(type):
    def __instancecheck__(cls, value):
        return isinstance(value, _REAL)


class _Wrong(_REAL, metaclass=_Kind):
    @classmethod
    def now(cls, tz=None):
        return _REAL.fromtimestamp(time.time(), tz)


time.time = lambda: _time() + _offset()
time.time_ns = lambda: _time_ns() + _offset() * 1_000_000_000
datetime.datetime = _Wrong
