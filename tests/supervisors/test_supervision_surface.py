"""The public surface, the layers, and the lists that tests keep."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from types import FunctionType

import elixir_checklist
import pytest

import supervisors
import supervisors.events as events
import supervisors.testing
from supervisors import Event
from supervisors._trio.log import LEVELS

HERE = Path(__file__).parent
PACKAGE = Path(supervisors.__file__).parent

PUBLIC = """
AutoShutdown Backoff Call CallCycleError ChildAbandoned ChildContext ChildDone ChildDownError
ChildDraining ChildExistsError ChildExited ChildParked ChildReady ChildRemoved ChildRestarting
ChildSpec ChildStarting ChildStateError ChildStopped ChildStopping ChildStuck ChildUnparked
ChildWaiting Delays Done DynamicSupervisor EXIT_STOP_OVERRUN Escalate EscalationError Event Exit
ExitKind Exits Inbox Intensity KeyTakenError Liveness LivenessError LoopBlocked MailboxGoneError
MailboxStatistics MessagesDropped NoSuchChildError Node NotReadyError NotStoppedError Park
Partitions ProcessInfo Program Pulse Ref Registry Restart Root StaleIncarnationError
StartFailedError State StopError Strategy Stuck SubprocessChild SubprocessError SupervisionError
Supervisor SupervisorDownError SupervisorReady SupervisorStopped SupervisorStopping Task
TaskSupervisor TooManyChildrenError Why hard_exit log_events open_program open_supervisor
run_supervisor
"""

PUBLIC_TESTING = """
EventRecorder FixedJitter IllegalStoryError ScriptedChild Step beat beating crash forever park ready
sleep stubborn
"""
SURFACE, TESTING = PUBLIC.split(), PUBLIC_TESTING.split()


def public(module):
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    )


def test_the_public_surface_is_pinned():
    assert public(supervisors) == sorted(SURFACE)
    assert public(supervisors.testing) == sorted(TESTING)


def test_everything_public_is_documented():
    for name in SURFACE:
        value = getattr(supervisors, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__ or issubclass(value, Event), name
            for member, function in vars(value).items():
                if isinstance(function, FunctionType | property) and not member.startswith("_"):
                    assert function.__doc__, f"{name}.{member}"


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


def layer(path):
    return path.relative_to(PACKAGE).parts[0]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.stem)
def test_layers(path):
    """_core knows the events, _trio both, _process and testing all three; nobody knows them."""
    allowed = {
        "events.py": {"supervisors._core"},
        "_core": {"supervisors._core", "supervisors.events"},
        "_trio": {"supervisors._core", "supervisors.events", "supervisors._trio", "trio"},
        "_process": {"supervisors._core", "supervisors._trio", "supervisors._process", "trio"},
        "testing": {
            "supervisors._core",
            "supervisors.events",
            "supervisors._trio",
            "supervisors.testing",
            "trio",
        },
        "__init__.py": {"supervisors"},
    }[layer(path)]
    if path.stem == "typevars":
        allowed = allowed | {"typing_extensions"}  # for type checkers only
    if path.stem == "fixtures":
        allowed = allowed | {"pytest"}
    for name in imports(path):
        standard = name.partition(".")[0] in sys.stdlib_module_names
        known = any(name == prefix or name.startswith(prefix + ".") for prefix in allowed)
        assert standard or known, f"{path.name} imports {name}"


def test_no_two_files_import_each_other():
    """Nor any ring of files; imports for type checkers count."""
    names = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
        if path.stem != "__init__"
    }
    todo = {name: set(imports(path)) & set(names) for name, path in names.items()}
    while free := {name for name, known in todo.items() if not known}:
        todo = {name: known - free for name, known in todo.items() if name not in free}
    assert not todo, f"in a ring, or above one: {sorted(todo)}"


def test_public_names_show_their_public_home():
    for name in SURFACE:
        value = getattr(supervisors, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            home = (
                "supervisors.events"
                if isinstance(value, type) and issubclass(value, Event)
                else "supervisors"
            )
            assert value.__module__ == home, name
    for name in TESTING:
        value = getattr(supervisors.testing, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__module__ == "supervisors.testing", name


def test_the_library_does_not_know_the_product():
    text = "".join(path.read_text() for path in PACKAGE.rglob("*.py")).lower()
    for word in ("zapvisor", "whatsapp", "supabase", "baileys"):
        assert word not in text


def test_files_are_small():
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 330, path.name


def test_importing_does_not_load_what_only_tests_need():
    program = "import sys, supervisors; print(sorted({'pytest', 'hypothesis'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
    )
    assert done.stdout == "[]\n"


def test_every_event_is_in_the_table_and_has_a_level():
    kinds = {
        name: kind
        for name, kind in vars(events).items()
        if inspect.isclass(kind) and issubclass(kind, Event) and kind is not Event
    }
    assert set(LEVELS) == set(kinds.values())
    for name in kinds:
        assert f"| {name} |" in events.__doc__
        assert name in SURFACE


def names_of_tests():
    found = set()
    for path in HERE.glob("test_supervision_*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(node.name)
    return found


@pytest.mark.parametrize("suite", ["SUPERVISOR", "DYNAMIC_SUPERVISOR"])
def test_the_checklist_of_elixirs_tests_is_covered(suite):
    existing = names_of_tests()
    entries = getattr(elixir_checklist, suite)
    assert len(entries) == {"SUPERVISOR": 15, "DYNAMIC_SUPERVISOR": 41}[suite]
    for title, answer in entries.items():
        if isinstance(answer, str):
            assert len(answer) > 20, title
        else:
            assert answer, title
            assert set(answer) <= existing, f"{title}: {set(answer) - existing}"


def test_each_invariant_has_a_named_test():
    numbers = [name.split("_")[2] for name in names_of_tests() if "test_invariant_" in name]
    assert sorted(numbers) == [f"{number:02}" for number in range(1, 15)]
