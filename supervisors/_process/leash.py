"""The leash of a program: no process of its group outlives the program, the leash or the owner.

Run as a script (``python -I -S leash.py OPTIONS -- COMMAND...``), standard library only::

    owner ── control ── leash ─┬─ program, the leader of a process group of its own
                               └─ guardian, a member of that group

The program gets the leash's standard streams, of which the leash keeps none. ``--control-fd`` is a
socket to the owner. The leash says ``pid N`` when the command runs, or ``error TEXT`` when it
cannot be run, and ``exit CODE`` at the end. Whatever the owner says, or its death (its end of the
socket closes; on Linux also: process ``--owner`` is gone), means stop: the stop signal to the
program and, after the grace, SIGKILL to the group. Signals to the leash are passed on to the
program.

The guardian kills the group once the leash is gone, however that came about. It holds the read end
of a pipe whose write end only the leash has. Being a member of the group it also keeps the group's
number from being given to others; so nobody is ever killed by mistake. If the guardian is killed,
the leash kills the group. If all of us are killed at once, on Linux the kernel kills the program.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
LINGER = 1.0  # seconds for the kernel to end those that were sent SIGKILL

Prctl = Callable[[int, int], int]


def main(argv: list[str]) -> int:
    split = argv.index("--")
    options = dict(zip(argv[:split:2], argv[1:split:2], strict=True))
    control = int(options["--control-fd"])
    os.set_inheritable(control, False)
    prctl = load_prctl()
    if prctl is not None:
        prctl(PR_SET_CHILD_SUBREAPER, 1)  # the group's orphans become ours, to wait for
    number_read, number_write = os.pipe()
    joined_read, joined_write = os.pipe()
    guardian = os.fork()
    if not guardian:
        guard(number_read, joined_write, (control, number_write, joined_read))
    os.close(number_read)
    os.close(joined_write)
    wake = wake_up()
    failed_read, failed_write = os.pipe()
    leash = os.getpid()
    program = os.fork()
    if not program:
        pipes = number_write, joined_read, failed_write
        execute(argv[split + 1 :], options, leash, prctl, *pipes)
    os.close(joined_read)
    os.close(failed_write)
    let_go()
    if failure := os.read(failed_read, 1024):  # else it was closed, by the exec
        os.kill(guardian, signal.SIGKILL)
        os.waitpid(guardian, 0)
        tell(control, "error " + failure.decode("utf-8", "replace").replace("\n", " "))
        return 1
    os.close(failed_read)
    tell(control, f"pid {program}")
    stops = [control, *open_owner(int(options["--owner"]))]
    stop_signal, grace = int(options["--stop-signal"]), float(options["--grace"])
    code = follow(program, guardian, stops, wake, stop_signal, grace)
    bury(program, wake)
    tell(control, f"exit {code}")
    return 0


def nothing(_number: int, _frame: FrameType | None) -> None:
    """A handler, so that the signal reaches the wake-up descriptor."""


def wake_up() -> int:
    """From now on every signal makes this descriptor readable."""
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    for number in (*FORWARDED, signal.SIGCHLD):
        signal.signal(number, nothing)
    return wake_read


def guard(number: int, joined: int, foreign: tuple[int, ...]) -> NoReturn:
    """The guardian: joins the program's group, and kills it when the leash is gone."""
    try:
        for ignored in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            with contextlib.suppress(OSError):
                signal.signal(ignored, signal.SIG_IGN)
        for descriptor in foreign:
            os.close(descriptor)
        let_go()
        group = int(os.read(number, 32))  # raises when the leash died before it had a program
        os.setpgid(0, group)
        os.write(joined, b".")
        os.close(joined)
        os.read(number, 1)  # its end: the leash is gone
        os.killpg(group, signal.SIGKILL)
    finally:
        os._exit(1)


def execute(
    command: list[str],
    options: dict[str, str],
    leash: int,
    prctl: Prctl | None,
    number: int,
    joined: int,
    failed: int,
) -> NoReturn:
    """What becomes the program. From the exec on, the guardian knows of it."""
    try:
        os.setpgid(0, 0)
        for signal_number in (*FORWARDED, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(signal_number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        become(options)
        if prctl is not None:  # after the change of user, which would clear it
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != leash:
                os._exit(1)
        os.write(number, str(os.getpid()).encode())
        if os.read(joined, 1):
            os.execvp(command[0], command)  # noqa: S606  no shell, on purpose
        os.write(failed, b"its guardian has ended")
    except BaseException as error:
        os.write(failed, str(error).encode())
    finally:
        os._exit(127)


def become(options: dict[str, str]) -> None:
    """Changes to the wanted user and group, with the user's supplementary groups."""
    group, user = options.get("--gid"), options.get("--uid")
    if user is not None or group is not None:
        if os.geteuid() == 0:
            os.setgroups([int(part) for part in options["--groups"].split(",") if part])
        if group is not None:
            os.setgid(int(group))
        if user is not None:
            os.setuid(int(user))


def load_prctl() -> Prctl | None:
    """Linux only; None elsewhere."""
    if sys.platform != "linux":
        return None
    import ctypes  # here, for it costs a few milliseconds

    function: Prctl = ctypes.CDLL(None).prctl
    return function


def open_owner(owner: int) -> list[int]:
    """What becomes readable when the owner ends, even if a fork of it holds our socket."""
    if sys.platform != "linux":
        return []
    with contextlib.suppress(OSError):  # an old kernel, or a sandbox that does not allow it
        descriptor = os.pidfd_open(owner)
        if os.getppid() == owner:
            return [descriptor]
    if os.getppid() != owner:  # it has ended already
        return [os.open(os.devnull, os.O_RDONLY)]
    return []


def let_go() -> None:
    """Lets go of the standard streams, so that their end is the program's end."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)


def tell(control: int, line: str) -> None:
    with contextlib.suppress(OSError):  # nobody is there any more
        os.write(control, line.encode() + b"\n")


def follow(
    program: int, guardian: int, stops: list[int], wake: int, stop_signal: int, grace: float
) -> int:
    """Waits for the program's end, for a command to stop, and for signals to pass on.

    Returns the program's exit code, as ``subprocess`` has it, when SIGKILL was sent to the group.
    """
    kill_at = None
    while True:
        ended = reap(program, guardian)
        if ended is not None:
            return ended
        watched = [wake] if kill_at is not None else [wake, *stops]
        timeout = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        readable = select.select(watched, [], [], timeout)[0]
        if wake in readable:
            for number in os.read(wake, 64):
                if number != signal.SIGCHLD:
                    send(program, number)
        if any(descriptor in readable for descriptor in stops):
            send(program, stop_signal)
            kill_at = time.monotonic() + grace
        if kill_at is not None and time.monotonic() >= kill_at:
            return finish(program)


def reap(program: int, guardian: int) -> int | None:
    """The exit code of a program that has ended; None while it runs. Takes orphans along."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return None
        if pid == guardian:
            return finish(program)
        if pid == program:
            kill_group(program)  # its own number still: the guardian is in there
            return os.waitstatus_to_exitcode(status)


def finish(program: int) -> int:
    """SIGKILL to the group of a program that we have not waited for yet."""
    kill_group(program)
    return os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])


def send(pid: int, number: int) -> None:
    with contextlib.suppress(PermissionError):  # it has changed its account
        os.kill(pid, number)


def kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def bury(group: int, wake: int) -> None:
    """Waits for the last process of the group, as far as it is ours to wait for."""
    until = time.monotonic() + LINGER
    with contextlib.suppress(ChildProcessError):
        while (left := until - time.monotonic()) > 0:
            if not os.waitpid(-group, os.WNOHANG)[0] and select.select([wake], [], [], left)[0]:
                os.read(wake, 64)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
