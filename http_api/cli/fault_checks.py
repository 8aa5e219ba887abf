"""``./zap test --faults`` and ``--soak``: the long proofs of the message path.

Everything in ``tests/faults`` and its campaign of random faults; ``docs/reliability.md`` says what
they cover and what they found. Whoever names the seed gets the same faults again.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import click

from .checks import Counts, Step, conduct, pytest_step

KILLS = 200
"""Random kills of ``--faults``."""

MUTATION = "tests/supervisors/test_supervision_mutation.py"
"""Every mutant of the decision core, whether it has changed or not."""

FAULTS = ["--faults", "tests/faults", MUTATION]
MATRIX_SECONDS = 2 * 60 * 60.0
TRIAL_SECONDS = 60.0
"""No fault takes longer to be struck and settled, on average."""


def run_faults(*, kills: int, seed: int | None) -> int:
    """The whole matrix, then ``kills`` random kills; return the exit code."""
    chosen = _seed(seed)
    length = ["--kills", str(kills)]
    return conduct(
        lambda reports: [
            pytest_step(reports / "pytest.xml", FAULTS, MATRIX_SECONDS),
            _campaign(reports, length, chosen, kills * TRIAL_SECONDS * 2),
        ]
    )


def run_soak(*, minutes: float, seed: int | None) -> int:
    """Random faults for so long; return the exit code."""
    chosen = _seed(seed)
    length = ["--minutes", str(minutes)]
    return conduct(
        lambda reports: [_campaign(reports, length, chosen, minutes * 60 + 20 * TRIAL_SECONDS)]
    )


def _seed(given: int | None) -> int:
    chosen = random.SystemRandom().randrange(10**6) if given is None else given
    click.echo(f"seed {chosen}: repeat with --seed {chosen}")
    return chosen


def _campaign(reports: Path, length: list[str], seed: int, limit: float) -> Step:
    report = reports / "campaign.json"
    command = [
        sys.executable,
        "-m",
        "tests.faults.campaign",
        *length,
        "--seed",
        str(seed),
        "--report",
        str(report),
    ]
    return Step("campaign", command, lambda: _counts(report), limit)


def _counts(report: Path) -> Counts:
    """Trials that kept the promise, and the one that did not."""
    try:
        figures = json.loads(report.read_text())
    except (OSError, json.JSONDecodeError):
        return Counts(0, 1)
    failed = int(figures["failure"] is not None)
    return Counts(figures["trials"] - failed, failed)
