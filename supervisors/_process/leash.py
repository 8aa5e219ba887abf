"""A leash for a program that does not notice when its parent dies.

Run as a script (``python -I -S leash.py OPTIONS -- COMMAND...``), standard library only. It starts
the command in a process group of its own, tells the command's pid through ``--status-fd``, passes
signals on, and when its own standard input reaches its end, because the owner closed it or died, it
sends the stop signal and, after the grace, SIGKILL to the group. It ends as the command ended.
On Linux the kernel kills the command should the leash itself be killed.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def main(argv: list[str]) -> int:
    split = argv.index("--")
    options = dict(zip(argv[:split:2], argv[1:split:2], strict=True))
    command = argv[split + 1 :]
    status_fd = int(options["--status-fd"])
    stop_signal = int(options["--stop-signal"])
    grace = float(options["--grace"])
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    for number in (*FORWARDED, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    pid = start(command, options, status_fd)
    os.write(status_fd, f"pid {pid}\n".encode())
    os.close(status_fd)
    silence()
    return follow(pid, wake_read, stop_signal, grace)


def start(command: list[str], options: dict[str, str], status_fd: int) -> int:
    """Forks and executes the command; an error is told through the status descriptor."""
    leash = os.getpid()
    prctl = load_prctl()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)
        for number in (*FORWARDED, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        become(options)
        if prctl is not None:  # after the change of user, which would clear it
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != leash:
                os._exit(1)
        os.set_inheritable(status_fd, False)
        os.execvp(command[0], command)  # noqa: S606  no shell, on purpose
    except BaseException as error:
        os.write(status_fd, f"error {error}\n".encode())
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


def load_prctl() -> Callable[..., int] | None:
    """Linux only; None elsewhere."""
    if sys.platform != "linux":
        return None
    import ctypes  # here, for it costs a few milliseconds

    function: Callable[..., int] = ctypes.CDLL(None).prctl
    return function


def silence() -> None:
    """Lets go of the output pipes, so that their end is the command's end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def follow(pid: int, wake_read: int, stop_signal: int, grace: float) -> int:
    """Waits for the command's end, the end of standard input, and signals to pass on."""
    inputs = [0, wake_read]
    kill_at = None
    while True:
        timeout = None if kill_at is None else max(0.0, kill_at - time.monotonic())
        readable = select.select(inputs, [], [], timeout)[0]
        if wake_read in readable:
            for number in os.read(wake_read, 64):
                if number != signal.SIGCHLD:
                    send(pid, number)
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return end(pid, status)
        if 0 in readable and not os.read(0, 4096):
            inputs.remove(0)
            send(pid, stop_signal)
            kill_at = time.monotonic() + grace
        if kill_at is not None and time.monotonic() >= kill_at:
            kill_group(pid)
            return end(pid, os.waitpid(pid, 0)[1])


def send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def end(pid: int, status: int) -> int:
    """What the command left behind in its group goes too; then the leash ends as it ended."""
    kill_group(pid)
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return code
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if -code not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
