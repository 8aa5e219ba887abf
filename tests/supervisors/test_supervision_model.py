"""The decision core against the reference model."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from supervision_pair import Pair, kinds_for
from supervision_walk import begin, command, finish, pass_time, rare, walk


class CoreAgainstModel(RuleBasedStateMachine):
    pair: Pair | None = None

    @initialize(data=st.data())
    def is_begun(self, data):
        self.pair = begin(chooser(data))

    def live(self):
        if self.pair is None:
            return []
        return [s for s in self.pair.live() if s.state.value != "abandoned"]

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def ready(self, data):
        self.pair.ready(chooser(data)(self.live()).name)

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def exits(self, data):
        slot = chooser(data)(self.live())
        self.pair.exit(slot.name, chooser(data)(kinds_for(slot)))

    @precondition(lambda self: self.live())
    @rule(data=st.data())
    def beats(self, data):
        self.pair.beat(chooser(data)(self.live()).name)

    @rule(data=st.data())
    def time_passes(self, data):
        pass_time(self.pair, chooser(data))

    @rule(data=st.data())
    def is_commanded(self, data):
        command(self.pair, chooser(data))

    @rule(data=st.data())
    def something_rare(self, data):
        rare(self.pair, chooser(data))

    @invariant()
    def one_live_incarnation_per_name(self):
        if self.pair is not None:
            self.pair.recorder.check()

    @invariant()
    def nothing_is_live_after_the_end(self):
        if self.pair is not None and self.pair.finished:
            assert not self.live()


def chooser(data):
    return lambda options: data.draw(st.sampled_from(options))


LONG = settings.get_current_profile_name() == "long"
CoreAgainstModel.TestCase.settings = settings(
    max_examples=settings().max_examples if LONG else 200,
    stateful_step_count=50,
    suppress_health_check=list(HealthCheck),
)
# The long profile takes as long as it takes.
TestCoreAgainstModel = pytest.mark.timeout(0 if LONG else 600)(CoreAgainstModel.TestCase)


@pytest.mark.parametrize("seed", range(8))
def test_random_walks_agree_with_the_model(seed):
    choose = random.Random(seed).choice
    for _ in range(40):
        pair = begin(choose)
        walk(pair, choose, 60)
        if not pair.finished:
            finish(pair, choose)
