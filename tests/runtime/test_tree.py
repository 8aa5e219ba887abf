"""The product's tree: who is in it, who is watched, and that the first screen draws it."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from runtime.tree import BUDGET, core_tree
from supervisors import ChildSpec, DynamicSupervisor, Strategy, Supervisor

ROOT = Path(__file__).parents[2]


async def never(_ctx):
    raise AssertionError("nothing is started here")


def part():
    return SimpleNamespace(run=never)


@pytest.fixture
def core():
    pool = SimpleNamespace(supervisor=DynamicSupervisor(max_children=1))
    stack = SimpleNamespace(supervisor=lambda: Supervisor([]))
    names = ("journal", "event_log", "probe", "writer", "bridge", "media", "robot", "notifier")
    return core_tree(
        local_stack=stack,
        connections=pool,
        janitor=part(),
        self_tests=DynamicSupervisor(max_children=1),
        **{name: part() for name in names},
    )


def walk(supervisor: Supervisor, depth: int = 0):
    for spec in supervisor._children:
        yield depth, spec
        if isinstance(spec.run, Supervisor):
            yield from walk(spec.run, depth + 1)


def workers(supervisor: Supervisor) -> list[ChildSpec]:
    return [spec for _, spec in walk(supervisor) if spec.run is never]


def test_every_part_that_works_is_watched_by_its_beats(core):
    assert len(workers(core)) == 9
    assert [spec.name for spec in workers(core) if spec.liveness is None] == []


def test_a_part_that_is_away_for_long_costs_nobodys_budget_but_the_journals(core):
    """An outage is no reason to give up; a journal that crashes again and again is."""
    assert [spec.name for spec in workers(core) if spec.uses_budget] == ["journal"]
    assert core._policy.intensity == BUDGET


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
