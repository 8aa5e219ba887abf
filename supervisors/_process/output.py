"""Reading a program's output: lines of bounded length, always drained, the tail kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import trio

MAX_LINE = 64 * 1024
TAIL = 20

LineHandler = Callable[[str, str], None]


class Lines:
    """The lines of a stream, without their ends, until the stream ends. Longer ones in pieces."""

    def __init__(self, stream: trio.abc.ReceiveStream) -> None:
        self._stream = stream
        self._buffer = bytearray()

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> str:
        buffer = self._buffer
        await trio.lowlevel.checkpoint()
        while (taken := _line_length(buffer)) is None:
            chunk = await self._stream.receive_some()
            if not chunk:
                if not buffer:
                    raise StopAsyncIteration
                taken = len(buffer)
                break
            buffer += chunk
        raw = bytes(buffer[:taken])
        del buffer[: taken + (bytes(buffer[taken : taken + 1]) == b"\n")]
        return raw.decode("utf-8", "replace").rstrip("\r")


class Output:
    """What becomes of the lines of one program."""

    def __init__(
        self,
        on_line: LineHandler | None,
        match: Callable[[str], bool] | None = None,
        on_match: Callable[[], None] | None = None,
    ) -> None:
        self._on_line = on_line
        self._match = match
        self._on_match = on_match
        self.tail: deque[str] = deque(maxlen=TAIL)

    async def read(self, stream: trio.abc.ReceiveStream, name: str) -> None:
        """Hands on every line until the stream ends."""
        async with stream:
            async for line in Lines(stream):
                self._line(name, line)

    def _line(self, name: str, line: str) -> None:
        if name == "stderr":
            self.tail.append(line)
        if self._on_line is not None:
            self._on_line(name, line)
        if name == "stdout" and self._match is not None and self._match(line):
            self._match = None
            if self._on_match is not None:
                self._on_match()


def _line_length(buffer: bytearray) -> int | None:
    """Length of the next complete line, or of a piece of an overlong one; None: not yet."""
    end = buffer.find(b"\n", 0, MAX_LINE + 1)
    if end >= 0:
        return end
    return MAX_LINE if len(buffer) > MAX_LINE else None
