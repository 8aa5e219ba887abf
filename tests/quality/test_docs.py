"""The pages are all in the index, their links lead somewhere, and the tree is the tree."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "*/README.md", ".github/**/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts and not path.parts[-2].startswith(".venv")
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """As GitHub makes them from headings."""
    titles = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_is_in_the_index():
    index = (DOCS / "README.md").read_text()
    pages = [path.name for path in DOCS.glob("*.md") if path.name != "README.md"]

    assert [name for name in pages if f"]({name})" not in index] == []
    assert "](decisions/)" in index


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    broken = []
    for target in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)

    assert broken == []


def test_there_are_five_decisions_each_with_its_reason_and_its_price():
    records = sorted((DOCS / "decisions").glob("*.md"))

    assert len(records) >= 5
    for record in records:
        parts = re.findall(r"^\*\*(\w+)\.\*\*", record.read_text(), re.MULTILINE)
        assert parts == ["Context", "Decision", "Consequences"], record.name


def children_of_the_program() -> set[str]:
    """The names that the modules of the tree give to children."""
    names = set()
    for file in ("tree.py", "launch.py", "local_stack/stack.py"):
        for node in ast.walk(ast.parse((ROOT / "runtime" / file).read_text())):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "id", "") == "ChildSpec"
                and isinstance(node.args[0], ast.Constant)
            ):
                names.add(node.args[0].value)
    return names


@pytest.mark.parametrize("page", ["docs/architecture.md", "README.md"])
def test_the_tree_of_the_documentation_is_the_tree(page):
    (drawn,) = re.findall(r"^```\nzapvisor +.*?^```", (ROOT / page).read_text(), re.M | re.S)
    names = set(re.findall(r"[├└]─ (\w+)", drawn))
    own = children_of_the_program() | {"core", "http"}
    # The front page leaves out the inside of the local stack and what the self-test needs.
    details = {"postgres", "schema", "postgrest", "gateway", "self_tests"}

    assert names - own == set()
    assert own - names <= (set() if page.startswith("docs/") else details)
