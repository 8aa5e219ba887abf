"""``python -m benchmarks [NAME...] [--quick] [--write]``"""

from __future__ import annotations

import argparse
import importlib
import os
import time

from . import report
from .stage import staged

NAMES = (
    "storage",
    "pipeline",
    "outgoing",
    "load",
    "memory",
    "recovery",
    "start",
    "reconnect",
    "journal",
    "hostile",
)


def main() -> None:
    """Run what was asked for; print each table; keep the figures where --write says so."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--write", action="store_true", help="update docs/performance.md and plot")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    for name in options.names or NAMES:
        began = time.monotonic()
        others = os.getloadavg()[0]
        with staged() as stage:
            result = importlib.import_module(f".{name}", __package__).run(
                stage, quick=options.quick
            )
        print(f"\n## {name} ({time.monotonic() - began:.0f} s)\n")
        result.busy = f"Load average before it: {others:.1f} on {os.cpu_count()} cores."
        print(report.table(result), flush=True)
        if options.write:
            report.keep(name, result)


if __name__ == "__main__":
    main()
