"""Each benchmark runs, in a tiny size, and its figures end up in the page and the picture."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import report
from benchmarks.__main__ import NAMES
from benchmarks.figures import Result
from benchmarks.stage import Stage, staged

ROOT = Path(__file__).parents[2]
# Each starts processes; a busy machine takes its time.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.mark.parametrize("name", NAMES)
def test_it_measures(name: str, stage: Stage) -> None:
    try:
        result: Result = importlib.import_module(f"benchmarks.{name}").run(stage, quick=True)
    finally:
        stage.clear()
    assert len(result.rows) >= 2
    assert all(len(row) == len(result.columns) for row in result.rows)


def test_the_command_prints_a_table() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "journal", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "| bare SQLite, 1 per commit |" in done.stdout


def test_results_are_kept_in_the_page_and_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, file in (("PAGE", "p.md"), ("PICTURE", "p.svg"), ("KEPT", "kept.json")):
        monkeypatch.setattr(report, name, tmp_path / file)
    report.PAGE.write_text("before\n<!-- memory -->\nold\n<!-- /memory -->\nafter\n")
    result = Result(["connections", "MB"], plot={"total": {"1": 100.0, "10": 160.0}})
    result.row(10, 160.25)
    result.goal("each ≤ 8 MB", 6.67, 8.0, at_most=True, unit="MB")
    report.keep("memory", result)
    page = report.PAGE.read_text()
    assert page.startswith("before\n<!-- memory -->\n| connections | MB |")
    assert "| 10 | 160 |" in page
    assert "| each ≤ 8 MB | 6.67 MB | yes |" in page
    assert "old" not in page
    assert page.endswith("<!-- /memory -->\nafter\n")
    assert json.loads(report.KEPT.read_text())["memory"]["plot"] == result.plot
    picture = ElementTree.fromstring(report.PICTURE.read_text())
    assert "10 connections" in "".join(picture.itertext())


def test_every_benchmark_has_its_place_in_the_page() -> None:
    page = report.PAGE.read_text()
    for name in NAMES:
        assert f"<!-- {name} -->" in page
        assert f"<!-- /{name} -->" in page
