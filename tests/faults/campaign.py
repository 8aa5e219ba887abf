"""Random kills, one after the other, with messages flowing both ways and accounts after each.

``python -m tests.faults.campaign --kills 200 --seed 7`` or ``--minutes 60`` (`./zap test --faults`
and `--soak` run it); what is done in a trial follows from the seed and the number of the trial.
Among the kills are processes held for seconds (SIGSTOP) and cut connections; they are not counted
as kills. Ends at the first broken promise, with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from runtime.node_parts import prepare
from tests.e2e.harness import Simulator

from .accounts import Traffic, check, check_running
from .figures import percentiles
from .places import BRIDGE, RUNTIME
from .rig import Backend, Phone, Runtime, hold, is_stopped

TRIALS_PER_DIRECTORY = 25
"""After so many kills the journal is audited as a whole, and a new data directory begun."""
PATIENCE = 10.0
"""Seconds until a place that is not passed is given up for a kill there and then."""
HELD_SECONDS = 2.0


class Campaign:
    """The figures so far, and one trial after the other."""

    def __init__(self, seed: int, simulator: Simulator, backend: Backend) -> None:
        self.seed = seed
        self.simulator = simulator
        self.backend = backend
        self.trials = 0
        self.kills = 0
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
        fault, strike = choose(dice)
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
        self.kills += fault.startswith("kill")
        print(f"trial {self.trials}: {fault}, back after {seconds:.1f} s, all there", flush=True)

    def report(self) -> dict[str, Any]:
        """The figures, for docs/reliability.md."""
        return {
            "seed": self.seed,
            "trials": self.trials,
            "kills": self.kills,
            "messagesIn": self.messages["in"],
            "messagesOut": self.messages["out"],
            "receiptMs": percentiles(self.receipt_ms),
            "recoverySeconds": {
                fault: {"trials": len(times), **percentiles(times)}
                for fault, times in sorted(self.recovery.items())
            },
        }


def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


Strike = Callable[[Phone], None]


def choose(dice: random.Random) -> tuple[str, Strike]:
    """One fault by its name, and what does it."""
    kind = dice.choices(list(_KINDS), weights=[weight for weight, _ in _KINDS.values()])[0]
    return _KINDS[kind][1](dice)


def _simple(name: str, strike: Strike) -> Callable[[random.Random], tuple[str, Strike]]:
    return lambda _: (name, strike)


def _kill_runtime_at(dice: random.Random) -> tuple[str, Strike]:
    place = dice.choice(list(RUNTIME))
    passage = dice.randint(1, RUNTIME[place])

    def strike(phone: Phone) -> None:
        runtime = phone.runtime
        runtime.arm(f"{place}:kill@{passage}")
        if not _within(PATIENCE, lambda: not runtime.alive):
            runtime.disarm()  # the messages were too few to pass it so often
            runtime.kill()

    return f"kill runtime at {place}", strike


def _kill_bridge_at(dice: random.Random) -> tuple[str, Strike]:
    place = dice.choice(list(BRIDGE))
    passage = dice.randint(1, BRIDGE[place])

    def strike(phone: Phone) -> None:
        bridge = phone.runtime.bridge()
        phone.runtime.arm(f"{place}:kill@{passage}")
        if not _within(PATIENCE, lambda: not psutil.pid_exists(bridge)):
            phone.runtime.disarm()
            _kill(bridge)

    return f"kill bridge at {place}", strike


def _hold_at(dice: random.Random) -> tuple[str, Strike]:
    place = dice.choice([*RUNTIME, *BRIDGE])

    def strike(phone: Phone) -> None:
        runtime = phone.runtime
        pid = runtime.pid if place in RUNTIME else runtime.bridge()
        runtime.arm(f"{place}:stop")
        if _within(PATIENCE, lambda: is_stopped(pid)):
            hold(pid, HELD_SECONDS)
        runtime.disarm()

    return f"hold at {place}", strike


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(pid, signal.SIGKILL)


def _drop(phone: Phone) -> None:
    phone.simulator.post("/faults", kind="drop", phone=phone.number, reset=True)


_KINDS: dict[str, tuple[int, Callable[[random.Random], tuple[str, Strike]]]] = {
    "runtime": (18, _simple("kill runtime", lambda phone: phone.runtime.kill())),
    "runtime at": (30, _kill_runtime_at),
    "bridge": (10, _simple("kill bridge", lambda phone: _kill(phone.runtime.bridge()))),
    "bridge at": (18, _kill_bridge_at),
    "postgrest": (
        6,
        _simple("kill PostgREST", lambda phone: _kill(phone.runtime.backend.postgrest())),
    ),
    "postgresql": (
        6,
        _simple("kill PostgreSQL", lambda phone: _kill(phone.runtime.backend.postmaster())),
    ),
    "hold at": (8, _hold_at),
    "drop": (4, _simple("drop the connection", _drop)),
}
"""Weight and maker of each kind of fault."""


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
    print(f"seed {seed}", flush=True)
    # Ended from outside: in order, so that nothing outlives the campaign.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with _directories() as directory:
        simulator = Simulator(prepare(Path("data")))
        backend = Backend(directory() / "supabase")
        campaign = Campaign(seed, simulator, backend)
        until_then = time.monotonic() + (options.minutes or 0) * 60

        def goes_on() -> bool:
            if options.kills is not None:
                return campaign.kills < options.kills
            return campaign.trials == 0 or time.monotonic() < until_then

        failure: str | None = None
        try:
            while goes_on():
                campaign.run_directory(directory(), goes_on)
        except AssertionError as error:
            failure = str(error)
            print(f"trial {campaign.trials} of seed {seed} failed:\n{error}", flush=True)
        except SystemExit:
            failure = "ended from outside"
        finally:
            backend.close()
            simulator.close()
    figures = {**campaign.report(), "failure": failure}
    if options.report is not None:
        options.report.write_text(json.dumps(figures, indent=2))
    print(json.dumps(figures, indent=2))
    return 0 if failure is None else 1


if __name__ == "__main__":
    sys.exit(main())
