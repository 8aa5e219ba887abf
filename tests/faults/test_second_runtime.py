"""A second runtime on the same data directory refuses clearly and harms nobody."""

from __future__ import annotations

from .accounts import check_running
from .rig import Phone, free_port


def test_the_second_one_names_the_first_and_ends(survivor: Phone) -> None:
    runtime = survivor.runtime
    first, port = runtime.process, runtime.port
    assert first is not None
    second = runtime.launch(PORT=str(free_port()))
    runtime.process, runtime.port = first, port
    assert second.popen.wait(60) == 1
    assert str(first.popen.pid) in second.output()
    assert "uso por outro processo" in second.output()
    survivor.write(survivor.customers[0], "continua tudo bem")
    survivor.wait_text("continua tudo bem")
    check_running(survivor)
