"""Whose time counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.inbound.clock import plausible

ARRIVED = 1_770_000_000.5


@pytest.mark.parametrize(
    "at",
    [1_770_000_000, 1_769_000_000, "1769000000", 1_770_000_000.0, 1_770_090_000, 1_400_000_000],
)
def test_whatsapps_time_counts(at):
    assert plausible(at, ARRIVED) == int(float(at))


@pytest.mark.parametrize(
    "at",
    [
        *(None, 0, -1, -1_770_000_000, "", "agora", [], {}, True),
        *(float("nan"), float("inf"), -float("inf"), 10**400, "9" * 5000),
        *(1_770_000_000_000, 1_770_000_000_000_000, 4_102_444_800, 1_770_200_000, 3600),
    ],
)
def test_the_time_of_arrival_counts_where_there_is_no_other(at):
    assert plausible(at, ARRIVED) == int(ARRIVED)


@given(st.integers() | st.floats() | st.text() | st.none())
def test_any_answer_is_a_time_of_the_past_or_just_now(at):
    assert 1_230_768_000 <= plausible(at, ARRIVED) <= ARRIVED + 2 * 86_400
