"""Reading a program's output: lines of bounded length, always drained, the tail kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

MAX_LINE = 64 * 1024
TAIL = 20

LineHandler = Callable[[str, str], None]


class Output:
    """Both streams of one process."""

    def __init__(self, on_line: LineHandler | None, match: Callable[[str], bool] | None) -> None:
        self._on_line = on_line
        self._match = match
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.matched = trio.Event()

    async def read(self, stream: trio.abc.ReceiveStream, name: str) -> None:
        """Hands on every line until the stream ends. Longer lines come in pieces."""
        buffer = bytearray()
        async with stream:
            async for chunk in stream:
                buffer += chunk
                while (taken := _line_length(buffer)) is not None:
                    self._line(name, bytes(buffer[:taken]))
                    del buffer[: taken + (buffer[taken : taken + 1] == b"\n")]
        if buffer:
            self._line(name, bytes(buffer))

    def _line(self, name: str, raw: bytes) -> None:
        line = raw.decode("utf-8", "replace").rstrip("\r")
        if name == "stderr":
            self.tail.append(line)
        if self._on_line is not None:
            self._on_line(name, line)
        if name == "stdout" and self._match is not None and self._match(line):
            self._match = None
            self.matched.set()


def _line_length(buffer: bytearray) -> int | None:
    """Length of the next complete line, or of a piece of an overlong one; None: not yet."""
    end = buffer.find(b"\n", 0, MAX_LINE + 1)
    if end >= 0:
        return end
    return MAX_LINE if len(buffer) > MAX_LINE else None
