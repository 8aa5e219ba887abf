"""``SubprocessChild``: the ``run`` of a child that is a program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from supervisors._core.errors import SupervisionError
from supervisors._process import leash
from supervisors._process.account import resolve
from supervisors._process.output import LineHandler, Output
from supervisors._trio.context import ChildContext

KILL_WAIT = 2.0  # seconds for the kernel to reap what was sent SIGKILL
DRAIN_WAIT = 1.0  # seconds for the last lines after the exit
SPAWN_WAIT = 10.0  # seconds for the leash to tell the pid


class SubprocessError(SupervisionError):
    """The program ended by itself or could not be started.

    ``returncode`` as in ``subprocess``: negative is a signal, None: it never ran. ``stderr`` is the
    tail of its standard error.
    """

    def __init__(self, message: str, returncode: int | None, stderr: Sequence[str] = ()) -> None:
        super().__init__("\n".join([message, *stderr]))
        self.returncode = returncode
        self.stderr = tuple(stderr)


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """The live process. ``pid`` is the program itself; ``leash_pid`` its leash, if it has one.
    ``started_at``: the run's clock; ``started_at_wall``: seconds since the epoch, a label."""

    pid: int
    leash_pid: int | None
    started_at: float
    started_at_wall: float


class SubprocessChild:
    """``ChildSpec(name, SubprocessChild([...]))``: one program, one process group.

    command
        Program and arguments, no shell.
    env, cwd
        As for ``subprocess``. ``env=None`` inherits all of the environment.
    ready_line
        Ready at the first line of standard output for which this returns True.
    ready_probe
        Ready when this coroutine function returns; it polls as it likes, the child's
        ``ready_deadline`` bounds it. Neither of the two: ready as soon as it runs.
    on_line
        ``(stream, line)`` for every line, ``stream`` being "stdout" or "stderr"; lines above
        64 KiB come in pieces. Both streams are always read. If it raises, the child crashes.
    stop_signal, stop_grace
        A stop sends the signal to the program, and SIGKILL to its whole group after the grace
        (seconds). The child's ``stop_deadline`` must leave room for that (``stop_needs``).
    stdin_eof_stops
        True: the program itself ends when its standard input does. Then it is started directly and
        holds a pipe to us as standard input. False (default): it is started through a small leash
        process that does it for the program, whose standard input is empty.
    user, group
        Account to run as (name or number); needs the right to change to it.

    The program ending by itself, with whatever code, is a crash (SubprocessError with the code and
    the last lines of standard error). No process of the group is left when the child has ended, nor
    when this process was killed with SIGKILL.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        ready_line: Callable[[str], bool] | None = None,
        ready_probe: Callable[[], Awaitable[None]] | None = None,
        on_line: LineHandler | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_grace: float = 3.0,
        stdin_eof_stops: bool = False,
        user: str | int | None = None,
        group: str | int | None = None,
    ) -> None:
        if not command:
            raise ValueError("an empty command")
        if ready_line is not None and ready_probe is not None:
            raise ValueError("either ready_line or ready_probe, not both")
        if not stop_grace > 0:
            raise ValueError(f"stop_grace must be positive, got {stop_grace}")
        self._command = [os.fspath(part) for part in command]
        self._env = env
        self._cwd = cwd
        self._ready_line = ready_line
        self._ready_probe = ready_probe
        self._on_line = on_line
        self._stop_signal = stop_signal
        self._stop_grace = stop_grace
        self._direct = stdin_eof_stops
        self._user = user
        self._group = group
        self._info: ProcessInfo | None = None

    @property
    def process(self) -> ProcessInfo | None:
        """The live process, or None while there is none."""
        return self._info

    @property
    def stop_needs(self) -> float:
        """Seconds that a stop can take."""
        return self._stop_grace + KILL_WAIT + DRAIN_WAIT

    async def __call__(self, ctx: ChildContext) -> None:
        if self._info is not None:
            raise RuntimeError(f"{ctx.path}: this program object is running already")
        output = Output(self._on_line, self._ready_line)
        process = await self._spawn()
        info = self._info
        assert info is not None
        try:
            async with trio.open_nursery() as nursery:
                readers = trio.CancelScope(shield=True)
                nursery.start_soon(_read, process, output, readers)
                nursery.start_soon(self._become_ready, ctx, output)
                try:
                    await process.wait()
                finally:
                    with trio.CancelScope(shield=True):
                        await self._end(process, info)
                    # For the last lines; a stray process that holds the pipe does not hold us.
                    readers.deadline = trio.current_time() + DRAIN_WAIT
                    nursery.cancel_scope.cancel()
        finally:
            self._info = None
        name = Path(self._command[0]).name
        code = process.returncode
        raise SubprocessError(f"{name} {_how(code)}", code, output.tail)

    async def _become_ready(self, ctx: ChildContext, output: Output) -> None:
        if self._ready_line is not None:
            await output.matched.wait()
        elif self._ready_probe is not None:
            await self._ready_probe()
        ctx.ready()

    # ------------------------------------------------------------------ start

    async def _spawn(self) -> trio.Process:
        account = resolve(self._user, self._group)
        options: dict[str, Any] = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": self._env,
            "cwd": self._cwd,
            "process_group": 0,
        }
        if self._direct:
            process = await trio.lowlevel.open_process(
                self._command, **options, **account.for_popen()
            )
            self._info = _info(process.pid, None)
            return process
        status_read, status_write = os.pipe()
        try:
            process = await trio.lowlevel.open_process(
                [
                    *(sys.executable, "-I", "-S", leash.__file__),
                    *("--status-fd", str(status_write)),
                    *("--stop-signal", str(int(self._stop_signal))),
                    *("--grace", str(self._stop_grace)),
                    *account.for_leash(),
                    *("--", *self._command),
                ],
                pass_fds=(status_write,),
                **options,
            )
        except BaseException:
            os.close(status_read)
            raise
        finally:
            os.close(status_write)
        with trio.CancelScope(shield=True):  # bounded within; until then nobody knows the pid
            pid, error = await _status(status_read)
            if pid is None or error is not None:
                await self._end(process, None)
                message = f"cannot run {self._command[0]}: {error or 'its leash failed'}"
                raise SubprocessError(message, None)
        assert pid is not None
        self._info = _info(pid, process.pid)
        return process

    # ------------------------------------------------------------------ stop

    async def _end(self, process: trio.Process, info: ProcessInfo | None) -> None:
        """Leaves nothing behind: the stop signal, the grace, SIGKILL to the group. Bounded."""
        if process.returncode is None:
            assert process.stdin is not None
            if self._direct:
                process.send_signal(self._stop_signal)
                limit = self._stop_grace
            else:  # the leash does the rest, and we do it should it fail to
                await process.stdin.aclose()
                limit = self._stop_grace + KILL_WAIT / 2
            with trio.move_on_after(limit):
                await process.wait()
        if info is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(info.pid, signal.SIGKILL)
        if process.returncode is None:
            process.kill()
            with trio.move_on_after(KILL_WAIT):
                await process.wait()
        if process.stdin is not None:
            await process.stdin.aclose()


def _info(pid: int, leash_pid: int | None) -> ProcessInfo:
    return ProcessInfo(pid, leash_pid, trio.current_time(), time.time())


async def _read(process: trio.Process, output: Output, scope: trio.CancelScope) -> None:
    """Reads both streams to their end, or until the scope's deadline."""
    assert process.stdout is not None
    assert process.stderr is not None
    with scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(output.read, process.stdout, "stdout")
            nursery.start_soon(output.read, process.stderr, "stderr")


async def _status(descriptor: int) -> tuple[int | None, str | None]:
    """What the leash says until the command runs: its pid, and the error if it cannot be run."""
    pid = error = None
    text = b""
    async with trio.lowlevel.FdStream(descriptor) as stream:
        with trio.move_on_after(SPAWN_WAIT):
            async for chunk in stream:
                text += chunk
    for line in text.decode("utf-8", "replace").splitlines():
        word, _, rest = line.partition(" ")
        if word == "pid":
            pid = int(rest)
        else:
            error = rest
    return pid, error


def _how(code: int | None) -> str:
    if code is None:
        return "cannot be killed"
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with code {code}"
