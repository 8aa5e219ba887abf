"""Starting a program on its leash."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from supervisors._core.errors import SupervisionError
from supervisors._process.account import resolve

LEASH = Path(__file__).with_name("leash.py")
START_WAIT = 10.0  # seconds for the leash to tell the pid


class SubprocessError(SupervisionError):
    """The program ended otherwise than it should, or could not be started or killed.

    ``returncode`` as in ``subprocess``: negative is a signal, None: it never ran, or still does.
    ``stderr`` is the tail of its standard error.
    """

    def __init__(self, message: str, returncode: int | None, stderr: Sequence[str] = ()) -> None:
        super().__init__("\n".join([message, *stderr]))
        self.returncode: int | None = returncode
        self.stderr: tuple[str, ...] = tuple(stderr)


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """The live process.

    ``pid`` is the program itself, and its process group; ``leash_pid`` its leash. ``started_at``:
    the run's clock; ``started_at_wall``: seconds since the epoch, a label.
    """

    pid: int
    leash_pid: int
    started_at: float
    started_at_wall: float


@dataclass(frozen=True, slots=True)
class Settings:
    """What is to be run, and how it is stopped. ``stdin``: a pipe from us, else it is empty.

    Raises ValueError for what cannot be meant, NotImplementedError without POSIX.
    """

    command: Sequence[str | os.PathLike[str]]
    env: Mapping[str, str] | None
    cwd: str | os.PathLike[str] | None
    stop_signal: signal.Signals
    stop_grace: float
    user: str | int | None
    group: str | int | None
    stdin: bool

    def __post_init__(self) -> None:
        if not hasattr(os, "killpg"):
            raise NotImplementedError(
                "running a program needs the process groups and signals of POSIX, "
                f"which this platform ({sys.platform}) does not have"
            )
        if not self.command:
            raise ValueError("an empty command")
        if not self.stop_grace > 0:
            raise ValueError(f"stop_grace must be positive, got {self.stop_grace}")

    @property
    def program(self) -> str:
        """As given, for sentences."""
        return os.fspath(self.command[0])


@dataclass(frozen=True, slots=True)
class Started:
    """A program that runs: its leash, the socket to it, and what it has said so far."""

    process: trio.Process
    control: socket.socket
    info: ProcessInfo
    told: bytes


async def start(settings: Settings) -> Started:
    """Raises SubprocessError when the command cannot be run, KeyError for an unknown account."""
    account = resolve(settings.user, settings.group).options()
    control, theirs = socket.socketpair()
    try:
        with theirs:
            process = await trio.lowlevel.open_process(
                [
                    *(sys.executable, "-I", "-S", str(LEASH)),
                    *("--control-fd", str(theirs.fileno())),
                    *("--owner", str(os.getpid())),
                    *("--stop-signal", str(int(settings.stop_signal))),
                    *("--grace", str(settings.stop_grace)),
                    *account,
                    "--",
                    *[os.fspath(part) for part in settings.command],
                ],
                stdin=subprocess.PIPE if settings.stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=settings.env,
                cwd=settings.cwd,
                process_group=0,
                pass_fds=(theirs.fileno(),),
            )
    except OSError as error:
        control.close()
        raise SubprocessError(f"cannot run {settings.program}: {error}", None) from error
    except BaseException:
        control.close()
        raise
    told, rest = b"", ""
    with trio.CancelScope(shield=True):  # bounded within; until then nobody knows the pid
        told = await _first_line(control)
        word, _, rest = told.decode("utf-8", "replace").partition("\n")[0].partition(" ")
        if word != "pid":
            control.close()
            await _end(process)
            reason = rest if word == "error" else "its leash failed"
            raise SubprocessError(f"cannot run {settings.program}: {reason}", None)
    info = ProcessInfo(int(rest), process.pid, trio.current_time(), time.time())
    return Started(process, control, info, told)


async def _first_line(control: socket.socket) -> bytes:
    """What the leash says once it knows whether the command runs; less if it dies or hangs."""
    control.setblocking(False)
    told = b""
    with trio.move_on_after(START_WAIT):
        while b"\n" not in told:
            await trio.lowlevel.wait_readable(control)
            try:
                chunk = control.recv(4096)
            except OSError:
                break
            if not chunk:
                break
            told += chunk
    return told


async def _end(process: trio.Process) -> None:
    """A leash without a program; should it have one after all, its guardian ends that."""
    process.kill()
    with trio.move_on_after(START_WAIT):
        await process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            await stream.aclose()
