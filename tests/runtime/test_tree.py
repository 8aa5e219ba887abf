"""The product's tree: who is in it, who is watched, and that the first screen draws it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from http_api.cli.serving import STOP_MARGIN
from http_api.limits import Limits
from runtime.stopping import IN_HAND_SECONDS
from runtime.tree import BUDGET
from runtime.whatsapp.manager import Connections
from supervisors import ChildSpec, Strategy, Supervisor
from tests.supervised import local_stack, never, product_tree, walk

ROOT = Path(__file__).parents[2]


@pytest.fixture
def core():
    return product_tree()


def workers(supervisor: Supervisor) -> list[ChildSpec]:
    return [spec for _, spec in walk(supervisor) if spec.run is never]


def test_every_part_that_works_is_watched_by_its_beats(core):
    assert len(workers(core)) == 9
    assert [spec.name for spec in workers(core) if spec.liveness is None] == []


def test_a_part_that_is_away_for_long_costs_nobodys_budget_but_the_journals(core):
    """An outage is no reason to give up; a journal that crashes again and again is."""
    assert [spec.name for spec in workers(core) if spec.uses_budget] == ["journal"]
    assert core._policy.intensity == BUDGET


def test_what_is_in_hand_is_finished_at_a_stop(core):
    drained = {spec.name for spec in workers(core) if spec.drain_deadline == IN_HAND_SECONDS}
    assert drained == {"writer", "media", "notifier"}
    assert Connections(None)._spec("loja").drain_deadline == IN_HAND_SECONDS


def test_all_deadlines_together_fit_the_time_that_the_manifests_give():
    core, connection = product_tree(local_stack()), Connections(None)._spec("loja")
    tree = Supervisor(
        [
            ChildSpec("pulse", never),
            ChildSpec("core", core),
            ChildSpec("http", never, stop_deadline=Limits().graceful_seconds + STOP_MARGIN),
        ],
        intensity=BUDGET,
    )
    needs = tree.stop_needs + connection.drain_deadline + connection.stop_limit
    unit = (ROOT / "deploy" / "systemd" / "zapvisor.service").read_text()
    given = int(re.search(r"^TimeoutStopSec=(\d+)s$", unit, re.M)[1])
    assert needs + 5 < given, "and the 5 s that open_supervisor leaves"
    assert f"({needs + 5:.0f} s with" in (ROOT / "deploy" / "README.md").read_text()


def test_who_needs_whom_is_restarted_together(core):
    grouped = {
        spec.name: [child.name for child in spec.run._children]
        for _, spec in walk(core)
        if isinstance(spec.run, Supervisor) and spec.run._policy.strategy is Strategy.REST_FOR_ONE
    }
    assert grouped == {"storage": ["probe", "writer"], "whatsapp": ["bridge", "connections"]}


@pytest.mark.parametrize("page", ["README.md", "README.pt-BR.md"])
def test_the_first_screen_draws_this_tree(core, page):
    drawn = [
        (len(match[1]) // 3, match[2])
        for match in re.finditer(r"^((?:│  |   )*)[├└]─ (\w+)", (ROOT / page).read_text(), re.M)
    ]
    told = [(depth + 1, spec.name) for depth, spec in walk(core) if spec.name != "self_tests"]
    assert drawn == [(0, "pulse"), (0, "core"), *told, (0, "http")]
