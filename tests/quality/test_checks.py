"""``./zap test`` itself: what it counts, what it prints last, how it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from http_api.cli import checks, fault_checks
from http_api.cli.checks import Counts, Result

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("xml", "expected"),
    [
        (
            '<testsuites><testsuite tests="9" failures="2" errors="1" skipped="1"/></testsuites>',
            Counts(5, 3),
        ),
        ('<testsuites><testsuite tests="4" failures="0" errors="0"/></testsuites>', Counts(4, 0)),
        ("<testsuites>", Counts(0, 1)),
    ],
)
def test_pytest_is_counted_from_its_report(tmp_path, xml, expected):
    report = tmp_path / "report.xml"
    report.write_text(xml)

    assert checks._pytest_counts(report) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<!-- pass 7 --><!-- fail 2 --><!-- cancelled 1 --><!-- skipped 0 -->", Counts(7, 3)),
        ("<testsuites></testsuites>", Counts(0, 1)),
    ],
)
def test_node_is_counted_from_its_totals(tmp_path, text, expected):
    report = tmp_path / "report.xml"
    report.write_text(text)

    assert checks._node_counts(report) == expected


def test_a_runner_that_wrote_no_report_has_failed(tmp_path):
    assert checks._pytest_counts(tmp_path / "none") == Counts(0, 1)
    assert checks._node_counts(tmp_path / "none") == Counts(0, 1)


def test_the_last_line_sums_both_suites(capsys):
    code = checks._summarise(
        [
            Result("mypy", True, 1.0, None),
            Result("node", True, 1.0, Counts(3, 0)),
            Result("pytest", True, 1.0, Counts(4, 0)),
        ]
    )

    assert code == 0
    assert capsys.readouterr().out.splitlines()[-1] == "7 passed, 0 failed"


@pytest.mark.parametrize(
    "failed", [Result("ruff", False, 1.0, None), Result("node", False, 1.0, Counts(3, 1))]
)
def test_any_failure_is_the_exit_code(capsys, failed):
    code = checks._summarise([Result("pytest", True, 1.0, Counts(4, 0)), failed])

    assert code == 1
    assert f"FAILED {failed.name}" in capsys.readouterr().out


async def test_a_step_that_hangs_is_ended_with_everything_it_started(monkeypatch):
    monkeypatch.setattr(checks, "STEP_TIMEOUT", 1.0)

    code, output = await checks._execute(["sh", "-c", "sleep 60 & sleep 60"], ROOT, capture=True)

    assert code != 0
    assert b"no end after" in output


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ('{"trials": 210, "failure": null}', Counts(210, 0)),
        ('{"trials": 8, "failure": "lost"}', Counts(7, 1)),
        ("", Counts(0, 1)),
    ],
)
def test_the_campaign_is_counted_by_its_trials(tmp_path, figures, expected):
    report = tmp_path / "campaign.json"
    report.write_text(figures)

    assert fault_checks._counts(report) == expected


def test_a_campaign_is_reproducible_and_told_how(monkeypatch, capsys):
    planned = []
    monkeypatch.setattr(
        fault_checks, "conduct", lambda steps: planned.extend(steps(Path("reports"))) or 0
    )

    assert fault_checks.run_faults(kills=200, seed=7) == 0
    assert fault_checks.run_soak(minutes=5, seed=None) == 0

    matrix, campaign, soak = planned
    assert "tests/faults" in matrix.command
    assert list(campaign.command[3:7]) == ["--kills", "200", "--seed", "7"]
    seed = soak.command[6]
    assert list(soak.command[3:6]) == ["--minutes", "5", "--seed"]
    assert f"repeat with --seed {seed}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--seed", "3"], ["--faults", "--soak", "1"], ["--kills", "9", "-x"]]
)
def test_options_that_do_not_go_together_are_wrong_usage(arguments):
    assert run(*arguments).returncode == 2


@pytest.mark.parametrize(("option", "selected"), [([], 1), (["--faults"], 2)])
def test_what_takes_long_is_left_out_unless_asked_for(option, selected):
    finished = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--collect-only",
            "-q",
            *option,
            "tests/faults/test_offline.py",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert finished.stdout.count("::") == selected


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "http_api.cli", "test", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_arguments_go_to_pytest_alone():
    finished = run("-k", "test_imports_point_downwards_only", "tests/quality/test_layers.py")

    assert finished.returncode == 0, finished.stdout
    assert finished.stdout.splitlines()[-1] == "1 passed, 0 failed"
    assert "eslint" not in finished.stdout


def test_nothing_selected_is_a_failure():
    finished = run("-k", "there_is_no_such_test", "tests/quality/test_layers.py")

    assert finished.returncode == 1
