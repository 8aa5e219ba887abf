"""How the end of the tree is told on the command line."""

from __future__ import annotations

import pytest

from http_api.cli.serving import _expected_failures
from http_api.cli.terminal import Problem
from supervisors import EscalationError, Park, StopError


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StopError("zapvisor", [ValueError("a secret")]), "failed while it was stopped"),
        (EscalationError("zapvisor/core", "too many restarts"), "zapvisor/core gave up"),
        (Park("Leia um novo QR code.", "logged_out"), "Leia um novo QR code."),
    ],
    ids=lambda one: type(one).__name__,
)
def test_the_end_of_the_tree_is_one_sentence(tmp_path, error, told):
    with pytest.raises(Problem) as raised, _expected_failures(tmp_path):
        raise ExceptionGroup("of a nursery", [error])
    assert told in str(raised.value)
    assert "secret" not in str(raised.value)
