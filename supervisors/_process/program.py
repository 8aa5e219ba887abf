"""``open_program``: a program inside of a block, and its standard streams as channels."""

from __future__ import annotations

import signal
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from os import PathLike

import trio

from supervisors._process.output import Lines, Output
from supervisors._process.start import ProcessInfo, Settings, Started, SubprocessError, start

KILL_WAIT = 2.0  # seconds beyond the grace for a program to end that was sent SIGKILL
LEASH_WAIT = 0.5  # the part of it for a leash that was sent SIGKILL
DRAIN_WAIT = 1.0  # seconds for the last lines after the exit


class Program:
    """A program that runs; made by ``open_program`` and valid inside of its block.

    ``info``: its process. ``stdin``: what is sent here the program reads; ``aclose`` it to let the
    program see the end. ``stdout``: what it writes. Nothing is read ahead: a program whose output
    nobody takes waits, as it does for a full pipe.
    """

    def __init__(self, started: Started, settings: Settings, output: Output) -> None:
        process = started.process
        assert process.stdin is not None or not settings.stdin
        assert process.stdout is not None
        assert process.stderr is not None
        self.info: ProcessInfo = started.info
        self.stdout: trio.abc.ReceiveStream = process.stdout
        self._stdin = process.stdin
        self._errors: trio.abc.ReceiveStream = process.stderr
        self._process = process
        self._control: socket.socket = started.control
        self._told = started.told
        self._settings = settings
        self._output = output
        self._lines: Lines | None = None

    @property
    def stdin(self) -> trio.abc.SendStream:
        """See the class."""
        assert self._stdin is not None
        return self._stdin

    @property
    def stderr(self) -> tuple[str, ...]:
        """The last lines of standard error so far, at most 20."""
        return tuple(self._output.tail)

    def lines(self) -> AsyncIterator[str]:
        """The lines of ``stdout``, decoded as UTF-8, without their ends; ends with the stream.

        Lines above 64 KiB come in pieces. It is the same iterator at every call, for it holds what
        of the stream is not yet a line: do not read ``stdout`` itself as well.
        """
        if self._lines is None:
            self._lines = Lines(self.stdout)
        return self._lines

    async def wait(self) -> int:
        """Waits for the end. Returns the code, negative for a signal, as in ``subprocess``.

        By then SIGKILL was sent to whatever it left behind in its process group. There is no
        deadline but the caller's. A program that writes more than a pipe holds does not end before
        ``stdout`` is read.
        """
        await self._process.wait()
        return self._code()

    def _code(self) -> int:
        with suppress(OSError):  # it had said nothing more, or we have heard it
            self._told += self._control.recv(256)
        for line in self._told.decode().splitlines():
            word, _, rest = line.partition(" ")
            if word == "exit":
                return int(rest)
        return -signal.SIGKILL  # so do those end whose leash was killed

    async def _stop(self) -> None:
        """Leaves nothing behind: the stop signal, the grace, SIGKILL to the group. Bounded."""
        process = self._process
        if process.returncode is None:
            with suppress(OSError):
                self._control.send(b"stop\n")
            with trio.move_on_after(self._settings.stop_grace + KILL_WAIT - LEASH_WAIT):
                await process.wait()
        if process.returncode is None:
            process.kill()  # its guardian does what it did not
            with trio.move_on_after(LEASH_WAIT):
                await process.wait()
        self._code()
        self._control.close()
        if self._stdin is not None:
            await self._stdin.aclose()

    async def _discard(self) -> None:
        """Lets a program end that has something left to write, unless somebody else reads it."""
        with suppress(trio.BusyResourceError, trio.ClosedResourceError, trio.BrokenResourceError):
            async for _ in self.stdout:
                pass


async def _read(
    output: Output, stream: trio.abc.ReceiveStream, name: str, scope: trio.CancelScope
) -> None:
    with scope:
        await output.read(stream, name)


@asynccontextmanager
async def running(
    settings: Settings, output: Output, *, lines: bool
) -> AsyncGenerator[Program, None]:
    """The program runs inside of the block. ``lines``: all of its output goes to ``output``."""
    program = Program(await start(settings), settings, output)
    streams = {"stderr": program._errors}
    if lines:
        streams["stdout"] = program.stdout
    scopes = [trio.CancelScope(shield=True) for _ in streams]
    only: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            for (name, stream), scope in zip(streams.items(), scopes, strict=True):
                nursery.start_soon(_read, output, stream, name, scope)
            try:
                yield program
            finally:
                with trio.CancelScope(shield=True):  # bounded by _stop
                    async with trio.open_nursery() as stopping:
                        if not lines:
                            stopping.start_soon(program._discard)
                        await program._stop()
                        stopping.cancel_scope.cancel()
                    if not lines:
                        await program.stdout.aclose()
                # For the last lines; a stray process that holds the pipe does not hold us.
                for scope in scopes:
                    scope.deadline = trio.current_time() + DRAIN_WAIT
                if program._process.returncode is None:
                    raise SubprocessError(f"{settings.program} cannot be killed", None)
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        # As the block raised it: the nursery is not the caller's.
        only = next(iter(group.exceptions))
    if only is not None:
        raise only


def open_program(
    command: Sequence[str | PathLike[str]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str | PathLike[str] | None = None,
    on_line: Callable[[str, str], None] | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    stop_grace: float = 3.0,
    user: str | int | None = None,
    group: str | int | None = None,
) -> AbstractAsyncContextManager[Program]:
    """``async with open_program([...]) as program``: in a child or in any other task of trio.

    Runs the command in a process group of its own, with its standard input and output as streams
    with back-pressure (see Program). Leaving the block, in whatever way, stops the program if it
    still runs: ``stop_signal`` to the program, after ``stop_grace`` seconds SIGKILL to the whole
    group; output that nobody has taken is thrown away meanwhile. That takes ``stop_grace`` + 3
    seconds at most and cannot be cancelled: a child that does it needs room in its
    ``stop_deadline``.

    ``on_line(stream, line)`` is called with "stderr" and every line of standard error, which is
    always read; if it raises, the block is cancelled and the exception comes out. The rest is as
    for SubprocessChild, also what is promised about processes that are left behind.

    No code of the program is an error here: ask ``wait``. Raises SubprocessError when the command
    cannot be run or not be killed, KeyError for an unknown account; at once ValueError for
    contradictory settings and NotImplementedError where there is no POSIX.
    """
    settings = Settings(command, env, cwd, stop_signal, stop_grace, user, group, stdin=True)
    return running(settings, Output(on_line), lines=False)
