"""From the command to ready, with the embedded Supabase: nothing there yet, and once more."""

from __future__ import annotations

import time

import psutil

from tests.e2e.harness import Product

from .figures import Result
from .stage import Stage, cpu_seconds, memory_mb


def run(stage: Stage, *, quick: bool = False) -> Result:
    """A first start on an empty directory, then later ones."""
    result = Result(["", "ready after, s", "CPU of it, s", "runtime, MB", "bridge, MB"])
    product = Product(stage.directory(), stage.simulator, stage.parts)
    try:
        for name in ("first start", "later start"):
            result.row(name, _ready(product), *_of_product(product))
            product.stop()
    finally:
        product.close()
        product.stack.erase()
    runtime = stage.runtime()
    began = time.monotonic()
    runtime.start()
    elapsed = time.monotonic() - began
    costs = _costs(runtime.pid, runtime.bridge())
    result.row("start against a Supabase that is there", elapsed, *costs)
    return result


def _ready(product: Product) -> float:
    began = time.monotonic()
    product.start()
    return time.monotonic() - began


def _of_product(product: Product) -> tuple[float, float, float]:
    assert product.process is not None
    [bridge] = product.pids("node")
    return _costs(product.process.popen.pid, bridge)


def _costs(runtime: int, bridge: int) -> tuple[float, float, float]:
    """CPU seconds of both so far, and the memory of each."""
    seconds = sum(cpu_seconds(psutil.Process(pid)) for pid in (runtime, bridge))
    return seconds, memory_mb(runtime), memory_mb(bridge)
