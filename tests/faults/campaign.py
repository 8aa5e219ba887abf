"""Random kills, one after the other, with messages flowing both ways and accounts after each.

``python -m tests.faults.campaign --kills 200 --seed 7`` or ``--minutes 60``; what is done in a
trial follows from the seed and the number of the trial. Ends at the first broken promise, with exit
code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from runtime.node_parts import prepare
from tests.e2e.harness import Simulator

from .accounts import Traffic, check, check_running
from .places import BRIDGE, RUNTIME
from .rig import Backend, Phone, Runtime

TRIALS_PER_DIRECTORY = 25
"""After so many kills the journal is audited as a whole, and a new data directory begun."""
PATIENCE = 10.0
"""Seconds until a place that is not passed is given up for a kill there and then."""


class Campaign:
    """The figures so far, and one trial after the other."""

    def __init__(self, seed: int, simulator: Simulator, backend: Backend) -> None:
        self.seed = seed
        self.simulator = simulator
        self.backend = backend
        self.trials = 0
        self.recovery: defaultdict[str, list[float]] = defaultdict(list)
        self.messages = {"in": 0, "out": 0}
        self.receipt_ms: list[float] = []

    def run_directory(self, directory: Path, goes_on: Callable[[], bool]) -> None:
        """Trials on one data directory, then the audit."""
        runtime = Runtime(directory, self.simulator, self.backend).start()
        try:
            name = f"campanha-{self.trials}"
            phone = Phone(runtime, self.simulator, name, customers=3).pair()
            for _ in range(TRIALS_PER_DIRECTORY):
                if not goes_on():
                    break
                self.trial(phone)
            figures = check(phone)
            self.messages["in"] += figures["incoming"]
            self.messages["out"] += figures["outgoing"]
            ledger = self.simulator.get("/ledger", phone=phone.number)["sent"]
            self.receipt_ms += [one["deliveredAt"] - one["sentAt"] for one in ledger]
        finally:
            runtime.close()

    def trial(self, phone: Phone) -> None:
        """Let messages flow, kill something, wait for everything, compare."""
        self.trials += 1
        dice = random.Random(f"{self.seed}/{self.trials}")
        phone.wait_connected()
        fault, strike = self._choose(dice)
        label = f"{self.trials} {fault}"
        traffic = Traffic(phone, label)
        with traffic.flowing(incoming=dice.randint(20, 60), outgoing=dice.randint(6, 20)):
            time.sleep(dice.uniform(0.0, 0.6))
            strike(phone)
            dead = time.monotonic()
            probe = f"{label} depois"
            phone.write(phone.customers[0], probe)
            if not phone.runtime.alive:
                phone.runtime.start()
            phone.wait_text(probe, seconds=120)
            seconds = time.monotonic() - dead
        check_running(phone)
        self.recovery[fault].append(seconds)
        print(f"trial {self.trials}: {fault}, back after {seconds:.1f} s, all there", flush=True)

    def _choose(self, dice: random.Random) -> tuple[str, Callable[[Phone], None]]:
        kind = dice.choices(
            ["runtime", "runtime at", "bridge", "bridge at", "postgrest", "postgresql"],
            weights=[20, 34, 12, 18, 8, 8],
        )[0]
        match kind:
            case "runtime at":
                place = dice.choice(list(RUNTIME))
                passage = dice.randint(1, RUNTIME[place])
                return f"runtime at {place}", lambda phone: _runtime_at(phone, place, passage)
            case "bridge at":
                place = dice.choice(list(BRIDGE))
                passage = dice.randint(1, BRIDGE[place])
                return f"bridge at {place}", lambda phone: _bridge_at(phone, place, passage)
            case _:
                return kind, _RANDOM[kind]

    def report(self) -> dict[str, Any]:
        """The figures, for docs/reliability.md."""
        kills = sum(len(times) for times in self.recovery.values())
        return {
            "seed": self.seed,
            "kills": kills,
            "messagesIn": self.messages["in"],
            "messagesOut": self.messages["out"],
            "lost": 0,
            "doubled": 0,
            "receiptMs": _percentiles(self.receipt_ms),
            "recoverySeconds": {
                fault: {"trials": len(times), **_percentiles(times)}
                for fault, times in sorted(self.recovery.items())
            },
        }


def _percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered), 2),
        "p99": round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 2),
        "max": round(ordered[-1], 2),
    }


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def _runtime(phone: Phone) -> None:
    phone.runtime.kill()


def _runtime_at(phone: Phone, place: str, passage: int) -> None:
    runtime = phone.runtime
    runtime.arm(f"{place}:kill@{passage}")
    if not _within(PATIENCE, lambda: not runtime.alive):
        runtime.disarm()  # the messages were too few to pass it so often
        runtime.kill()


def _bridge(phone: Phone) -> None:
    os.kill(phone.runtime.bridge(), signal.SIGKILL)


def _bridge_at(phone: Phone, place: str, passage: int) -> None:
    bridge = phone.runtime.bridge()
    phone.runtime.arm(f"{place}:kill@{passage}")
    if not _within(PATIENCE, lambda: not psutil.pid_exists(bridge)):
        phone.runtime.disarm()
        _bridge(phone)


def _postgrest(phone: Phone) -> None:
    os.kill(phone.runtime.backend.postgrest(), signal.SIGKILL)


def _postgresql(phone: Phone) -> None:
    os.kill(phone.runtime.backend.postmaster(), signal.SIGKILL)


_RANDOM: dict[str, Callable[[Phone], None]] = {
    "runtime": _runtime,
    "bridge": _bridge,
    "postgrest": _postgrest,
    "postgresql": _postgresql,
}


@contextmanager
def _directories() -> Iterator[Callable[[], Path]]:
    made: list[Path] = []

    def make() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix="zapvisor campaign ")))
        made[-1].chmod(0o755)
        return made[-1]

    try:
        yield make
    finally:
        for path in made:
            shutil.rmtree(path, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign")
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--kills", type=int)
    length.add_argument("--minutes", type=float)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--report", type=Path, help="where to write the figures, as JSON")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    until_then = time.monotonic() + (options.minutes or 0) * 60
    print(f"seed {seed}", flush=True)
    # Ended from outside: in order, so that nothing outlives the campaign.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with _directories() as directory:
        simulator = Simulator(prepare(Path("data")))
        backend = Backend(directory() / "supabase")
        campaign = Campaign(seed, simulator, backend)

        def goes_on() -> bool:
            if options.kills is not None:
                return campaign.trials < options.kills
            return time.monotonic() < until_then

        failure: str | None = None
        try:
            while goes_on():
                campaign.run_directory(directory(), goes_on)
        except AssertionError as error:
            failure = str(error)
            print(f"trial {campaign.trials} of seed {seed} failed:\n{error}", flush=True)
        finally:
            backend.close()
            simulator.close()
    figures = {**campaign.report(), "failure": failure, "trials": campaign.trials}
    if options.report is not None:
        options.report.write_text(json.dumps(figures, indent=2))
    print(json.dumps(figures, indent=2))
    return 0 if failure is None else 1


if __name__ == "__main__":
    sys.exit(main())
