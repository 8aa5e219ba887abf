"""What supervision costs against bare trio: ``python benchmarks/supervisors.py [--json]``.

Everything in one run, each figure the best of several rounds, the rounds of both sides taken in
turns so that a busy machine disturbs both alike. Times are microseconds per child or message.

start       a supervised child that becomes ready (ordered supervisor / dynamic supervisor), against
            a task in a nursery that sets an event; all are started before any is waited for
restart     crash and come back ready, each once, against a nursery task that ends and a new one
send        a message into a mailbox that a child reads, against a bare memory channel
call        request and answer, against two bare memory channels
memory      KiB per live child, against a bare task
lag         milliseconds for which a task that sleeps for one is late while 10,000 children start,
            crash at one instant and stop, and what ``tree()`` of them takes; without the garbage
            collector, whose pauses come from the number of objects. Whom one event wakes, trio runs
            in one go: the crash is compared with as many bare tasks that crash at one instant
storm       10,000 children that crash and restart for a while: restarts stay within the budget, and
            so do the timers and the memory
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import trio

sys.path.insert(0, str(Path(__file__).parents[1]))

from supervisors import (
    Backoff,
    Call,
    ChildContext,
    ChildExited,
    ChildRestarting,
    ChildSpec,
    ChildStarting,
    DynamicSupervisor,
    EscalationError,
    Event,
    Intensity,
    Supervisor,
    open_supervisor,
)

SIZES = (1, 100, 10_000)
GOAL_START, GOAL_SEND, GOAL_FLAT = 3.0, 1.5, 1.5
GOAL_LAG, GOAL_TREE, LAG_SIZE = 50.0, 20.0, 10_000
Measured = Callable[[], Awaitable[float]]


def best(rounds: int, *sides: Measured) -> list[float]:
    """The best round of each side in seconds, the sides taken in turns."""
    figures: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, figure in zip(sides, figures, strict=True):
            gc.collect()
            figure.append(trio.run(side))
    return [min(figure) for figure in figures]


# ---------------------------------------------------------------------- start


async def waits(ctx: ChildContext) -> None:
    ctx.ready()
    await trio.sleep_forever()


async def bare_child(up: trio.Event) -> None:
    up.set()
    await trio.sleep_forever()


async def start_bare(number: int) -> float:
    async with trio.open_nursery() as nursery:
        begun = time.perf_counter()
        events = []
        for _ in range(number):
            up = trio.Event()
            nursery.start_soon(bare_child, up)
            events.append(up)
        for up in events:
            await up.wait()
        took = time.perf_counter() - begun
        nursery.cancel_scope.cancel()
    return took


async def start_ordered(number: int) -> float:
    specs = [ChildSpec(str(name), waits) for name in range(number)]
    begun = time.perf_counter()
    async with open_supervisor(Supervisor(specs)):
        return time.perf_counter() - begun


async def start_dynamic(number: int) -> float:
    specs = [ChildSpec(str(name), waits) for name in range(number)]

    async def initial() -> list[ChildSpec]:
        return specs

    begun = time.perf_counter()
    async with open_supervisor(DynamicSupervisor(max_children=number, initial=initial)):
        return time.perf_counter() - begun


# ---------------------------------------------------------------------- restart


class CrashError(Exception):
    """What children crash with."""


async def crashes() -> None:
    await trio.lowlevel.checkpoint()
    raise CrashError


async def restart_bare(number: int) -> float:
    """Each task ends with an exception that is caught, and a new one takes its place."""
    left = number
    done = trio.Event()

    async def child(nursery: trio.Nursery, first: bool) -> None:
        nonlocal left
        if first:
            try:
                await crashes()
            except CrashError:
                nursery.start_soon(child, nursery, False)
                return
        left -= 1
        if not left:
            done.set()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        begun = time.perf_counter()
        for _ in range(number):
            nursery.start_soon(child, nursery, True)
        await done.wait()
        took = time.perf_counter() - begun
        nursery.cancel_scope.cancel()
    return took


async def restart_supervised(number: int) -> float:
    left = number
    done = trio.Event()

    async def child(ctx: ChildContext) -> None:
        nonlocal left
        ctx.ready()
        if ctx.incarnation == 1:
            await crashes()
        left -= 1
        if not left:
            done.set()
        await trio.sleep_forever()

    async def initial() -> list[ChildSpec]:
        return [ChildSpec(str(name), child) for name in range(number)]

    pool = DynamicSupervisor(
        max_children=number, initial=initial, intensity=Intensity(number, 1000)
    )
    begun = time.perf_counter()
    async with open_supervisor(pool, logger=None):
        await done.wait()
        return time.perf_counter() - begun


# ---------------------------------------------------------------------- messages


async def send_bare(number: int) -> float:
    sender, receiver = trio.open_memory_channel[int](100)

    async def reader() -> None:
        async for _ in receiver:
            pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        await trio.lowlevel.checkpoint()
        begun = time.perf_counter()
        for message in range(number):
            await sender.send(message)
        took = time.perf_counter() - begun
        nursery.cancel_scope.cancel()
    return took


async def reads(ctx: ChildContext) -> None:
    mailbox = ctx.mailbox
    ctx.ready()
    async for message in mailbox:
        if type(message) is Call:
            message.reply(message.message)


async def send_supervised(number: int) -> float:
    async with open_supervisor(Supervisor([ChildSpec("reader", reads)])) as root:
        ref = root.child("reader")
        begun = time.perf_counter()
        for message in range(number):
            await ref.send(message)
        return time.perf_counter() - begun


async def call_bare(number: int) -> float:
    ask, questions = trio.open_memory_channel[int](100)
    answer, answers = trio.open_memory_channel[int](100)

    async def reader() -> None:
        async for message in questions:
            await answer.send(message)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader)
        begun = time.perf_counter()
        for message in range(number):
            await ask.send(message)
            await answers.receive()
        took = time.perf_counter() - begun
        nursery.cancel_scope.cancel()
    return took


async def call_supervised(number: int) -> float:
    async with open_supervisor(Supervisor([ChildSpec("reader", reads)])) as root:
        ref = root.child("reader")
        begun = time.perf_counter()
        for message in range(number):
            await ref.call(message)
        return time.perf_counter() - begun


# ---------------------------------------------------------------------- memory


async def memory_bare(number: int) -> float:
    async with trio.open_nursery() as nursery:
        before = tracemalloc.get_traced_memory()[0]
        events = []
        for _ in range(number):
            up = trio.Event()
            nursery.start_soon(bare_child, up)
            events.append(up)
        for up in events:
            await up.wait()
        del events
        used = tracemalloc.get_traced_memory()[0] - before
        nursery.cancel_scope.cancel()
    return used / number / 1024


async def memory_supervised(number: int) -> float:
    before = tracemalloc.get_traced_memory()[0]

    async def initial() -> list[ChildSpec]:
        return [ChildSpec(str(name), waits) for name in range(number)]

    async with open_supervisor(DynamicSupervisor(max_children=number, initial=initial)):
        return (tracemalloc.get_traced_memory()[0] - before) / number / 1024


# ---------------------------------------------------------------------- storm


async def storm(number: int, seconds: float) -> dict[str, float]:
    """Children with a backoff crash as soon as they are ready; one supervisor, no budget used."""
    live = peak = restarts = 0

    def count(event: Event) -> None:
        nonlocal live, peak, restarts
        if isinstance(event, ChildStarting):
            live += 1
            peak = max(peak, live)
            restarts += event.incarnation > 1
        elif isinstance(event, ChildExited):
            live -= 1

    async def child(ctx: ChildContext) -> None:
        ctx.ready()
        raise CrashError

    backoff = Backoff(first=0.5, cap=1.0)

    async def initial() -> list[ChildSpec]:
        return [ChildSpec(str(name), child, backoff=backoff) for name in range(number)]

    pool = DynamicSupervisor(max_children=number, initial=initial)
    async with open_supervisor(pool, observers=[count], logger=None):
        await trio.sleep(seconds)
        timers = len(pool.running().machine.board.timers._heap)
    return {
        "children": number,
        "seconds": seconds,
        "restarts": restarts,
        "restarts_per_second": restarts / seconds,
        "most_live_at_once": peak,
        "timers": timers,
        "left_live": live,
    }


async def storm_with_budget(number: int, limit: int) -> dict[str, float]:
    """The same without backoff: the supervisor gives up after ``limit`` restarts, not later."""
    restarts = 0

    def count(event: Event) -> None:
        nonlocal restarts
        restarts += isinstance(event, ChildRestarting)

    async def child(ctx: ChildContext) -> None:
        ctx.ready()
        raise CrashError

    async def initial() -> list[ChildSpec]:
        return [ChildSpec(str(name), child) for name in range(number)]

    pool = DynamicSupervisor(max_children=number, initial=initial, intensity=Intensity(limit, 60))
    begun = time.perf_counter()
    try:
        async with open_supervisor(pool, observers=[count], logger=None):
            await trio.sleep_forever()
    except EscalationError:
        pass
    return {"budget": limit, "restarts": restarts, "seconds": time.perf_counter() - begun}


# ---------------------------------------------------------------------- how long others wait


class Lag:
    """The longest time by which a task that sleeps for a millisecond was late, in milliseconds."""

    def __init__(self) -> None:
        self._worst = 0.0

    async def measure(self) -> None:
        while True:
            begun = time.perf_counter()
            await trio.sleep(0.001)
            self._worst = max(self._worst, time.perf_counter() - begun - 0.001)

    async def take(self) -> float:
        """The worst since the last time."""
        await trio.sleep(0.002)  # what is under way has been seen
        worst, self._worst = self._worst, 0.0
        return worst * 1000


async def lags(number: int) -> dict[str, float]:
    """Milliseconds for which everybody else waits while so many children start (all together, and
    by a command each), crash at one instant (with budget, with backoff), stop; and ``tree()``."""
    crash = trio.Event()
    ready = 0
    all_ready = trio.Event()

    async def child(ctx: ChildContext) -> None:
        nonlocal ready
        ctx.ready()
        ready += 1
        if ready == number:
            all_ready.set()
        await crash.wait()
        raise CrashError

    async def wait_for_all() -> None:
        nonlocal ready, all_ready
        await all_ready.wait()
        ready, all_ready = 0, trio.Event()

    async def supervised(backoff: Backoff | None, commanded: bool) -> dict[str, float]:
        nonlocal crash
        specs = [ChildSpec(str(name), child, backoff=backoff) for name in range(number)]

        async def initial() -> list[ChildSpec]:
            return [] if commanded else specs

        pool = DynamicSupervisor(
            max_children=number, initial=initial, intensity=Intensity(number, 1000)
        )
        figures = {}
        await lag.take()
        async with open_supervisor(pool, logger=None) as root:
            if commanded:
                async with trio.open_nursery() as nursery:
                    for some in range(0, number, 100):
                        for spec in specs[some : some + 100]:
                            nursery.start_soon(pool.start_child, spec)
                        await trio.lowlevel.checkpoint()
            await wait_for_all()
            figures["start"] = await lag.take()
            begun = time.perf_counter()
            root.tree()
            figures["tree"] = (time.perf_counter() - begun) * 1000
            await lag.take()
            before, crash = crash, trio.Event()
            before.set()
            await wait_for_all()
            figures["crash"] = await lag.take()
        figures["stop"] = await lag.take()
        return figures

    lag = Lag()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lag.measure)
        budget = await supervised(None, commanded=False)
        backoff = await supervised(Backoff(0.2, 0.2, 1), commanded=True)
        nursery.cancel_scope.cancel()
    return {
        "start together": budget["start"],
        "start by commands": backoff["start"],
        "crash with budget": budget["crash"],
        "crash with backoff": backoff["crash"],
        "stop": max(budget["stop"], backoff["stop"]),
        "tree": min(budget["tree"], backoff["tree"]),
    }


async def lags_bare(number: int) -> float:
    """The same of as many bare tasks that crash at one instant, each in a scope of its own and
    caught: what trio itself makes of it."""
    lag = Lag()
    crash = trio.Event()

    async def child() -> None:
        await crash.wait()
        raise CrashError

    async def caught() -> None:
        try:
            with trio.CancelScope(shield=True):
                await child()
        except CrashError:
            pass

    async with trio.open_nursery() as outer:
        outer.start_soon(lag.measure)
        async with trio.open_nursery() as nursery:
            for _ in range(number):
                nursery.start_soon(caught)
            await trio.sleep(0.1)
            await lag.take()
            crash.set()
        worst = await lag.take()
        outer.cancel_scope.cancel()
    return worst


def measure_lags(number: int, rounds: int) -> dict[str, float]:
    """The best of several rounds."""
    gc.collect()
    gc.disable()
    try:
        told = [trio.run(lags, number) for _ in range(rounds)]
        bare = min(trio.run(lags_bare, number) for _ in range(rounds))
    finally:
        gc.enable()
    return {"bare crash": bare} | {name: min(each[name] for each in told) for name in told[0]}


# ---------------------------------------------------------------------- report


def measure(sizes: tuple[int, ...], rounds: int, messages: int) -> dict[str, object]:
    figures: dict[str, object] = {}
    for size in sizes:
        repeats = max(1, min(200, 2000 // size))
        many = rounds if size > 1000 else rounds * 3
        sides = [partial(repeat, side, size, repeats) for side in (start_bare, start_ordered)]
        sides.append(partial(repeat, start_dynamic, size, repeats))
        bare, ordered, dynamic = (figure / size / repeats * 1e6 for figure in best(many, *sides))
        rebare, resupervised = (
            figure / size * 1e6
            for figure in best(many, partial(restart_bare, size), partial(restart_supervised, size))
        )
        tracemalloc.start()
        kib_bare, kib = best(1, partial(memory_bare, size), partial(memory_supervised, size))
        tracemalloc.stop()
        figures[str(size)] = {
            "start": {
                "bare": bare,
                "ordered": ordered,
                "dynamic": dynamic,
                "ratio": ordered / bare,
                "ratio_dynamic": dynamic / bare,
            },
            "restart": {
                "bare": rebare,
                "supervised": resupervised,
                "ratio": resupervised / rebare,
            },
            "memory_kib": {"bare": kib_bare, "supervised": kib},
        }
    pairs = {"send": (send_bare, send_supervised), "call": (call_bare, call_supervised)}
    for name, (bare_side, our_side) in pairs.items():
        bare, ours = (
            figure / messages * 1e6
            for figure in best(
                rounds * 3, partial(bare_side, messages), partial(our_side, messages)
            )
        )
        figures[name] = {"bare": bare, "supervised": ours, "ratio": ours / bare}
    return figures


async def repeat(side: Callable[[int], Awaitable[float]], size: int, repeats: int) -> float:
    return sum([await side(size) for _ in range(repeats)])


def goals(figures: dict[str, object], sizes: tuple[int, ...]) -> dict[str, tuple[float, float]]:
    """Each goal: the figure and its bound."""
    few, many = str(sizes[-2]), str(sizes[-1])
    start = {size: figures[size]["start"] for size in (few, many)}  # type: ignore[index]
    reached = {
        f"start of {size}, {kind}, against a bare task": (start[size][key], GOAL_START)
        for size in (few, many)
        for kind, key in (("ordered", "ratio"), ("dynamic", "ratio_dynamic"))
    }
    reached["send against a bare channel"] = (figures["send"]["ratio"], GOAL_SEND)  # type: ignore[index]
    for kind in ("ordered", "dynamic"):
        growth = start[many][kind] / start[few][kind]
        bare = start[many]["bare"] / start[few]["bare"]
        reached[f"cost per child, {few} to {many}, {kind}, beyond bare's growth"] = (
            growth / max(bare, 1.0),
            GOAL_FLAT,
        )
    lag: dict[str, float] = figures["lag_ms"]  # type: ignore[assignment]
    for name in ("start together", "start by commands", "stop"):
        reached[f"milliseconds of lag: {name}"] = (lag[name], GOAL_LAG)
    for name in ("crash with budget", "crash with backoff"):
        reached[f"milliseconds of lag: {name}, beyond bare's"] = (
            max(0.0, lag[name] - lag["bare crash"]),
            GOAL_LAG,
        )
    reached["milliseconds of tree()"] = (lag["tree"], GOAL_TREE)
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])  # type: ignore[union-attr]
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--quick", action="store_true", help="small sizes, for the tests")
    options = parser.parse_args()
    sizes = (1, 50, 500) if options.quick else SIZES
    rounds, messages = (2, 2000) if options.quick else (4, 50_000)
    figures = measure(sizes, rounds, messages)
    figures["lag_ms"] = measure_lags(LAG_SIZE, 2 if options.quick else 5)
    figures["storm"] = trio.run(storm, sizes[-1], 1.0 if options.quick else 5.0)
    figures["storm_with_budget"] = trio.run(storm_with_budget, sizes[-1], 100)
    reached = goals(figures, sizes)
    if options.json:
        print(json.dumps({"figures": figures, "goals": reached}, indent=2))
        return
    print(json.dumps(figures, indent=2))
    for goal, (figure, bound) in reached.items():
        print(f"{'reached' if figure <= bound else 'MISSED '} {figure:5.2f} <= {bound}: {goal}")


if __name__ == "__main__":
    main()
