"""``./zap test``: every check of the quality gate, then one summary.

The static checks run two at a time and show their output only where they fail; the tests run
alone, one suite after the other, and are shown as they go. The last line printed is
``N passed, N failed``, summed over pytest and Node's test runner.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import click
import trio

from runtime.node_parts import is_checkout, locate_sources, node_environment, node_executable

from .terminal import Problem

# No step takes longer; one that does hangs, and is ended with all its processes.
STEP_TIMEOUT = 2400.0
END_TIMEOUT = 15.0
# A single Node test that takes longer hangs (pytest has its own limit, in pyproject.toml).
NODE_TEST_TIMEOUT = 180.0
# Test files at the same time: much of a test is waiting for processes.
SIDE_BY_SIDE = ("--numprocesses=logical", "--maxprocesses=4", "--dist=loadfile")


@dataclass(frozen=True, slots=True)
class Counts:
    """What a test runner counted."""

    passed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Step:
    """One check: a command, and for test suites how to read the report that it writes.

    ``limit``: seconds after which it hangs; ``STEP_TIMEOUT`` when None.
    """

    name: str
    command: Sequence[str]
    counts: Callable[[], Counts] | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How a step ended; ``counts`` is None for a static check."""

    name: str
    ok: bool
    seconds: float
    counts: Counts | None


def run_checks(pytest_arguments: Sequence[str]) -> int:
    """Run everything, or only pytest with these arguments; return the exit code."""
    return conduct(
        lambda reports: _test_steps(reports, pytest_arguments), static=not pytest_arguments
    )


def conduct(steps: Callable[[Path], Sequence[Step]], *, static: bool = False) -> int:
    """Run the static checks if asked to, then the steps one by one; return the exit code.

    ``steps`` is called with a directory for reports.
    """
    root = locate_sources()
    if not is_checkout(root):
        raise Problem("`test` checks a checkout; this is an installed wheel")
    # Ended from outside: the same orderly way as Ctrl-C, which Trio turns into cancellation.
    # A shell starts background jobs with SIGINT ignored, and that would be inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    with tempfile.TemporaryDirectory(prefix="zapvisor-test-") as reports:
        results = trio.run(_run, root, steps(Path(reports)), static)
    return _summarise(results)


async def _run(root: Path, steps: Sequence[Step], static: bool) -> list[Result]:
    results: list[Result] = []
    if static:
        two = trio.CapacityLimiter(2)
        async with trio.open_nursery() as nursery:
            for step in _static_steps(root):
                nursery.start_soon(_static, step, root, two, results)
    for step in steps:
        click.secho(f"== {step.name}", bold=True)
        results.append(await _timed(step, root, capture=False))
    return results


def _static_steps(root: Path) -> list[Step]:
    python = sys.executable
    node = str(node_executable())
    packages = root / "node_modules"
    return [
        Step("mypy", [python, "-m", "mypy"]),
        Step("eslint", [node, str(packages / "eslint" / "bin" / "eslint.js"), "."]),
        Step("tsc", [node, str(packages / "typescript" / "bin" / "tsc"), "--noEmit"]),
        Step("ruff", [python, "-m", "ruff", "check"]),
        Step("format", [python, "-m", "ruff", "format", "--check"]),
    ]


def _test_steps(reports: Path, pytest_arguments: Sequence[str]) -> list[Step]:
    python_report = reports / "pytest.xml"
    node_report = reports / "node.xml"
    if pytest_arguments:
        return [pytest_step(python_report, pytest_arguments)]
    node = Step(
        "node",
        [
            str(node_executable()),
            "--test",
            f"--test-timeout={NODE_TEST_TIMEOUT * 1000:.0f}",
            "--test-reporter=dot",
            "--test-reporter-destination=stdout",
            "--test-reporter=junit",
            f"--test-reporter-destination={node_report}",
            "bridge/test/**/*.test.ts",
            "simulator/test/**/*.test.ts",
        ],
        lambda: _node_counts(node_report),
    )
    return [node, pytest_step(python_report, SIDE_BY_SIDE)]


def pytest_step(report: Path, arguments: Sequence[str], limit: float | None = None) -> Step:
    """pytest with these arguments, counted from the report that it writes."""
    command = [sys.executable, "-m", "pytest", f"--junit-xml={report}", *arguments]
    return Step("pytest", command, lambda: _pytest_counts(report), limit)


async def _static(
    step: Step, root: Path, limiter: trio.CapacityLimiter, results: list[Result]
) -> None:
    async with limiter:
        results.append(await _timed(step, root, capture=True))


async def _timed(step: Step, root: Path, *, capture: bool) -> Result:
    started = time.monotonic()
    exit_code, output = await _execute(step.command, root, capture=capture, limit=step.limit)
    counts = step.counts() if step.counts else None
    result = Result(
        step.name,
        exit_code == 0 and (counts is None or (counts.failed == 0 and counts.passed > 0)),
        time.monotonic() - started,
        counts,
    )
    if capture:
        if not result.ok:
            click.echo(output.decode(errors="replace"), nl=False)
        click.echo(f"{'ok' if result.ok else 'FAILED':7}{step.name}")
    return result


async def _execute(
    command: Sequence[str], root: Path, *, capture: bool, limit: float | None = None
) -> tuple[int, bytes]:
    """Run in its own process group, so that nothing that it started outlives it."""
    output = b""
    seconds = limit or STEP_TIMEOUT
    with trio.move_on_after(seconds):
        done = await trio.run_process(
            list(command),
            cwd=root,
            env=node_environment(),
            check=False,
            capture_stdout=capture,
            stderr=subprocess.STDOUT if capture else None,
            start_new_session=True,
            deliver_cancel=_end_group,
        )
        return done.returncode, done.stdout or output
    return 1, f"no end after {seconds:.0f} s\n".encode()


async def _end_group(process: trio.Process) -> None:
    # An interrupt, not SIGTERM: pytest then runs the finalizers that end what its fixtures started.
    with trio.move_on_after(END_TIMEOUT, shield=True):
        os.killpg(process.pid, signal.SIGINT)
        await process.wait()
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)


def _pytest_counts(report: Path) -> Counts:
    """From JUnit XML; a run that wrote none has failed as a whole."""
    try:
        suites = list(ElementTree.parse(report).getroot().iter("testsuite"))  # noqa: S314 - our own
    except (OSError, ElementTree.ParseError):
        return Counts(0, 1)
    tests, failed, skipped = (
        sum(int(suite.get(key, 0)) for suite in suites for key in keys)
        for keys in (("tests",), ("failures", "errors"), ("skipped",))
    )
    return Counts(max(0, tests - failed - skipped), failed)


def _node_counts(report: Path) -> Counts:
    """From the totals that Node's reporter appends as comments: ``<!-- pass 12 -->``."""
    try:
        text = report.read_text(encoding="utf-8")
    except OSError:
        return Counts(0, 1)
    totals = {name: int(n) for name, n in re.findall(r"<!-- (pass|fail|cancelled) (\d+) -->", text)}
    if "pass" not in totals:
        return Counts(0, 1)
    return Counts(totals["pass"], totals.get("fail", 0) + totals.get("cancelled", 0))


def _summarise(results: Sequence[Result]) -> int:
    """Print one line per step and the totals; return the exit code."""
    click.echo()
    for result in results:
        line = f"{'ok' if result.ok else 'FAILED':7}{result.name:10}{result.seconds:7.1f} s"
        if result.counts is not None:
            line += f"   {result.counts.passed} passed, {result.counts.failed} failed"
        click.secho(line, fg=None if result.ok else "red")
    counted = [result.counts for result in results if result.counts is not None]
    passed = sum(counts.passed for counts in counted)
    failed = sum(counts.failed for counts in counted)
    click.echo(f"{passed} passed, {failed} failed")
    return 0 if all(result.ok for result in results) else 1
