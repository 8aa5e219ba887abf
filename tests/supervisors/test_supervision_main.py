"""``run_supervisor``: real processes, real signals, every row of the table of exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import contextmanager

import pytest

from supervisors import ChildSpec, Supervisor, run_supervisor
from supervisors.testing import ScriptedChild

PRELUDE = """
import sys, time, threading
import trio
from supervisors import *
from supervisors.testing import ScriptedChild, crash, forever, ready, sleep

def say(text):
    print(text, flush=True)

async def steady(ctx):
    ctx.ready()
    try:
        await trio.sleep_forever()
    finally:
        say(f"{ctx.name} stops")

async def deaf(ctx):
    ctx.ready()
    say("deaf is up")
    with trio.CancelScope(shield=True):
        await trio.sleep_forever()

async def up(root):
    say("up")
    await trio.sleep_forever()
"""


@contextmanager
def program(text, *prefix):
    source = PRELUDE + textwrap.dedent(text)
    with subprocess.Popen(
        [*prefix, sys.executable, "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def expect(process, line):
    assert process.stdout.readline() == f"{line}\n"


def end(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out.splitlines(), err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_tree_in_order(number):
    tree = 'Supervisor([ChildSpec("a", steady), ChildSpec("b", steady)])'
    with program(f"sys.exit(run_supervisor({tree}, body=up))") as process:
        expect(process, "up")
        process.send_signal(number)
        code, out, err = end(process)
    assert (code, out) == (0, ["b stops", "a stops"])
    assert "INFO supervisors root/a ChildReady" in err
    assert "Traceback" not in err


def test_a_signal_during_the_start_stops_what_has_started():
    text = """
        async def starts(ctx):
            say("starting")
            await trio.sleep_forever()
        sys.exit(run_supervisor(Supervisor([ChildSpec("a", steady), ChildSpec("b", starts)])))
    """
    with program(text) as process:
        expect(process, "starting")
        process.send_signal(signal.SIGTERM)
        code, out, _ = end(process)
    assert (code, out) == (0, ["a stops"])


def test_a_second_signal_ends_it_at_once_and_says_what_is_there():
    text = 'sys.exit(run_supervisor(Supervisor([ChildSpec("d", deaf, stop_deadline=99)])))'
    with program(text) as process:
        expect(process, "deaf is up")
        process.send_signal(signal.SIGTERM)
        while "SupervisorStopping" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        code, _, err = end(process)
    assert code == 128 + signal.SIGTERM
    assert "told to stop twice" in err
    assert "root/d" in err
    assert "in deaf" in err


def test_a_second_signal_is_heard_when_the_loop_is_blocked():
    text = """
        async def blocks(ctx):
            ctx.ready()
            say("blocking")
            while True:
                time.sleep(0.01)
        sys.exit(run_supervisor(Supervisor([ChildSpec("a", blocks)])))
    """
    with program(text) as process:
        expect(process, "blocking")
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        code, _, _ = end(process)
    assert code in (128 + signal.SIGINT, 128 + signal.SIGTERM)


ENDS = {
    "body returned": (0, "", "async def body(root): pass", 'Supervisor([ChildSpec("a", steady)])'),
    "auto_shutdown": (
        0,
        "",
        "body = None",
        """Supervisor([ChildSpec("a", ScriptedChild([ready, sleep(0.01)]), significant=True,
            restart=Restart.TRANSIENT)], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)""",
    ),
    "gave up": (
        1,
        "EscalationError: root gave up",
        "body = None",
        'Supervisor([ChildSpec("a", ScriptedChild([ready, crash(ValueError("why"))]))])',
    ),
    "body raised": (
        1,
        "KeyError: 'mine'",
        'async def body(root): raise KeyError("mine")',
        'Supervisor([ChildSpec("a", steady)])',
    ),
    "crashed while stopping": (
        1,
        "flush failed",
        textwrap.dedent("""
            async def body(root): pass
            async def flushes(ctx):
                ctx.ready()
                try: await trio.sleep_forever()
                finally: raise OSError("flush failed")
        """),
        'Supervisor([ChildSpec("a", flushes)])',
    ),
    "did not end in time": (
        70,
        "root/a",
        textwrap.dedent("""
            async def body(root): pass
        """),
        'Supervisor([ChildSpec("a", deaf, stop_deadline=0.1)])',
    ),
    "SystemExit": (
        7,
        "",
        "body = None",
        'Supervisor([ChildSpec("a", ScriptedChild([ready, crash(SystemExit(7))]))])',
    ),
    "SystemExit with text": (
        1,
        "so long",
        "body = None",
        'Supervisor([ChildSpec("a", ScriptedChild([ready, crash(SystemExit("so long"))]))])',
    ),
    "SystemExit of nothing": (
        0,
        "",
        "async def body(root): sys.exit()",
        'Supervisor([ChildSpec("a", steady)])',
    ),
    "KeyboardInterrupt": (
        130,
        "",
        "body = None",
        'Supervisor([ChildSpec("a", ScriptedChild([ready, crash(KeyboardInterrupt())]))])',
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_exit_codes(name):
    expected, logged, before, tree = ENDS[name]
    with program(f"{before}\nsys.exit(run_supervisor({tree}, body=body))") as process:
        code, _, err = end(process)
    assert code == expected, err
    assert logged in err
    assert err.count("root has ended") == (expected == 1 and "Exit" not in name)


def test_one_that_ends_late_is_told_by_its_code():
    text = """
        async def slow(ctx):
            ctx.ready()
            with trio.CancelScope(shield=True):
                await trio.sleep(0.5)
        async def body(root): pass
        tree = Supervisor([ChildSpec("a", slow, stop_deadline=0.1)])
        sys.exit(run_supervisor(tree, body=body, overrun=None))
    """
    with program(text) as process:
        code, _, err = end(process)
    assert code == 70
    assert err.count("root has ended") == 1
    assert "root/a" in err


def test_logging_that_is_set_up_already_is_left_alone():
    text = """
        import logging
        logging.basicConfig(level=logging.ERROR, format="mine: %(message)s")
        async def body(root): pass
        sys.exit(run_supervisor(Supervisor([ChildSpec("a", steady)]), body=body))
    """
    with program(text) as process:
        code, _, err = end(process)
    assert (code, err) == (0, "")


def test_handlers_are_put_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    async def body(_root):
        assert signal.getsignal(signal.SIGTERM) != before[0]

    assert run_supervisor(Supervisor([ChildSpec("a", ScriptedChild())]), body=body) == 0
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_it_belongs_in_the_main_thread():
    found = []

    def elsewhere():
        try:
            run_supervisor(Supervisor([]))
        except RuntimeError as error:
            found.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "main thread" in found[0]


ORPHANS = """
    import os, subprocess
    from supervisors._trio import init

    async def body(root):
        say(f"pid {os.getpid()}")
        # An orphan: its parent ends at once, so it is handed to the init.
        subprocess.run(["sh", "-c", "sleep 0.05 & echo $!"], check=True)
        with trio.move_on_after(20):
            while any(state == "Z" for state in states()):
                await trio.sleep(0.02)
        await trio.sleep(0.2)
        zombies = [state for state in states() if state == "Z"]
        say(f"zombies {len(zombies)}")
        await trio.sleep_forever()

    def states():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as stat:
                    fields = stat.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == INIT:
                yield fields[0]
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
        int(process.stdout.readline())
        expect(process, "zombies 0")
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
