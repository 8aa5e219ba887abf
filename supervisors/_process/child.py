"""``SubprocessChild``: the ``run`` of a child that is a program."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path

import trio

from supervisors._process.output import LineHandler, Output
from supervisors._process.program import DRAIN_WAIT, KILL_WAIT, Program, running
from supervisors._process.start import ProcessInfo as ProcessInfo
from supervisors._process.start import Settings
from supervisors._process.start import SubprocessError as SubprocessError
from supervisors._trio.context import ChildContext


class SubprocessChild:
    """``ChildSpec(name, SubprocessChild([...]))``: one program, one process group.

    command
        Program and arguments, no shell.
    env, cwd
        As for ``subprocess``. ``env=None`` inherits all of the environment.
    success_codes
        The program ending by itself with one of these codes is a normal return of the child: a
        TRANSIENT one is done, a PERMANENT one is restarted. Default: 0. Any other code is a crash
        (SubprocessError with the code and the last lines of standard error), as is an end by a
        signal. Empty: however a program ends that nobody stopped, it is a crash.
    ready_line
        Ready at the first line of standard output for which this returns True.
    ready_probe
        Ready when this coroutine function returns; it polls as it likes, the child's
        ``ready_deadline`` bounds it. Neither of the two: ready as soon as it runs. A program that
        ends well before it is ready returns normally all the same.
    on_line
        ``(stream, line)`` for every line, ``stream`` being "stdout" or "stderr"; lines above
        64 KiB come in pieces. Both streams are always read. If it raises, the child crashes.
    stop_signal, stop_grace
        A stop sends the signal to the program, and SIGKILL to its whole group after the grace
        (seconds). The child's ``stop_deadline`` must leave room for that (``stop_needs``).
    stdin_eof_stops
        True: the program's standard input is a pipe that ends when this process does, for programs
        that stop then. False (default): it is empty.
    user, group
        Account to run as (name or number); needs the right to change to it.

    Where there is no POSIX the constructor raises NotImplementedError.

    What is left behind: nothing of the program's process group. Its leash, a small process between
    the program and us, stops it within ``stop_grace`` when this process ends, also by SIGKILL and
    whatever the program makes of its standard input. A guardian in the program's group kills the
    group when the leash is killed, also if we are at the same instant. On Linux the child has ended
    only when the group is empty, unless the leash was killed or a process of the group cannot be.

    What is not promised: a process that has moved to another process group is out of reach, and so
    is one that our account may not signal. When we, leash and guardian are all killed at the same
    instant, Linux kills the program too, but not the processes that it has started; other systems
    kill neither.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        success_codes: Collection[int] = (0,),
        ready_line: Callable[[str], bool] | None = None,
        ready_probe: Callable[[], Awaitable[None]] | None = None,
        on_line: LineHandler | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        stop_grace: float = 3.0,
        stdin_eof_stops: bool = False,
        user: str | int | None = None,
        group: str | int | None = None,
    ) -> None:
        self._settings = Settings(
            command, env, cwd, stop_signal, stop_grace, user, group, stdin=stdin_eof_stops
        )
        if ready_line is not None and ready_probe is not None:
            raise ValueError("either ready_line or ready_probe, not both")
        if any(not 0 <= code <= 255 for code in success_codes):
            raise ValueError(f"success_codes are 0 to 255, got {list(success_codes)}")
        self._success_codes = frozenset(success_codes)
        self._ready_line = ready_line
        self._ready_probe = ready_probe
        self._on_line = on_line
        self._runs = False
        self._info: ProcessInfo | None = None

    @property
    def process(self) -> ProcessInfo | None:
        """The live process, or None while there is none."""
        return self._info

    @property
    def stop_needs(self) -> float:
        """Seconds that a stop can take."""
        return self._settings.stop_grace + KILL_WAIT + DRAIN_WAIT

    @trio.lowlevel.enable_ki_protection
    async def __call__(self, ctx: ChildContext) -> None:
        if self._runs:
            raise RuntimeError(f"{ctx.path}: this program object is running already")
        self._runs = True
        output = Output(self._on_line, self._ready_line, ctx.ready)
        try:
            async with running(self._settings, output, lines=True) as program:
                self._info = program.info
                code = await self._wait(ctx, program)
        finally:
            self._info = None
            self._runs = False
        if code not in self._success_codes:
            name = Path(self._settings.program).name
            raise SubprocessError(f"{name} {_how(code)}", code, program.stderr)

    async def _wait(self, ctx: ChildContext, program: Program) -> int:
        if self._ready_probe is None:
            if self._ready_line is None:
                ctx.ready()
            return await program.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._probe, self._ready_probe, ctx)
            code = await program.wait()
            nursery.cancel_scope.cancel()
        return code

    async def _probe(self, probe: Callable[[], Awaitable[None]], ctx: ChildContext) -> None:
        await probe()
        ctx.ready()


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time signal has no name
        return f"was killed by signal {-code}"
