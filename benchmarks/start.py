"""From the command to ready, with the embedded Supabase: nothing there yet, and once more."""

from __future__ import annotations

import time

from tests.e2e.harness import Product

from .figures import Result
from .stage import Stage, memory_mb


def run(stage: Stage, *, quick: bool = False) -> Result:
    """A first start on an empty directory, then later ones."""
    result = Result(["", "ready after, s", "runtime, MB", "bridge, MB"])
    product = Product(stage.directory(), stage.simulator, stage.parts)
    try:
        for name in ("first start", "later start"):
            result.row(name, _ready(product), *_memory(product))
            product.stop()
    finally:
        product.close()
        product.stack.erase()
    runtime = stage.runtime()
    began = time.monotonic()
    runtime.start()
    elapsed = time.monotonic() - began
    sizes = memory_mb(runtime.pid), memory_mb(runtime.bridge())
    result.row("start against a Supabase that is there", elapsed, *sizes)
    return result


def _ready(product: Product) -> float:
    began = time.monotonic()
    product.start()
    return time.monotonic() - began


def _memory(product: Product) -> tuple[float, float]:
    assert product.process is not None
    [bridge] = product.pids("node")
    return memory_mb(product.process.popen.pid), memory_mb(bridge)
