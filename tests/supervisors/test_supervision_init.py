"""``run_supervisor`` as process 1: signals are passed on once, orphans reaped, codes kept."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import textwrap

import pytest
from supervision_mains import PRELUDE, end, expect, program, wait_until

ORPHANS = """
    import os, signal, subprocess
    from supervisors._trio import init

    async def body(root):
        say(f"pid {os.getpid()}")
        # An orphan: its parent ends at once, so it is handed to the init.
        make = ["sh", "-c", "sleep 999 >/dev/null & echo $!"]
        orphan = int(subprocess.run(make, stdout=subprocess.PIPE, check=True).stdout)
        with trio.fail_after(30):
            while parent(orphan) != INIT:
                await trio.sleep(0.01)
            os.kill(orphan, signal.SIGKILL)
            while parent(orphan) is not None:
                await trio.sleep(0.01)
        say("reaped")
        await trio.sleep_forever()

    def parent(pid):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return int(stat.read().rpartition(")")[2].split()[1])
        except OSError:
            return None
"""


def namespaces():
    probe = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True, check=False
    )
    return probe.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reapers are Linux's")
@pytest.mark.parametrize("kind", ["namespace", "subreaper"])
def test_as_process_1_it_passes_signals_on_and_reaps_orphans(kind):
    """In a PID namespace where that is allowed; as a subreaper everywhere."""
    tree = 'run_supervisor(Supervisor([ChildSpec("a", steady)]), body=body)'
    if kind == "namespace" and namespaces():
        prefix = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        text = ORPHANS + f"\n    INIT = 1\n    sys.exit({tree})\n"
    else:
        prefix = []
        become = "import ctypes; ctypes.CDLL(None).prctl(36, 1); INIT = os.getpid()"
        text = ORPHANS + f"\n    {become}\n    init.become_init()\n    sys.exit({tree})\n"
    with program(text, *prefix) as process:
        pid = int(process.stdout.readline().split()[1])
        expect(process, "reaped")
        assert prefix == [] or 1 < pid < 10  # its init is process 1
        target = process.pid
        if prefix:  # what unshare forked
            children = f"/proc/{process.pid}/task/{process.pid}/children"
            with open(children) as file:
                target = int(file.read().split()[0])
        os.kill(target, signal.SIGTERM)
        code, out, _ = end(process)
    assert (code, out) == (0, ["a stops"])


def test_an_init_ends_as_its_child_does():
    text = """
        import os, signal
        from supervisors._trio import init
        init.become_init()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    with program(text) as process:
        code, _, _ = end(process)
    assert code == 128 + signal.SIGKILL


@pytest.mark.parametrize("signals", ["ignored", "blocked"])
def test_an_init_that_inherits_odd_signals_ends_as_its_child_does(signals):
    """Both are handed on to a program by whoever starts it, and so is a closed standard output."""
    how = {
        "ignored": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])",
    }
    text = f"""
        import signal
        from supervisors._trio import init
        {how[signals]}
        def present():
            return signal.getsignal(signal.SIGCHLD), signal.pthread_sigmask(signal.SIG_BLOCK, [])
        before = present()
        sys.stdout = None
        init.become_init()
        sys.exit(3 if present() == before else 4)
    """
    with program(text) as process:
        code, _, err = end(process)
    assert (code, err) == (3, "")


@pytest.mark.skipif(sys.platform != "linux", reason="reapers are Linux's")
def test_ctrl_c_on_the_terminal_of_process_1_counts_once():
    """It reaches both processes, and the init, held up here, must not pass it on once more."""
    text = """
        from supervisors._trio import init
        async def drains(ctx):
            ctx.ready()
            await ctx.stopping.wait()
            say("draining")
            sys.stdin.readline()
            say("drained")
        tree = Supervisor([ChildSpec("a", drains, drain_deadline=99)])
        init.become_init()
        sys.exit(run_supervisor(tree, body=up))
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", PRELUDE + textwrap.dedent(text)])
    try:
        with open(terminal, "r+b", buffering=0) as screen:
            seen_until(screen, b"up\r\n")
            os.kill(pid, signal.SIGSTOP)
            os.waitpid(pid, os.WUNTRACED)
            screen.write(b"\x03")
            seen_until(screen, b"draining")
            os.kill(pid, signal.SIGCONT)
            wait_until(lambda: not pending(pid))
            screen.write(b"\n")
            seen_until(screen, b"drained")
            _, status = os.waitpid(pid, 0)
    except BaseException:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    assert os.waitstatus_to_exitcode(status) == 0


def seen_until(screen, text):
    seen = b""
    while text not in seen:
        try:
            seen += screen.read(4096)
        except OSError:
            pytest.fail(f"it ended without {text!r}: {seen!r}")


def pending(pid):
    """Whether a signal waits to be taken."""
    with open(f"/proc/{pid}/status") as status:
        lines = dict(line.split(":", 1) for line in status)
    return int(lines["ShdPnd"], 16) != 0


def test_process_1_with_threads_says_that_it_does_not_reap():
    text = """
        import os
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        pid = os.getpid()
        os.getpid = lambda: 1
        async def body(root): say(f"forked {os.getppid() == pid}")
        sys.exit(run_supervisor(Supervisor([ChildSpec("a", steady)]), body=body))
    """
    with program(text) as process:
        code, out, err = end(process)
    assert (code, out) == (0, ["forked False", "a stops"])
    assert "WARNING supervisors process 1 with 2 threads: orphans are not reaped" in err
