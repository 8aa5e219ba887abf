"""Every program in the library's documentation, run under virtual time for an hour."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import reference
import trio
import trio.testing

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs/supervision").glob("*.md")), ROOT / "supervisors/README.md"]
HOUR = 3600.0

PROGRAMS = [
    pytest.param(program, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, program in enumerate(
        re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL), 1
    )
]

run = trio.run


def run_for_an_hour(function, *args, clock=None, **options):
    async def bounded():
        with trio.move_on_after(HOUR):
            return await function(*args)
        return None

    return run(bounded, clock=clock or trio.testing.MockClock(autojump_threshold=0), **options)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_the_documentation_runs(program, monkeypatch):
    if "open_program" not in program:  # real programs live in real time
        monkeypatch.setattr(trio, "run", run_for_an_hour)
    namespace = {"__name__": "__main__"}
    ended = None
    try:
        exec(compile(program, "<documentation>", "exec"), namespace)
    except SystemExit as end:
        ended = end.code
    assert ended in (0, None)
    assert "trio" in namespace or "run_supervisor" in namespace, "it runs nothing"


def test_the_reference_is_that_of_the_docstrings():
    page = ROOT / "docs/supervision/reference.md"
    assert page.read_text() == reference.text(), "python tests/supervisors/reference.py renews it"


def test_the_pages_have_programs():
    assert len(PROGRAMS) > 10
