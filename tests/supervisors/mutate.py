"""Mutation check of the decision core: ``python tests/supervisors/mutate.py [module ...]``.

``--record`` writes down the outcome for the sources as they are, in ``mutation.json``: as long as
they do not change, the gate believes it.

Flips every comparison, boundary, boolean operator and condition of the core, one at a time, and
runs the tests of the core (TESTS) against each mutant in a fork of this process. Every mutant has
to die; those that cannot be told apart from the original are listed in EQUIVALENT with the reason.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import importlib.abc
import importlib.util
import json
import os
import resource
import signal
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORD = HERE / "mutation.json"
TESTS = ["test_supervision_table", "test_supervision_core"]  # the quick ones first
HELPERS = ["supervision_pair", "supervision_walk", "supervision_reference"]
VALUES = ["settings", "stacks", "exits", "slot", "delays"]  # used everywhere
CHAIN = ["budget", "timers", "board", "plan", "judgement", "machine"]  # used by those after them
MODULES = VALUES + CHAIN
PATIENCE = 4  # times the CPU of the original for one mutant; an endless loop is a death too
WORKERS = 2
MEMORY = 2 * 2**30  # bytes of address space for one mutant; an endless loop may fill a list

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
TYPING = "TYPE_CHECKING"
ARITHMETIC = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add}

# (module, mutated line of source): why no test can tell it from the original
EQUIVALENT: dict[tuple[str, str], str] = {
    (
        "budget",
        "len(self._recent) + len(self._kept) < self._intensity.max_restarts",
    ): "counts once more, to the same result",
    ("budget", "now - self._recent[0].at >= window"): "looks at it again, to the same result",
    ("budget", "now + self._recent[0].at"): "looks at all of them, to the same result",
}


def mutants(tree):
    """Yields a function that mutates the tree and one that undoes it, for each mutant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for index, operator in enumerate(node.ops):
                for other in COMPARISONS[type(operator)]:
                    yield node, swap(node.ops, index, other())
        elif isinstance(node, ast.BoolOp):
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield node, replace(node, "op", other)
        elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            yield node, replace(node, "op", ARITHMETIC[type(node.op)]())
        elif isinstance(node, ast.If | ast.IfExp | ast.While) and ast.unparse(node.test) != TYPING:
            yield node, replace(node, "test", ast.UnaryOp(ast.Not(), node.test))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node, replace(node, "op", ast.UAdd())


@contextlib.contextmanager
def swap(items, index, new):
    old, items[index] = items[index], new
    yield
    items[index] = old


@contextlib.contextmanager
def replace(node, field, new):
    old = getattr(node, field)
    setattr(node, field, new)
    yield
    setattr(node, field, old)


def collect(module):
    """All mutants of one module: (where, what the line becomes, source)."""
    source = (ROOT / "supervisors" / "_core" / f"{module}.py").read_text()
    tree = ast.parse(source)
    found = []
    for node, change in mutants(tree):
        if isinstance(node, ast.BinOp) and "|" in ast.unparse(node):
            continue
        with change:
            ast.fix_missing_locations(tree)
            mutated = ast.unparse(tree)
            shown = ast.unparse(node).split("\n", 1)[0]
        found.append((f"{module}.py:{node.lineno}", shown, mutated))
    return [entry for entry in found if (module, entry[1]) not in EQUIVALENT]


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a changed source."""

    def __init__(self, name, source):
        self.name, self.source = name, source

    def find_spec(self, name, _path, _target=None):
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def exec_module(self, module):
        exec(compile(self.source, self.name, "exec"), module.__dict__)


def survives(module, source, seconds):
    """In a fork: whether the tests pass with this source within so much CPU time."""
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    again = ["supervision_pair", "supervision_walk", *TESTS]
    if module in CHAIN:  # only what depends on it is loaded again
        again += [f"supervisors._core.{name}" for name in CHAIN[CHAIN.index(module) :]]
    else:
        again += [name for name in sys.modules if name.startswith("supervisors")]
    for name in again:
        del sys.modules[name]
    if module:
        sys.meta_path.insert(0, Mutated(f"supervisors._core.{module}", source))
    try:
        for tests in TESTS:
            for name, test in list(vars(importlib.import_module(tests)).items()):
                if name.startswith("test_"):
                    test()
    except BaseException:
        return False
    return True


def run(jobs, seconds):
    """Runs the jobs in forks, a few at a time. Returns those that survived, and the last's CPU."""
    waiting, running, alive = list(reversed(jobs)), {}, []
    used = 0.0
    while waiting or running:
        while waiting and len(running) < WORKERS:
            job = waiting.pop()
            pid = os.fork()
            if pid == 0:
                os._exit(0 if survives(*job[:2], seconds) else 1)
            running[pid] = job
        pid, status, usage = os.wait3(0)
        used = usage.ru_utime
        job = running.pop(pid)
        if status == 0:
            alive.append(job)
    return alive, used


def main(modules=MODULES):
    """Prints the count and the survivors; returns the survivors."""
    sys.path[:0] = [str(ROOT), str(HERE)]
    for tests in TESTS:  # so that forks find trio and pytest loaded
        importlib.import_module(tests)
    alive, used = run([("", "", "the original")], seconds=0)  # 0: no limit
    if not alive:
        raise SystemExit("the tests fail without any mutation")
    jobs = []
    for module in modules:
        jobs += [(module, source, f"{where}: {shown}") for where, shown, source in collect(module)]
    alive, _ = run(jobs, seconds=PATIENCE * used)
    print(f"{len(jobs) - len(alive)} of {len(jobs)} mutants died")
    for job in alive:
        print("survived:", job[2])
    return alive, len(jobs)


def sources():
    """A hash of all that the outcome depends on."""
    files = [
        *sorted((ROOT / "supervisors" / "_core").glob("*.py")),
        ROOT / "supervisors" / "events.py",
        ROOT / "supervisors" / "_trio" / "spec.py",
        *(ROOT / "supervisors" / "testing" / f"{name}.py" for name in ("jitter", "recorder")),
        *(HERE / f"{name}.py" for name in ("mutate", *TESTS, *HELPERS)),
    ]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


if __name__ == "__main__":
    chosen = [word for word in sys.argv[1:] if word != "--record"]
    alive, count = main(chosen or MODULES)
    if "--record" in sys.argv and not alive and not chosen:
        RECORD.write_text(json.dumps({"sources": sources(), "mutants": count}) + "\n")
    sys.exit(1 if alive else 0)
