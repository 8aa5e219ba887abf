"""``run_supervisor``: signals at every moment, logging, what it leaves behind. Real processes."""

from __future__ import annotations

import fcntl
import signal
import sys
import termios
import threading

import pytest
from supervision_mains import end, expect, program, read_until, wait_until

from supervisors import ChildSpec, Supervisor, run_supervisor
from supervisors.testing import ScriptedChild


def waiting_in(pipe):
    found = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
    return int.from_bytes(found, sys.byteorder)


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
        read_until(process.stderr, "SupervisorStopping")
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


def test_a_second_signal_may_come_within_a_write_to_the_log():
    """Python's streams bear no write within a write, so the handler must not log by itself."""
    text = """
        import io, os, signal

        def tell():
            os.kill(os.getpid(), signal.SIGTERM)

        class Raw(io.RawIOBase):
            def writable(self):
                return True

            def write(self, data):
                if b"SupervisorStopping" in data.tobytes():
                    tell()
                return os.write(2, data)

        async def body(root):
            tell()
            await trio.sleep_forever()

        sys.stderr = io.TextIOWrapper(io.BufferedWriter(Raw()), line_buffering=True)
        sys.exit(run_supervisor(Supervisor([ChildSpec("d", deaf, stop_deadline=999)]), body=body))
    """
    with program(text) as process:
        code, _, err = end(process)
    assert code == 128 + signal.SIGTERM
    assert err.count("told to stop twice") == 1
    assert "Error" not in err


def test_a_second_signal_is_heard_when_nobody_reads_the_log():
    text = """
        import logging
        logging.basicConfig(level=logging.ERROR)  # nothing else is in the pipe

        async def chatters(ctx):
            ctx.ready()
            sys.stderr.write("y" * 10_000_000)
        sys.exit(run_supervisor(Supervisor([ChildSpec("a", chatters)])))
    """
    with program(text) as process:
        # More than a pipe holds: from then on it waits in its write.
        size = fcntl.fcntl(process.stderr, fcntl.F_GETPIPE_SZ)
        wait_until(lambda: waiting_in(process.stderr) == size)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (128 + signal.SIGINT, 128 + signal.SIGTERM)


def test_a_log_that_is_stuck_does_not_hold_up_the_second_signal():
    text = """
        import logging
        import supervisors._trio.main
        supervisors._trio.main.LAST_WORDS = 0.1

        class Stuck(logging.Handler):
            def emit(self, record):
                if "SupervisorStopping" in record.getMessage():
                    say("stopping")
                if "twice" in record.getMessage():
                    threading.Event().wait()

        logging.basicConfig(level=logging.INFO, handlers=[Stuck()])
        sys.exit(run_supervisor(Supervisor([ChildSpec("d", deaf, stop_deadline=999)])))
    """
    with program(text) as process:
        expect(process, "deaf is up")
        process.send_signal(signal.SIGTERM)
        expect(process, "stopping")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM


def test_the_last_words_include_what_was_printed():
    text = """
        async def prints(ctx):
            ctx.ready()
            print("in hand")
            sys.stderr.write("printed\\n")
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()
        sys.exit(run_supervisor(Supervisor([ChildSpec("a", prints, stop_deadline=999)])))
    """
    with program(text) as process:
        read_until(process.stderr, "printed")
        process.send_signal(signal.SIGTERM)
        read_until(process.stderr, "SupervisorStopping")
        process.send_signal(signal.SIGTERM)
        code, out, _ = end(process)
    assert (code, out) == (128 + signal.SIGTERM, ["in hand"])


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


def handlers():
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup)
    return [signal.getsignal(number) for number in signal.valid_signals()], wakeup


def test_handlers_and_the_wakeup_fd_are_put_back():
    before = handlers()
    during = []

    async def body(_root):
        during.append(handlers())

    assert run_supervisor(Supervisor([ChildSpec("a", ScriptedChild())]), body=body) == 0
    assert during != [before]
    assert handlers() == before


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
