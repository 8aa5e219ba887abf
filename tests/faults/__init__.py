"""The promise of the message path under faults; ``docs/reliability.md`` publishes the results."""

import pytest

pytest.register_assert_rewrite("tests.faults.accounts", "tests.faults.rig")
