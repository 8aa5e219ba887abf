"""``open_program``: a program inside of a block, its streams as channels, on real processes."""

from __future__ import annotations

import gc
import os
import signal
import sys
import textwrap

import psutil
import pytest
import trio
from supervision_processes import descendants, strays

from supervisors import (
    ChildExited,
    ChildSpec,
    ExitKind,
    Restart,
    SubprocessError,
    Supervisor,
    open_program,
    open_supervisor,
)

pytestmark = pytest.mark.timeout(60)


def python(text):
    return [sys.executable, "-I", "-S", "-c", textwrap.dedent(text)]


@pytest.fixture(autouse=True)
def nothing_is_left():
    before = descendants()
    gc.collect()
    descriptors = set(os.listdir("/proc/self/fd"))
    yield
    assert strays(before) == []
    assert len(os.listdir("/proc/self/fd")) <= len(descriptors) + 3  # trio's own, of the first run


async def test_a_round_trip_and_the_code():
    async with open_program(["/bin/sh", "-c", "cat; exit 7"]) as program:
        assert os.getpgid(program.info.pid) == program.info.pid
        await program.stdin.send_all(b"hello")
        assert await program.stdout.receive_some() == b"hello"
        await program.stdin.aclose()
        assert await program.stdout.receive_some() == b""
        assert await program.wait() == 7
        assert await program.wait() == 7
    assert await program.wait() == 7
    assert not psutil.pid_exists(program.info.pid)


async def test_lines_keep_what_they_have_read():
    long = "y" * 100_000
    async with open_program(["cat"]) as program:
        await program.stdin.send_all(b"one\r\ntwo\n\xff\n\n")
        async for line in program.lines():
            assert line == "one"
            break
        await program.stdin.send_all(long.encode()[:1000])

        async def rest():
            await program.stdin.send_all(long.encode()[1000:] + b"\nlast")
            await program.stdin.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(rest)
            lines = [line async for line in program.lines()]
    assert lines == ["two", "\ufffd", "", long[: 64 * 1024], long[64 * 1024 :], "last"]


async def test_a_program_whose_output_nobody_takes_waits():
    size = 4 << 20
    program = open_program(python(f"import sys; sys.stdout.write('x' * {size})"))
    async with program as running:
        process = psutil.Process(running.info.pid)
        before = None
        while (now := process.cpu_times().system) != before or process.status() == "running":
            before = now
            await trio.sleep(0.05)
        with trio.move_on_after(0.1) as ended:
            await running.wait()
        assert ended.cancelled_caught
        taken = 0
        while chunk := await running.stdout.receive_some():
            taken += len(chunk)
        assert taken == size
        assert await running.wait() == 0


async def test_a_program_that_does_not_read_makes_the_sender_wait():
    async with open_program(["/bin/sleep", "300"]) as program:
        with trio.move_on_after(0.1) as waited:
            await program.stdin.send_all(bytes(1 << 20))
        assert waited.cancelled_caught


async def test_what_the_program_closes_is_closed():
    """Neither leash nor guardian holds its streams."""
    async with open_program(["/bin/sh", "-c", "exec <&- >&- 2>&-; sleep 300"]) as program:
        assert await program.stdout.receive_some() == b""
        with pytest.raises(trio.BrokenResourceError):
            await program.stdin.send_all(b"x")


async def test_leaving_the_block_stops_it_by_its_signal():
    async with open_program(
        python("""
            import os, signal, sys
            def on(*_):
                print("x" * 500_000, flush=True)
                print("was told", file=sys.stderr, flush=True)
                sys.exit(5)
            signal.signal(signal.SIGINT, on)
            os.write(1, b"up\\n")  # not print, which a handler must not interrupt
            while True:
                signal.pause()
        """),
        stop_signal=signal.SIGINT,
        stop_grace=30.0,
    ) as program:
        assert await program.stdout.receive_some() == b"up\n"
    assert await program.wait() == 5  # what it had left to write did not hold it up
    assert program.stderr == ("was told",)
    with pytest.raises(trio.ClosedResourceError):
        await program.stdout.receive_some()


async def test_what_ignores_the_signal_is_killed_with_its_group():
    script = 'trap "" TERM; sleep 300 & echo $!; while :; do sleep 300; done'
    async with open_program(["/bin/sh", "-c", script], stop_grace=0.1) as program:
        async for line in program.lines():
            grandchild = int(line)
            break
        assert psutil.pid_exists(grandchild)
        begun = trio.current_time()
    assert trio.current_time() - begun >= 0.1
    assert await program.wait() == -signal.SIGKILL
    assert not psutil.pid_exists(grandchild)  # at once: the leash waits for the whole group


async def test_what_the_program_leaves_in_its_group_ends_with_it():
    script = "sleep 300 >/dev/null 2>&1 & (sleep 300 >/dev/null 2>&1 &); echo $!"
    async with open_program(["/bin/sh", "-c", script]) as program:
        assert await program.wait() == 0
        [orphan] = [int(line) async for line in program.lines()]
        assert not psutil.pid_exists(orphan)
        with pytest.raises(ProcessLookupError):
            os.killpg(program.info.pid, 0)


async def test_a_process_that_left_the_group_with_the_pipes_does_not_hold_the_block():
    script = "import os, sys; os.setsid(); os.system('sleep 300 & echo $!')"
    command = ["/bin/sh", "-c", '"$0" -I -S -c "$1" & wait', sys.executable, script]
    async with open_program(command) as program:
        async for line in program.lines():
            stray = int(line)
            break
        assert await program.wait() == 0
    assert psutil.pid_exists(stray)  # as documented
    os.kill(stray, signal.SIGKILL)


async def test_what_the_block_raises_comes_out_as_it_is():
    error = KeyError("mine")
    error.__cause__ = cause = ValueError("because")
    with pytest.raises(KeyError) as caught:
        async with open_program(["/bin/sleep", "300"]):
            raise error
    assert caught.value is error
    assert error.__cause__ is cause


async def test_a_cancelled_block_is_stopped():
    with trio.move_on_after(0.05) as scope:
        async with open_program(["/bin/sleep", "300"]) as program:
            await program.wait()
    assert scope.cancelled_caught
    assert not psutil.pid_exists(program.info.pid)
    assert await program.wait() == -signal.SIGTERM


async def test_a_line_handler_that_fails_cancels_the_block():
    def broken(stream, line):
        raise RuntimeError(f"{stream}: {line}")

    with pytest.raises(RuntimeError, match="stderr: oh"):
        async with open_program(["/bin/sh", "-c", "echo oh >&2; sleep 300"], on_line=broken):
            await trio.sleep_forever()


async def test_standard_error_is_read_and_its_tail_kept():
    seen = []
    script = "for i in $(seq 30); do echo $i >&2; done"
    async with open_program(
        ["/bin/sh", "-c", script], on_line=lambda stream, line: seen.append((stream, line))
    ) as program:
        assert await program.wait() == 0
    assert seen == [("stderr", str(i)) for i in range(1, 31)]
    assert program.stderr == tuple(str(i) for i in range(11, 31))


@pytest.mark.parametrize(
    ("command", "options", "match"),
    [
        (["/no/such/program"], {}, "No such file"),
        (["true"], {"cwd": "/no/such/directory"}, "No such file"),
        (["/etc/passwd"], {}, "Permission denied"),
    ],
)
async def test_what_cannot_be_run(command, options, match):
    with pytest.raises(SubprocessError, match=match) as caught:
        async with open_program(command, **options):
            pytest.fail("the block must not be entered")
    assert caught.value.returncode is None


async def test_an_unknown_account():
    with pytest.raises(KeyError):
        async with open_program(["true"], user="nobody-of-this-name"):
            pytest.fail("the block must not be entered")


def test_contradictory_settings_are_refused_at_once():
    with pytest.raises(ValueError, match="empty"):
        open_program([])
    with pytest.raises(ValueError, match="stop_grace"):
        open_program(["x"], stop_grace=-1)


async def test_inside_of_a_child(recorder):
    """A worker that has its work done by a program, message by message."""
    answers = []

    async def upper(ctx):
        async with open_program(["/bin/sh", "-c", "while read x; do echo $x$x; done"]) as program:
            lines = program.lines()
            ctx.ready()
            async for message in ctx.mailbox:
                await program.stdin.send_all(message.encode() + b"\n")
                answers.append(await anext(lines))
                if len(answers) == 2:
                    return

    tree = Supervisor([ChildSpec("up", upper, restart=Restart.TEMPORARY, stop_deadline=10)])
    async with open_supervisor(tree, observers=[recorder]):
        tree.child("up").send_nowait("a")
        tree.child("up").send_nowait("b")
        record = await recorder.wait_for(ChildExited)
    assert record.exit.kind is ExitKind.NORMAL
    assert answers == ["aa", "bb"]
