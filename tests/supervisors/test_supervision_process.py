"""Programs as children, on real processes."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest
import trio
from supervision_processes import descendants, strays

from supervisors import (
    Backoff,
    ChildExited,
    ChildReady,
    ChildSpec,
    ChildStopped,
    ExitKind,
    Intensity,
    Restart,
    State,
    SubprocessChild,
    SubprocessError,
    Supervisor,
    open_supervisor,
)

LIMIT = 60.0
ROOM = {"stop_deadline": 30.0, "ready_deadline": 30.0}


def python(text):
    return [sys.executable, "-I", "-S", "-c", textwrap.dedent(text)]


WATCHES_STDIN = python("""
    import sys
    print("up", flush=True)
    sys.stdin.read()
""")
IGNORES_EVERYTHING = python("""
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("up", flush=True)
    while True:
        time.sleep(60)
""")
HAS_A_CHILD = [
    "/bin/sh",
    "-c",
    'sleep 300 & echo "grandchild $!"; echo up; wait',
]


def is_up(line):
    return line == "up"


def gone(pid):
    """No such process, or only a zombie that others have to reap."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def wait_gone(*pids):
    with trio.fail_after(LIMIT):
        while not all(gone(pid) for pid in pids):  # noqa: ASYNC110  nobody tells us
            await trio.sleep(0.01)


@pytest.fixture(autouse=True)
def no_process_is_left():
    before = descendants()
    yield
    assert strays(before) == []


@pytest.mark.parametrize("direct", [True, False])
async def test_starts_streams_and_stops(recorder, direct):
    lines = []
    program = SubprocessChild(
        python("""
            import sys
            print("first", flush=True)
            print("second", file=sys.stderr, flush=True)
            print("up", flush=True)
            sys.stdin.read()
            import signal; signal.pause()
        """),
        ready_line=is_up,
        on_line=lambda stream, line: lines.append((stream, line)),
        stdin_eof_stops=direct,
    )
    assert program.process is None
    tree = Supervisor([ChildSpec("p", program, **ROOM)])
    with trio.fail_after(LIMIT):
        async with open_supervisor(tree, observers=[recorder]):
            info = program.process
            assert os.getpgid(info.pid) == info.pid != os.getpgid(0)
            assert os.getpgid(info.leash_pid) == info.leash_pid
            assert info.started_at <= trio.current_time()
    assert gone(info.pid)
    assert program.process is None
    assert sorted(lines) == [("stderr", "second"), ("stdout", "first"), ("stdout", "up")]
    assert recorder.of(ChildExited)[0].exit.kind.value == "stopped"


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize(
    ("end", "reason"),
    [("sys.exit(3)", "ended with code 3"), ("os.kill(os.getpid(), 9)", "was killed by SIGKILL")],
)
async def test_an_unexpected_end_is_a_crash_with_reason_and_last_lines(
    recorder, direct, end, reason
):
    program = SubprocessChild(
        python(f"""
            import os, sys
            print("up", flush=True)
            print("the last words", file=sys.stderr, flush=True)
            {end}
        """),
        stdin_eof_stops=direct,
    )
    spec = ChildSpec("p", program, restart=Restart.TEMPORARY, **ROOM)
    with trio.fail_after(LIMIT):
        async with open_supervisor(Supervisor([spec]), observers=[recorder]):
            record = await recorder.wait_for(ChildExited)
    assert reason in record.exit.reason
    assert "the last words" in record.exit.reason
    assert isinstance(record.error, SubprocessError)
    assert record.error.returncode == (-9 if "KILL" in reason else 3)


@pytest.mark.parametrize("direct", [True, False])
async def test_a_program_that_ignores_the_signal_is_killed_within_its_deadline(recorder, direct):
    program = SubprocessChild(
        IGNORES_EVERYTHING, ready_line=is_up, stdin_eof_stops=direct, stop_grace=0.2
    )
    with trio.fail_after(LIMIT):
        async with open_supervisor(
            Supervisor([ChildSpec("p", program, **ROOM)]), observers=[recorder]
        ):
            pid = program.process.pid
            begun = trio.current_time()
        assert 0.2 <= trio.current_time() - begun < 8
    assert gone(pid)


@pytest.mark.parametrize("direct", [True, False])
async def test_the_whole_group_goes(recorder, direct):
    lines = []
    program = SubprocessChild(
        HAS_A_CHILD,
        ready_line=is_up,
        on_line=lambda _, line: lines.append(line),
        stdin_eof_stops=direct,
    )
    with trio.fail_after(LIMIT):
        async with open_supervisor(
            Supervisor([ChildSpec("p", program, **ROOM)]), observers=[recorder]
        ):
            grandchild = int(lines[0].split()[1])
            assert not gone(grandchild)
        await wait_gone(grandchild)


async def test_a_one_shot_program_is_done_when_it_has_succeeded(recorder):
    spec = ChildSpec("p", SubprocessChild(["true"]), restart=Restart.TRANSIENT, **ROOM)
    with trio.fail_after(LIMIT):
        async with open_supervisor(Supervisor([spec]), observers=[recorder]) as root:
            record = await recorder.wait_for(ChildExited)
            assert root.find("p").state is State.DONE
    assert record.exit.kind is ExitKind.NORMAL


async def test_a_server_that_ends_well_is_restarted(recorder):
    program = SubprocessChild(["true"])
    spec = ChildSpec("p", program, backoff=Backoff(first=0.01, cap=0.01), **ROOM)
    with trio.fail_after(LIMIT):
        async with open_supervisor(Supervisor([spec]), observers=[recorder]):
            await recorder.wait_for(ChildReady, count=3)
    assert {event.exit.kind for event in recorder.of(ChildExited)[:2]} == {ExitKind.NORMAL}


@pytest.mark.parametrize(
    ("script", "success", "crashed"),
    [
        ("exit 0", (0,), False),
        ("exit 1", (0,), True),
        ("exit 1", (0, 1), False),
        ("exit 0", (), True),
        ("kill -9 $$", range(256), True),
    ],
)
async def test_the_codes_of_success(recorder, script, success, crashed):
    program = SubprocessChild(["/bin/sh", "-c", script], success_codes=success)
    spec = ChildSpec("p", program, restart=Restart.TEMPORARY, **ROOM)
    with trio.fail_after(LIMIT):
        async with open_supervisor(Supervisor([spec]), observers=[recorder]):
            record = await recorder.wait_for(ChildExited)
    assert record.exit.kind is (ExitKind.CRASHED if crashed else ExitKind.NORMAL)


@pytest.mark.parametrize(
    "readiness", [{"ready_line": is_up}, {"ready_probe": trio.sleep_forever}], ids=["line", "probe"]
)
async def test_ending_well_before_being_ready_is_a_normal_return(recorder, readiness):
    spec = ChildSpec("p", SubprocessChild(["true"], **readiness), restart=Restart.TRANSIENT, **ROOM)
    with trio.fail_after(LIMIT):
        async with open_supervisor(Supervisor([spec]), observers=[recorder]) as root:
            assert root.find("p").state is State.DONE
    assert recorder.of(ChildReady) == []


async def test_a_program_that_says_it_is_ready_and_ends_was_ready(recorder):
    spec = ChildSpec(
        "p", SubprocessChild(["echo", "up"], ready_line=is_up), restart=Restart.TEMPORARY, **ROOM
    )
    with trio.fail_after(LIMIT):
        async with open_supervisor(Supervisor([spec]), observers=[recorder]):
            await recorder.wait_for(ChildExited)
    assert len(recorder.of(ChildReady)) == 1


async def test_killing_the_real_process_is_seen_as_a_crash(recorder):
    program = SubprocessChild(["/bin/sleep", "300"])
    with trio.fail_after(LIMIT):
        async with open_supervisor(
            Supervisor([ChildSpec("p", program, **ROOM)]), observers=[recorder]
        ) as root:
            first = program.process
            os.kill(first.pid, signal.SIGKILL)
            await recorder.wait_for(ChildReady, count=2)
            assert "SIGKILL" in root.find("p").node().last_exit.reason
            assert program.process.pid != first.pid
            await wait_gone(first.pid, first.leash_pid)


async def test_killing_the_leash_does_not_leave_the_real_process(recorder):
    program = SubprocessChild(["/bin/sleep", "300"])
    with trio.fail_after(LIMIT):
        async with open_supervisor(
            Supervisor([ChildSpec("p", program, **ROOM)]), observers=[recorder]
        ):
            first = program.process
            os.kill(first.leash_pid, signal.SIGKILL)
            await recorder.wait_for(ChildReady, count=2)
            await wait_gone(first.pid, first.leash_pid)


async def test_the_stop_signal_can_be_chosen(recorder, tmp_path):
    told = tmp_path / "signal"
    program = SubprocessChild(
        python(f"""
            import signal, sys
            def on(number, _):
                open({str(told)!r}, "w").write(str(number))
                sys.exit(0)
            signal.signal(signal.SIGINT, on)
            signal.signal(signal.SIGTERM, on)
            print("up", flush=True)
            while True:
                signal.pause()
        """),
        ready_line=is_up,
        stop_signal=signal.SIGINT,
    )
    with trio.fail_after(LIMIT):
        async with open_supervisor(
            Supervisor([ChildSpec("p", program, **ROOM)]), observers=[recorder]
        ):
            pass
    assert told.read_text() == str(int(signal.SIGINT))


async def test_a_signal_to_the_leash_reaches_the_program(recorder):
    program = SubprocessChild(["/bin/sleep", "300"])
    with trio.fail_after(LIMIT):
        async with open_supervisor(
            Supervisor([ChildSpec("p", program, **ROOM)]), observers=[recorder]
        ):
            os.kill(program.process.leash_pid, signal.SIGTERM)
            record = await recorder.wait_for(ChildExited)
    assert "was killed by SIGTERM" in record.exit.reason


async def test_readiness_by_probe(recorder, tmp_path):
    marker = tmp_path / "marker"

    async def probe():
        while not marker.exists():  # noqa: ASYNC110  a probe polls
            await trio.sleep(0.01)

    program = SubprocessChild(
        ["/bin/sh", "-c", f"sleep 0.1; touch '{marker}'; sleep 300"], ready_probe=probe
    )
    with trio.fail_after(LIMIT):
        async with open_supervisor(
            Supervisor([ChildSpec("p", program, **ROOM)]), observers=[recorder]
        ):
            assert marker.exists()


async def test_a_program_that_is_never_ready_is_stopped(recorder):
    program = SubprocessChild(["/bin/sleep", "300"], ready_line=is_up)
    spec = ChildSpec("p", program, ready_deadline=0.3, stop_deadline=10)
    with trio.fail_after(LIMIT):
        with pytest.raises(Exception, match="not ready"):
            async with open_supervisor(
                Supervisor([spec], intensity=Intensity(0, 1)), observers=[recorder]
            ):
                pytest.fail("the block must not be entered")


@pytest.mark.parametrize("direct", [True, False])
async def test_a_command_that_does_not_exist(recorder, direct):
    program = SubprocessChild(["/no/such/program"], stdin_eof_stops=direct)
    with trio.fail_after(LIMIT):
        with pytest.raises(Exception, match="No such file"):
            async with open_supervisor(
                Supervisor([ChildSpec("p", program, **ROOM)]), observers=[recorder]
            ):
                pytest.fail("the block must not be entered")


async def test_a_line_handler_that_fails_is_a_crash_and_leaves_nothing(recorder):
    def broken(_stream, _line):
        raise RuntimeError("cannot parse")

    program = SubprocessChild(["/bin/sh", "-c", "echo x; sleep 300"], on_line=broken)
    spec = ChildSpec("p", program, restart=Restart.TEMPORARY, **ROOM)
    with trio.fail_after(LIMIT):
        async with open_supervisor(Supervisor([spec]), observers=[recorder]):
            record = await recorder.wait_for(ChildExited)
    assert "cannot parse" in record.exit.reason


async def test_endless_lines_come_in_pieces(recorder):
    sizes = []
    program = SubprocessChild(
        python("""
            import sys
            sys.stdout.write("x" * 200_000 + "\\nup\\n\\xff")
            sys.stdout.flush()
            sys.stdin.read()
        """),
        ready_line=is_up,
        on_line=lambda _, line: sizes.append(len(line)),
        stdin_eof_stops=True,
    )
    with trio.fail_after(LIMIT):
        async with open_supervisor(
            Supervisor([ChildSpec("p", program, **ROOM)]), observers=[recorder]
        ):
            assert sum(sizes) == 200_002
            assert max(sizes) == 64 * 1024


async def test_environment_directory_and_empty_stdin(recorder, tmp_path):
    lines = []
    program = SubprocessChild(
        ["/bin/sh", "-c", 'echo "$A"; pwd; cat; echo up; sleep 300'],
        env={"A": "value", "PATH": os.environ["PATH"]},
        cwd=tmp_path,
        ready_line=is_up,
        on_line=lambda _, line: lines.append(line),
    )
    with trio.fail_after(LIMIT):
        async with open_supervisor(
            Supervisor([ChildSpec("p", program, **ROOM)]), observers=[recorder]
        ):
            assert lines == ["value", str(tmp_path), "up"]


@pytest.mark.parametrize("direct", [True, False])
async def test_runs_under_another_account(recorder, direct):
    lines = []
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    program = SubprocessChild(
        ["/bin/sh", "-c", "id -un; echo up; cat; sleep 300"],
        user=user,
        ready_line=is_up,
        on_line=lambda _, line: lines.append(line),
        stdin_eof_stops=direct,
    )
    with trio.fail_after(LIMIT):
        async with open_supervisor(
            Supervisor([ChildSpec("p", program, **ROOM)]), observers=[recorder]
        ):
            assert lines == [user, "up"]
            pid = program.process.pid
    assert gone(pid)


RUNTIME = """
    import sys, trio
    from supervisors import ChildSpec, SubprocessChild, Supervisor, open_supervisor

    def child(name, command, **options):
        program = SubprocessChild(command, stop_grace=0.3, **options)
        return program, ChildSpec(name, program, stop_deadline=10)

    async def main():
        watching, a = child("a", {watching!r}, stdin_eof_stops=True, ready_line=lambda l: l == "up")
        sleeping, b = child("b", ["/bin/sleep", "300"])
        deaf, c = child("c", {deaf!r}, ready_line=lambda l: l == "up")
        deafer, d = child("d", {deaf!r}, ready_line=lambda l: l == "up", stdin_eof_stops=True)
        async with open_supervisor(Supervisor([a, b, c, d])):
            for program in (watching, sleeping, deaf, deafer):
                print(program.process.pid, program.process.leash_pid, flush=True)
            await trio.sleep_forever()

    trio.run(main)
"""


async def test_nothing_is_left_when_the_runtime_is_killed():
    text = textwrap.dedent(RUNTIME.format(watching=WATCHES_STDIN, deaf=IGNORES_EVERYTHING))
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", text], stdout=subprocess.PIPE, text=True, cwd=root
    ) as runtime:
        pids = [int(word) for _ in range(4) for word in runtime.stdout.readline().split()]
        assert len(pids) == 8
        assert not any(gone(pid) for pid in pids)
        runtime.kill()
    await wait_gone(*pids)


async def test_terminate_and_restart(recorder):
    program = SubprocessChild(WATCHES_STDIN, ready_line=is_up, stdin_eof_stops=True)
    with trio.fail_after(LIMIT):
        async with open_supervisor(
            Supervisor([ChildSpec("p", program, **ROOM)]), observers=[recorder]
        ) as root:
            await root.terminate_child("p")
            assert program.process is None
            assert len(recorder.of(ChildStopped)) == 1
            await root.restart_child("p")
            assert root.find("p").state is State.RUNNING


def test_contradictory_settings():
    with pytest.raises(ValueError, match="empty"):
        SubprocessChild([])
    with pytest.raises(ValueError, match="not both"):
        SubprocessChild(["x"], ready_line=is_up, ready_probe=trio.sleep_forever)
    with pytest.raises(ValueError, match="stop_grace"):
        SubprocessChild(["x"], stop_grace=0)
    with pytest.raises(ValueError, match="success_codes"):
        SubprocessChild(["x"], success_codes=[-9])
    with pytest.raises(ValueError, match="shorter than"):
        ChildSpec("p", SubprocessChild(["x"], stop_grace=3), stop_deadline=5)


WITHOUT_POSIX = """
import os, signal, socket, sys
import trio  # has its own way with platforms
for name in ("grp", "pwd", "resource", "fcntl"):
    sys.modules[name] = None
for name in ("killpg", "fork", "setpgid", "geteuid", "getuid", "setsid"):
    delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGCHLD", "pthread_sigmask"):
    delattr(signal, name)
family = socket.AF_UNIX
del socket.AF_UNIX
sys.platform = "win32"

import supervisors, supervisors.testing

for make in (supervisors.SubprocessChild, supervisors.open_program):
    try:
        make(["x"])
    except NotImplementedError as error:
        print(error)

async def child(ctx):
    ctx.ready()
    await trio.sleep_forever()

sys.platform, socket.AF_UNIX = "linux", family  # trio itself runs on what it was imported on

async def main():
    tree = supervisors.Supervisor([supervisors.ChildSpec("a", child)])
    async with supervisors.open_supervisor(tree) as root:
        print(root.find("a").state.value)

trio.run(main)
"""


def test_without_posix_everything_works_but_programs():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stderr == ""
    first, second, third = done.stdout.splitlines()
    assert first == second
    assert "POSIX" in first
    assert "win32" in first
    assert third == "running"
