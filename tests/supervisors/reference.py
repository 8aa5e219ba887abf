"""``python tests/supervisors/reference.py`` writes docs/supervision/reference.md anew."""

from __future__ import annotations

import inspect
from collections import ChainMap
from pathlib import Path

import supervisors
import supervisors.testing
from supervisors import Event

PAGE = Path(__file__).parents[2] / "docs/supervision/reference.md"

HEAD = """# Reference

The docstrings, which are the specification. This page is made from them by
`python tests/supervisors/reference.py`.
"""

INTERNAL = {
    *("running", "slot", "box", "nodes", "may_wait"),
    *("host", "unhost", "at_end", "drain", "close"),
    *("push", "end", "derive", "present", "task", "give_up", "settle"),
}
"""Members that one part of the library has for another."""

GROUPS = {
    "Children and supervisors": """ChildSpec ChildContext Supervisor DynamicSupervisor
        open_supervisor Root run_supervisor hard_exit""",
    "Rules": "Restart Strategy Intensity Backoff AutoShutdown Stuck Delays",
    "How a child ends": "Exit ExitKind Why Park Escalate Done",
    "Actors": "Ref Inbox Call Exits",
    "Tasks, registry, partitions": "TaskSupervisor Task Registry Partitions",
    "Programs": "SubprocessChild open_program Program ProcessInfo SubprocessError",
    "Looking": "State Node MailboxStatistics log_events Pulse Liveness",
    "Testing (`supervisors.testing`)": " ".join(sorted(vars(supervisors.testing))),
    "Errors": "SupervisionError",
}


def text() -> str:
    parts = [HEAD]
    told = set()
    for title, names in GROUPS.items():
        module = supervisors.testing if "testing" in title else supervisors
        parts.append(f"\n## {title}\n")
        for name in names.split():
            value = getattr(module, name, None)
            if name.startswith("_") or not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            told.add(name)
            parts.append(entry(name, value))
        if title == "Errors":
            errors = [n for n in sorted(vars(supervisors)) if n.endswith("Error") and n not in told]
            parts.extend(entry(name, getattr(supervisors, name)) for name in errors)
            told.update(errors)
    parts.append("\n## Events (`supervisors.events`)\n")
    parts.append(f"{inspect.cleandoc(supervisors.events.__doc__ or '')}\n")
    rest = [
        name
        for name, value in sorted(vars(supervisors).items())
        if not name.startswith("_")
        and name not in told
        and (inspect.isclass(value) or inspect.isfunction(value))
        and not (inspect.isclass(value) and issubclass(value, Event))
    ]
    assert not rest, f"in no group: {rest}"
    return "\n".join(parts)


def entry(name: str, value: object) -> str:
    lines = [f"### {name}\n", "```text", f"{signature(name, value)}"]
    lines.append(inspect.cleandoc(value.__doc__ or ""))
    if inspect.isclass(value):
        bases = value.__mro__[:-1] if name == "Supervisor" else (value,)
        for member, function in ChainMap(*(dict(vars(base)) for base in bases)).items():
            function = function.fget if isinstance(function, property) else function
            if member.startswith("_") or member in INTERNAL or not inspect.isfunction(function):
                continue
            lines.append("")
            lines.append(signature(f"{name}.{member}", function))
            doc = inspect.cleandoc(function.__doc__ or "")
            lines.append("\n".join(f"    {line}".rstrip() for line in doc.splitlines()))
    lines.append("```\n")
    return "\n".join(lines)


def signature(name: str, value: object) -> str:
    if inspect.isclass(value):
        return ""
    try:
        found = inspect.signature(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return name
    shown = ", ".join(parameter for parameter in found.parameters if parameter != "self")
    prefix = "await " if inspect.iscoroutinefunction(value) else ""
    return f"{prefix}{name}({shown})"


if __name__ == "__main__":
    PAGE.write_text(text())
