"""The direction of imports: ``http_api → runtime → supervisors``, and the two ways are strangers.

Read from the syntax tree, so imports inside functions count too.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("supervisors", "runtime", "http_api")
WAYS = ("runtime.whatsapp", "runtime.inbound", "runtime.outbound")

# package → what it must not import
FORBIDDEN = {
    "supervisors": ("runtime", "http_api"),
    "runtime": ("http_api",),
    "runtime.inbound": ("runtime.outbound",),
    "runtime.outbound": ("runtime.inbound",),
    # The journal is the floor of the runtime; storage does not know who fills it.
    "runtime.journal": (
        "runtime.storage",
        "runtime.whatsapp",
        "runtime.inbound",
        "runtime.outbound",
    ),
    "runtime.storage": ("runtime.whatsapp", "runtime.inbound", "runtime.outbound"),
}


def module_name(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(source: str, module: str, *, is_package: bool) -> set[str]:
    """Absolute names of everything imported; ``from a import b`` yields ``a`` and ``a.b``."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join([*base, *([node.module] if node.module else [])])
            found.add(target)
            found.update(f"{target}.{alias.name}" for alias in node.names)
    return found


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def violations(root: Path) -> list[str]:
    found = []
    for file in sorted(path for package in PACKAGES for path in (root / package).rglob("*.py")):
        module = module_name(file, root)
        imports = imported_modules(
            file.read_text(encoding="utf-8"), module, is_package=file.name == "__init__.py"
        )
        found += [
            f"{module} imports {name}"
            for importer, targets in FORBIDDEN.items()
            if within(module, importer)
            for name in sorted(imports)
            for target in targets
            if within(name, target)
        ]
    return found


def test_imports_point_downwards_only():
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("supervisors.core", "import runtime.events", "runtime.events"),
        ("runtime.journal.store", "from http_api import server", "http_api"),
        (
            "runtime.inbound.convert",
            "def f(): from ..outbound import x",
            "runtime.outbound",
        ),
        ("runtime.outbound.send", "from ..inbound.convert import x", "runtime.inbound.convert"),
    ],
)
def test_the_check_sees_every_spelling_of_an_import(tmp_path, module, source, expected):
    file = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
    file.parent.mkdir(parents=True)
    file.write_text(source)

    assert f"{module} imports {expected}" in violations(tmp_path)
