"""A storm of strangers: whatever children do and whoever commands, the tree keeps its word."""

from __future__ import annotations

import logging

import pytest
from hypothesis import settings
from supervision_misdeeds import MISDEEDS
from supervision_stranger import Stranger

LONG = settings.get_current_profile_name() == "long"
CHUNK = 30
CHUNKS = 100 if LONG else 5


@pytest.fixture
def quiet(caplog):
    """What failing observers are logged with is not kept, nor printed."""
    caplog.set_level(logging.CRITICAL + 1, logger="supervisors")


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nobody_lives_twice_waits_forever_or_ends_unjudged(quiet, chunk):
    done, events, ways = set(), set(), set()
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        print(f"seed {seed}")  # for whoever sees it hang
        told = Stranger(seed).run()
        assert not told.faults, "\n".join([f"supervision_stranger.py {seed}", *told.faults])
        done.update(told.kinds)
        events.update(type(event).__name__ for event in told.story.events)
        ways.add(told.out)
    # It is a storm: all misdeeds are done, nearly all events told.
    assert len(MISDEEDS) >= 24
    assert len(done) > 0.9 * len(MISDEEDS)
    assert len(events) >= 15
    assert len(ways) > 2


def test_a_seed_tells_the_same_story_again(quiet):
    first, second = (
        [(type(event).__name__, event.path, event.at) for event in Stranger(11).run().story.events]
        for _ in range(2)
    )
    assert len(first) > 20
    assert first == second
